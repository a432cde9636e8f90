"""What the two command lines do."""
