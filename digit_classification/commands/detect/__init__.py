"""What the command line of the detector does."""
