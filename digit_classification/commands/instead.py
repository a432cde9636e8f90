"""What the detector does instead of reading pictures: look back, correct, make a template.

What that needs is imported only then: whoever has one picture read should not wait for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from digit_classification.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console


def done_instead(
    arguments: argparse.Namespace,
    settings: Settings,
    parser: argparse.ArgumentParser,
    messages: Console,
    program: Sequence[str],
) -> int | None:
    """Do what is asked for instead of a run; return the exit status, or None if that is a run.

    `program` are the words that start this program.

    Raises UserError or DatabaseError.
    """
    if arguments.apply_corrections is not None:
        from digit_classification.commands.detect.earlier_runs import apply_corrections

        return 0 if apply_corrections(arguments, settings, messages) else 1
    if arguments.make_template is not None:
        from digit_classification.commands.make_template import make_template

        make_template(arguments, settings, messages, program)
        return 0
    if arguments.runs is not None or arguments.show is not None:
        from digit_classification.commands.detect.earlier_runs import look_back

        if arguments.dry_run:
            parser.error("--dry-run is for a run: leave it out with --runs and --show")
        look_back(arguments, settings, messages)
        return 0
    return None
