"""Draw the twenty photos of docs/tutorial.md: each digit twice, by one hand with habits of its own.

    python docs/draw_photos.py photos
    python docs/draw_photos.py more_photos --seed 2

This hand crosses out its zeros, as programmers do, gives its nines a loop like a g, and begins its
ones with a long stroke from below: MNIST has hardly any of these.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from samples import draw_samples as draw  # noqa: E402

# As in draw_samples.STROKES; what is not here is written as there.
HABITS = {
    "0": draw.STROKES["0"] + "; 72,-4 36,50 -4,106",
    "1": "-8,88 10,48 32,0; 32,0 33,50 33,100",
    "7": draw.STROKES["7 barred"],
    "9": "50,8 22,2 8,22 24,42 50,18 52,60 44,96 20,104 10,86 36,70 66,58",
}
SIZE = (640, 480)
WHITE, BLUE = (232, 228, 218), (40, 50, 110)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw twenty photos of handwritten digits.")
    parser.add_argument("folder", type=Path, help="new folder for them, such as photos")
    parser.add_argument(
        "--seed", type=int, default=1, help="other numbers draw others (default: 1)"
    )
    arguments = parser.parse_args(argv)
    try:
        arguments.folder.mkdir()
    except OSError as error:
        parser.error(f"'{arguments.folder}' cannot be made ({error.strerror}): name a new folder.")
    draw.STROKES.update(HABITS)
    for number in range(20):
        digit = str(number // 2)
        rng = np.random.default_rng([arguments.seed, number])
        height, slant = rng.uniform(0.45, 0.6), rng.uniform(0, 0.25)
        ink = draw.handwriting(digit, SIZE, rng, height=height, pen=0.07, slant=slant)
        sheet = draw.write(draw.paper(SIZE, WHITE, rng), ink, BLUE)
        lit = draw.shade(sheet, rng.uniform(0.5, 0.9), rng.uniform(0, 2 * np.pi))
        name = f"{digit}{'ab'[number % 2]}.jpg"
        draw.photo(lit, 1.0, rng).save(arguments.folder / name, quality=80)


if __name__ == "__main__":
    main()
