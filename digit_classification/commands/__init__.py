"""What the two command lines do, once their words are parsed."""
