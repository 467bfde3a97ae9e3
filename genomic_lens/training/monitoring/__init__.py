"""What a run writes beside its checkpoints: a log, snapshots of filters and maps, and where a step's time goes."""
