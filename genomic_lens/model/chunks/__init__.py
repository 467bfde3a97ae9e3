"""From bases to fewer, longer units and back: routing, merging, patches."""
