"""Waiting for a database: how long, how often, and what is said."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from digit_classification.results.errors import (
    DatabaseError,
    Deadlock,
    Unavailable,
    until_available,
)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made, on a clock that only they move."""
    made: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: sum(made))
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = iter([error] * times)

    def attempt() -> str:
        for error in left:
            raise error
        return "done"

    return attempt


def test_pauses_grow_until_it_is_back(pauses: list[float]) -> None:
    notices: list[str] = []
    attempt = failing(7, Unavailable("It is away."))
    assert until_available(attempt, 60, notices.append) == "done"
    assert pauses == [0.25, 0.5, 1, 2, 4, 5, 5]
    assert notices == [
        "It is away. Trying again for 60 seconds.",
        "The database is back after 17.8 s.",
    ]


def test_the_last_attempt_comes_when_the_time_is_over(pauses: list[float]) -> None:
    notices: list[str] = []
    with pytest.raises(DatabaseError, match=r"^It is away. Tried again for 3 seconds.$"):
        until_available(failing(99, Unavailable("It is away.")), 3, notices.append)
    assert pauses == [0.25, 0.5, 1, 1.25]
    assert notices == ["It is away. Trying again for 3 seconds."]


def test_without_time_it_is_not_tried_again(pauses: list[float]) -> None:
    with pytest.raises(Unavailable, match=r"^It is away.$"):
        until_available(failing(1, Unavailable("It is away.")), 0, print)
    assert pauses == []


def test_what_does_not_pass_is_raised(pauses: list[float]) -> None:
    for error in (DatabaseError("no right"), KeyError("a bug")):
        with pytest.raises(type(error)):
            until_available(failing(1, error), 60, print)
    attempt = iter([Unavailable("away"), DatabaseError("dropped meanwhile")])

    def both() -> None:
        raise next(attempt)

    with pytest.raises(DatabaseError, match="dropped meanwhile"):
        until_available(both, 60, lambda _: None)
    assert pauses == [0.25]


def test_deadlocks_are_tried_again_at_once_and_in_silence(pauses: list[float]) -> None:
    notices: list[str] = []
    assert until_available(failing(9, Deadlock("rolled back")), 0, notices.append) == "done"
    assert (pauses, notices) == ([], [])
    with pytest.raises(Deadlock):
        until_available(failing(10, Deadlock("rolled back")), 0, notices.append)
    assert until_available(failing(10, Deadlock("rolled back")), 60, notices.append) == "done"
    assert pauses == [0.25]
