"""What the command lines of both scripts have in common.

Options come in groups, each with an example; a misspelt one is met with the one that was
probably meant; and shells complete them, through argcomplete (docs/options.md says how).
"""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from digit_classification import __version__


class CommandLine(argparse.ArgumentParser):
    """An argument parser with examples in its help and suggestions in its errors."""

    def __init__(self, description: str, *, exit_status: str, example: str) -> None:
        super().__init__(
            description=description,
            epilog=f"{exit_status}\nexample:\n  %(prog)s {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.examples = [example]

    def add_group(self, title: str, *, example: str) -> Any:
        """Return a new group of options, with an example of them under its title."""
        self.examples.append(example)
        return self.add_argument_group(title, f"example: {example}")

    def add_general_options(self, *, dry_run: str, quiet: str, verbose: str) -> None:
        """Add what every command has; the texts say what these options mean for this one."""
        general = self.add_group("general", example="--config mine.yaml --dry-run")
        general.add_argument("--config", type=Path, metavar="FILE", help="read settings from FILE")
        general.add_argument("--dry-run", action="store_true", help=dry_run)
        loudness = general.add_mutually_exclusive_group()
        loudness.add_argument("-q", "--quiet", action="store_true", help=quiet)
        loudness.add_argument("-v", "--verbose", action="store_true", help=verbose)
        general.add_argument("--version", action="version", version=__version__)

    def parse(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse `argv`, or sys.argv; exits with status 2 and a suggestion if it is wrong.

        While a shell asks for completions, it gets those instead, and the process ends.
        """
        if "_ARGCOMPLETE" in os.environ:
            import argcomplete

            argcomplete.autocomplete(self, always_complete_options="long")
        arguments, unknown = self.parse_known_args(argv)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._suggestion(unknown)}")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and the one line that matters; the usage would hide it."""
        self.exit(2, f"{self.prog}: error: {message}\n")

    def _suggestion(self, unknown: Sequence[str]) -> str:
        known = [option for option in self._option_string_actions if option.startswith("--")]
        for word in unknown:
            flag = word.partition("=")[0].lower().replace("_", "-")
            if not flag.startswith("-"):
                continue
            longer = [option for option in known if option.startswith(flag) and len(flag) > 3]
            close = longer or difflib.get_close_matches(flag, known)
            if close:
                return f": did you mean {close[0]}?"
        return ": --help lists the options."
