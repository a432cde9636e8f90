"""How a run ends that somebody stops: in good order at the first signal, at once at the second.

Ctrl-C is one of several ways to say so.  SIGTERM comes from service managers, containers and batch
queues; SIGHUP from a terminal that is closed; SIGBREAK, on Windows, from Ctrl-Break.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from digit_classification.cli.late import discard

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # not each system has all of them
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))

_Handler = Callable[[int, FrameType | None], Any]
_interrupting: list[_Handler] = []  # what `ending_in_order` has installed


class Interrupted(KeyboardInterrupt):
    """The end that a signal asks for; it passes wherever Ctrl-C would."""

    def __init__(self, signal_number: int = signal.SIGINT) -> None:
        super().__init__()
        self.signal_number = signal_number


def exit_status(interruption: KeyboardInterrupt) -> int:
    """Return 128 and the signal's number, as shells do: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + getattr(interruption, "signal_number", signal.SIGINT)


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Have the first signal raise Interrupted, and the second end the program at once.

    Raised again while processes are being ended, it would leave some to be waited for without end.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in wanted:
            signal.signal(each, signal.SIG_DFL)
        let_go_of_a_closed_terminal()
        raise Interrupted(number)

    wanted = [each for each in SIGNALS if _is_default(each)]
    with _installed(interrupt, wanted):
        _interrupting.append(interrupt)
        try:
            yield
        finally:
            _interrupting.remove(interrupt)


@contextlib.contextmanager
def asking_first(ask: Callable[[int], None]) -> Iterator[None]:
    """Have the first signal call `ask` with its number, and the second do what it did before.

    That is Ctrl-C, and further signals only within `ending_in_order`: in a program that is not
    ours they do what its author wants.
    """
    before = {each: signal.getsignal(each) for each in SIGNALS}
    ours = (signal.default_int_handler, *_interrupting)
    wanted = [each for each, handler in before.items() if handler in ours]

    def handle(number: int, _frame: FrameType | None) -> None:
        for each in wanted:
            signal.signal(each, before[each])
        let_go_of_a_closed_terminal()
        ask(number)

    with _installed(handle, wanted):
        yield


@contextlib.contextmanager
def holding_back() -> Iterator[None]:
    """Have a first signal do what it does when all of this is done: half of it would be worse."""
    came: list[int] = []
    with asking_first(came.append):
        yield
    if came:
        signal.raise_signal(came[0])


@contextlib.contextmanager
def _installed(handler: _Handler, wanted: list[signal.Signals]) -> Iterator[None]:
    """Install a handler meanwhile; none outside of the main thread.

    It may be called, and raise, before the last one is installed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in wanted}
    try:
        for each in wanted:
            signal.signal(each, handler)
        yield
    finally:
        for each, previous in before.items():
            if signal.getsignal(each) is handler:  # after a first signal, a second ends at once
                signal.signal(each, previous)


def _is_default(number: signal.Signals) -> bool:
    """Whether nobody has decided otherwise, as `nohup` does, which has SIGHUP ignored."""
    return signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def let_go_of_a_closed_terminal() -> None:
    """Send what is still to be said nowhere, if the terminal is gone: writing there would fail."""
    for stream in (sys.stdout, sys.stderr, sys.__stderr__):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # no stream, or a stand-in
            descriptor = stream.fileno()  # type: ignore[union-attr]
            try:
                os.write(descriptor, b"")
            except OSError:
                discard(descriptor)
