"""Pages for people: the report of a training, and the review of a run."""
