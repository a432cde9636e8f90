"""Something happens in the middle of a training, or of a run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from digit_classification.results.database import ResultsDatabase
from digit_classification.training import epochs
from digit_classification.training.learner import Learner
from digit_classification.training.parts import Part


@contextmanager
def during_epoch(number: int, happen: Callable[[], object]) -> Iterator[None]:
    """Have something happen as an epoch is validated: the first within this block is number 1."""
    validate, begun = epochs.validate, 0

    def validate_and_happen(learner: Learner, validation: Part) -> epochs.Scores:
        nonlocal begun
        begun += 1
        if begun == number:
            happen()
        return validate(learner, validation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epochs, "validate", validate_and_happen)
        yield


@contextmanager
def stopped_at_batch(number: int, error: BaseException) -> Iterator[None]:
    """Have an error raised instead of a batch stored: the first within this block is number 1."""
    add, begun = ResultsDatabase.add, 0

    def failing(self: ResultsDatabase, *arguments: Any) -> int:
        nonlocal begun
        begun += 1
        if begun == number:
            raise error
        return add(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResultsDatabase, "add", failing)
        yield


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)
