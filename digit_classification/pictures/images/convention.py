"""MNIST's convention, and the sizes of the pictures in which its digits are looked for."""

import numpy as np

SIDE = 28  # pixels
BOX = 20  # pixels: the digit's longer side
PAIR_SHAPE = (22, 36)  # pixels: two digits that touch
FINE = 4  # the digit is drawn this many times larger than SIDE, then averaged down
INK = 60  # of 255: where a stroke in its box ends

WORK = 384  # pixels: the longer side of a picture in which strokes are looked for
SMALL = 48  # pixels: up to this side grey means coverage, light is even, nothing surrounds
NEIGHBOURS = np.ones((3, 3), np.uint8)
