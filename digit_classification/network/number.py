"""What a picture of a number is read as."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NumberDigit:
    """One sign of a number."""

    text: str  # "0".."9", "-", "," or "."
    box: tuple[float, float, float, float]  # left, top, width, height in shares of the picture
    confidence: float  # 0..1
    probabilities: tuple[float, ...] | None  # ten, of a digit; None of another sign
    image: np.ndarray | None  # (28, 28) uint8 as the network saw it; None of another sign


@dataclass(frozen=True)
class NumberReading:
    text: str | None  # "47", "-3", "12,5"; None where there is no number
    confidence: float | None  # that every sign of it is right, calibrated
    digits: tuple[NumberDigit, ...]
    rejection: str | None  # "blank image", "found 3 lines", "no number", ...
    left_out: tuple[str, ...]  # in words, what was seen and is neither digit nor sign
