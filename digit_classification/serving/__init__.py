"""The page to draw on and drop on, and the readings for programs in other languages."""
