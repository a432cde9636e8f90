"""The kinds of picture that the trainer draws, by name: one module for each sort of them."""

from __future__ import annotations

from ..sheet import Kind
from . import cells, cuts, media, neighbours, others

SEEN: dict[str, Kind] = {
    **media.KINDS,
    **cuts.KINDS,
    **neighbours.KINDS,
    **cells.KINDS,
    **others.KINDS,
}

__all__ = ["SEEN"]
