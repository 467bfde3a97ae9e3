"""Where each layer looks: hidden attention at any zoom, filters, patterns."""
