"""How the signs of a number are read: the lattice of what may be digits, and the best way through."""
