"""The stored run that a person names, by its identity or by the beginning of that."""

from __future__ import annotations

from digit_classification.errors import UserError
from digit_classification.names import printable
from digit_classification.results.opening import Database
from digit_classification.results.records import Run

LATEST = "latest"


class UnknownRun(UserError):
    """No run, or more than one, is named so; the message is one sentence for the user."""


def named_run(database: Database, name: str) -> Run:
    """Return the run whose identity is `name`, or the only one whose identity begins so.

    `latest` is the newest run.

    Raises UnknownRun.
    """
    run = database.run(name)
    if run is not None:
        return run
    runs = database.runs()
    found = runs[:1] if name == LATEST else [r for r in runs if name and r.info.id.startswith(name)]
    if not found:
        raise UnknownRun(
            f"There is no run '{printable(name)}' in {database.url}: list the runs with --runs."
        )
    if len(found) > 1:
        raise UnknownRun(
            f"'{printable(name)}' begins the names of {len(found):,} runs in {database.url}, the"
            f" newest {found[0].info.id}: write more of the name."
        )
    return found[0]
