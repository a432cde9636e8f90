"""What a program says little of: a console that is made with its first message.

Rich takes 30 ms to import, and who has one picture read is told nothing but its digit.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console


class LateConsole:
    """Stands for the console of standard error, until something is asked of it."""

    @functools.cached_property
    def console(self) -> Console:
        from digit_classification.cli.terminal import make_console

        return make_console(stderr=True)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; to be handed on as a function, before there is anything to print."""
        self.console.print(*objects, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.console, name)


def late_console() -> Console:
    """Return the console of standard error, as `terminal.make_console` makes it, but later."""
    return cast("Console", LateConsole())


def discard(descriptor: int) -> None:
    """Send nowhere what is still written to a file descriptor, as nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
