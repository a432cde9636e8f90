"""What the networks learn from, as people have it: folders, zips, arrays and tables."""
