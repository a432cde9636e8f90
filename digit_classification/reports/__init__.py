"""Pages for people: of a training, and of the pictures of a run."""
