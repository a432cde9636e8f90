"""Results as Parquet files: `dataset` is what a run sees of them, `files` what lies on the disk."""
