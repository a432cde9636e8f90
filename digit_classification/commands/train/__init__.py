"""What the command line of the trainer does."""
