"""Printed lines that a number stands on or in: ruled and squared paper, rows of boxes, combs."""
