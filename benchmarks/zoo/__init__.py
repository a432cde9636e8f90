"""The zoo: all kinds of picture that `benchmarks/pictures.py` reads.

`SEEN` are those that the trainer's judge learns from, drawn by `digit_classification.training.
scenes`.  `UNSEEN` are drawn here, by the same papers, pens and cameras, in ways, with marks and by
hands (`other_handwriting.zip`) that the judge never sees: they tell what it makes of pictures that
nobody thought of.  So nothing of `digit_classification/` may import from here.
"""

from digit_classification.training.scenes import SEEN, Kind

from . import beside, with_digit, without_digit

UNSEEN: dict[str, Kind] = {**with_digit.KINDS, **beside.KINDS, **without_digit.KINDS}
KINDS: dict[str, Kind] = {**SEEN, **UNSEEN}

__all__ = ["KINDS", "SEEN", "UNSEEN"]
