"""Numbers drawn with a known text, and how sure the reading of a number may be."""
