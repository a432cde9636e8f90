"""Pictures drawn with a known truth: with one handwritten digit, and without.

    rng = np.random.default_rng(1)
    digits = Digits(images, labels)  # in MNIST's convention
    scene = SEEN["box, cut along its line"].draw(rng, digits)
    scene.pixels, scene.answer, scene.ink  # the picture, '7', and where the ink of that 7 lies

A scene comes about as its original does: a paper (`papers`), printed lines (`lines`), ink laid down
by a pen (`strokes`, `marks`, `letters`), and then light, a lens, a sensor and a file (`cameras`).
Nothing of it is copied from pictures of others: paper and noise are computed (`noise`), digits are
those of the dataset, marks are paths, letters are drawn by fonts made of people's handwriting.

What the ideas come from:

- strokes as distance fields, so that pens of any width draw one hand: Green 2007, "Improved
  Alpha-Tested Magnification for Vector Textures and Special Effects"; their middle lines: Zhang and
  Suen 1984, "A Fast Parallel Algorithm for Thinning Digital Patterns";
- what happens to documents on the way to a file: Baird 1992, "Document Image Defect Models";
- truth that is known because everything was drawn: Jaderberg et al. 2014, "Synthetic Data and
  Artificial Neural Networks for Natural Scene Text Recognition";
- clouds as octaves of noise: Perlin 1985, "An Image Synthesizer".

A kind (`kinds/`) is what a picture has in common with others of the same use: a medium, a paper, a
cut, a cell of a form, what stands beside the digit; or what it shows instead of one.
"""

from .kinds import SEEN
from .sheet import Kind, Scene
from .strokes import Digits

__all__ = ["SEEN", "Digits", "Kind", "Scene"]
