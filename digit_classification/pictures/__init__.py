"""From a path, a zip or an object store to 28x28 digits: find, read, decode, normalise."""
