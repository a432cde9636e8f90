"""How the signs of a number are read: the lattice of what may be digits, the best way through."""
