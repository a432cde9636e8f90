"""What the network learns from, and how it learns."""
