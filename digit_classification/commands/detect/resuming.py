"""Going on with a run that stopped: which one, whether it is the same, and the command for it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from digit_classification.commands.detect.paths import expand_again
from digit_classification.detection.named_runs import LATEST, named_run
from digit_classification.detection.session import Session, run_settings
from digit_classification.errors import UserError
from digit_classification.names import printable, shell_command
from digit_classification.results.opening import Database
from digit_classification.results.records import Run
from digit_classification.settings import FIELDS, SURE, Settings

# They change how fast a run is, not what it finds; of a template counts what it says, not its path.
FREE_SETTINGS = frozenset({"detection.batch_size", "detection.workers", "detection.template"})


class ResumeError(UserError):
    """A run cannot be resumed; the message is one sentence for the user."""


def run_to_go_on_with(
    database: Database | None,
    arguments: argparse.Namespace,
    settings: Settings,
    given: Sequence[str],
    model_sha256: str,
) -> tuple[Run, list[str]]:
    """Return the run that --resume names, and its paths.

    Raises ResumeError if it cannot be resumed in this way, UnknownRun if there is none.
    """
    if database is None:
        raise ResumeError("The database is none: name the one of the run with --database.")
    run = _find(database, arguments.resume)
    if "-" in run.info.sources and sys.stdin is not None and sys.stdin.isatty():
        raise ResumeError(
            f"Run {run.info.id} reads paths from standard input: pipe the same list in again."
        )
    chosen = run_settings(
        settings, arguments.sort_into, move=arguments.move, hard_links=arguments.hard_links
    )
    _check_same(run, given=given, settings=chosen, model_sha256=model_sha256)
    return run, expand_again(run.info.sources)


def _find(database: Database, run_id: str) -> Run:
    """Return the run to go on with; `latest` is the latest one that is not finished.

    Raises ResumeError, or UnknownRun if there is none of that name.
    """
    if run_id == LATEST:
        run = database.latest_unfinished_run()
        if run is None:
            raise ResumeError(
                f"No run in {database.url} is unfinished: start a new one without --resume."
            )
        return run
    run = named_run(database, run_id)
    if run.state == "finished":
        raise ResumeError(
            f"Run {run.info.id} is finished: to read the images again, start a new run without"
            " --resume."
        )
    return run


def _check_same(
    run: Run, *, given: Sequence[str], settings: dict[str, Any], model_sha256: str | None
) -> None:
    """Refuse to go on with a run in another way than it began; `given` may be empty.

    Raises ResumeError.
    """
    new = "or start a new run without --resume"
    if given and list(given) != list(run.info.sources):
        named = shell_command(run.info.sources)
        raise ResumeError(
            f"Run {run.info.id} reads {named}, and not {shell_command(given)}:"
            f" leave the paths out, {new}."
        )
    if model_sha256 != run.info.model_sha256:
        raise ResumeError(
            f"Run {run.info.id} was made with another model, '{run.info.model_path}' with the"
            f" SHA-256 {(run.info.model_sha256 or 'unknown')[:12]}…, not"
            f" {(model_sha256 or 'unknown')[:12]}…: name that one with --model, {new}."
        )
    known, named = _template(run.info.settings), _template(settings)
    if known != named:
        raise ResumeError(
            f"Run {run.info.id} was started with {known}, and not with {named}: set it back, {new}."
        )
    # A run from before there was a setting went as that setting's default has it for digits.
    defaults = {key: field.default for key, field in FIELDS.items()}
    defaults["detection.min_confidence"] = SURE
    before, after = defaults | _flat(run.info.settings), _flat(settings)
    if before.get("working_directory", os.getcwd()) != os.getcwd():
        folder = printable(before["working_directory"])
        raise ResumeError(
            f"Run {run.info.id} was started in '{folder}': change to that folder, {new}."
        )
    # What is read comes first: other settings' defaults depend on it.
    for key in sorted(before.keys() & after.keys() - FREE_SETTINGS, key=_after_what_is_read):
        if before[key] != after[key]:
            raise ResumeError(
                f"Run {run.info.id} was started with {key} = {_shown(before[key])}, and not"
                f" {_shown(after[key])}: set it back, {new}."
            )


def _after_what_is_read(key: str) -> tuple[bool, str]:
    return key != "detection.read", key


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested settings with keys such as `detection.invert`."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _template(settings: Mapping[str, Any]) -> str:
    """Return what a run's settings say of its template: not where it is, but what is in it."""
    template = settings.get("template")
    return f"the template of SHA-256 {template['sha256'][:12]}…" if template else "no template"


def _shown(value: object) -> str:
    return printable(str(value)) if value is not None else "none"


def command_to_go_on(
    session: Session | None, script: str, argv: list[str] | None, arguments: argparse.Namespace
) -> str | None:
    """Return the command that goes on with the run of this process, or of `script`'s `main(argv)`.

    None if there is nothing to go on with.
    """
    if session is None or session.run_id is None or not session.stopped:
        return None
    words = sys.argv[1:] if argv is None else argv
    return resume_command(session.run_id, program(script, argv), words, arguments.resume)


def program(script: str, argv: list[str] | None) -> list[str]:
    """Return the words that start this program, or `script`'s `main(argv)`, as it was called."""
    if argv is not None:
        return [sys.executable, script]
    return sys.orig_argv[: len(sys.orig_argv) - len(sys.argv[1:])]


def resume_command(
    run_id: str, called: Sequence[str], arguments: Sequence[str], resumed: str | None
) -> str:
    """Return the command that goes on with a run, ready to be pasted into a shell.

    `called` and `arguments` are the words of the command that stopped, and `resumed` the value
    that its own --resume had, if any.
    """
    rest = list(arguments) if resumed is None else _without_resume(list(arguments), resumed)
    return shell_command([*called, "--resume", run_id, *rest])


def _without_resume(arguments: list[str], value: str) -> list[str]:
    for position, argument in enumerate(arguments):
        if argument == "--resume":
            end = position + 1
            end += arguments[end : end + 1] == [value]
            return arguments[:position] + arguments[end:]
        if argument.startswith("--resume="):
            return arguments[:position] + arguments[position + 1 :]
    return arguments
