"""What is still to be done, and how much of it makes a task."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Generic, TypeVar

CHUNK = 64  # items a task at most: that many small ones hide what a task costs
TASK_S = 0.2  # seconds a task should take: slow pictures come in smaller chunks
GROWTH = 4  # times as many items as the last task had: the first ones say little
# In flight: enough to keep the workers busy while a batch goes into the database.
AHEAD = 2048  # items at most
AHEAD_S = 1.0  # seconds of work for each worker
# Seconds after which processes are thought of, if what is left will take so many.
PATIENCE_S = 0.2
WORTH_PROCESSES_S = 0.6

Item = TypeVar("Item")


class Stream(Generic[Item]):
    """Items to be taken from an iterator, or given back."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items

    def take(self, count: int) -> list[Item]:
        return list(itertools.islice(self._items, count))

    def give_back(self, items: list[Item]) -> None:
        if items:
            self._items = itertools.chain(items, self._items)


class Pace:
    """How long an item takes, and so how many of them make a task."""

    def __init__(self) -> None:
        self.size = 1  # items of the next task
        self.done = 0  # items
        self._seconds = 0.0  # in all
        self._each = 0.0  # seconds an item took in the last task

    def learn(self, count: int, seconds: float) -> None:
        """Take note of a task; the size grows by steps, as the first items say little."""
        if not count:
            return
        self.done += count
        self._seconds += seconds
        self._each = max(seconds / count, 1e-6)
        self.size = max(1, min(CHUNK, GROWTH * self.size, int(TASK_S / self._each)))

    def room(self, workers: int) -> int:
        """Return how many items should be in flight."""
        enough = int(AHEAD_S * workers / self._each) if self._each else 0
        return min(max(AHEAD, 3 * workers * self.size), max(enough, 3 * workers * self.size))

    def is_slow(self, remaining: int) -> bool:
        """Whether the remaining items are worth processes."""
        return self._seconds > PATIENCE_S and self._each * remaining > WORTH_PROCESSES_S
