"""What goes wrong with a database, and waiting for what passes by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

DEADLOCK_ATTEMPTS = 10
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0  # each pause is twice the one before

T = TypeVar("T")


class DatabaseError(Exception):
    """One sentence for the user: what is wrong, where (never with a password), what to do next."""


class Unavailable(DatabaseError):
    """It may pass by itself (the server restarts, a lock is held): the same can be tried again."""


class Deadlock(Unavailable):
    """The server rolled the transaction back in favour of another one; it can be sent at once."""


def until_available(attempt: Callable[[], T], seconds: float, notice: Callable[[str], None]) -> T:
    """Return what `attempt` returns; while it raises Unavailable, pause and try it again.

    The pauses grow, the last attempt comes `seconds` after the first failure, and `notice` gets a
    sentence when the waiting begins and when it has helped.  Nothing is held meanwhile but what
    `attempt` itself holds.

    Raises DatabaseError (whatever else `attempt` raises, too).
    """
    try:
        return _past_deadlocks(attempt)
    except Unavailable as error:
        if not seconds:
            raise
        notice(f"{error} Trying again for {seconds:g} seconds.")
    begin, pause = time.monotonic(), FIRST_PAUSE_S
    while True:
        time.sleep(max(0.0, min(pause, begin + seconds - time.monotonic())))
        try:
            result = _past_deadlocks(attempt)
        except Unavailable as error:
            if time.monotonic() >= begin + seconds:
                raise DatabaseError(f"{error} Tried again for {seconds:g} seconds.") from error
        else:
            notice(f"The database is back after {time.monotonic() - begin:.1f} s.")
            return result
        pause = min(2 * pause, LONGEST_PAUSE_S)


def _past_deadlocks(attempt: Callable[[], T]) -> T:
    for _ in range(DEADLOCK_ATTEMPTS - 1):
        try:
            return attempt()
        except Deadlock:
            continue
    return attempt()
