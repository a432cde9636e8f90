"""How the detector ends: with which exit status, and with which last words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from digit_classification.cli.interruption import exit_status, let_go_of_a_closed_terminal
from digit_classification.cli.late import discard
from digit_classification.errors import UserError
from digit_classification.results.errors import DatabaseError

if TYPE_CHECKING:
    from rich.console import Console

CLOSED_PIPE = 141  # the exit status: 128 and SIGPIPE, as shells know it of other programs


def end_early(
    error: Exception | KeyboardInterrupt, messages: Console, command_to_go_on: str | None
) -> int:
    """Say why the program ends before it is done, and how to go on; return the exit status.

    `command_to_go_on` is there if results of the run are stored.  What is no error of the user or
    the machine is raised again.
    """
    from rich.text import Text

    from digit_classification.cli.terminal import error_text

    if isinstance(error, UserError):
        status, message = 2, error_text(error)
    elif isinstance(error, DatabaseError):
        status, message = 3, error_text(error)
    elif isinstance(error, KeyboardInterrupt):
        let_go_of_a_closed_terminal()
        status = exit_status(error)
        kept = ": what was classified until then is stored" if command_to_go_on else ""
        message = Text(f"Interrupted{kept}.")
    elif isinstance(error, BrokenPipeError):  # whoever read standard output has seen enough
        discard(sys.stdout.fileno())
        return CLOSED_PIPE
    elif isinstance(error, OSError):  # all that writes names what it writes; so this is another
        status = 2
        message = error_text(f"The run cannot go on: {error}: see to this system's limits.")
    else:
        raise error
    messages.print(message)
    if command_to_go_on:
        messages.print(f"To go on with the run:\n{command_to_go_on}")
    return status
