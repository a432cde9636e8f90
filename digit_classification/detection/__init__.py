"""A run of the detector: reading here or on a cluster, resuming, sorting, writing, summing up."""
