"""A run: opened or resumed in the database, filled, and closed in the state in which it ends."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from digit_classification import __version__
from digit_classification.network.model_file import Model
from digit_classification.pictures.forms import template_of
from digit_classification.pictures.sources import Source
from digit_classification.results.errors import DatabaseError
from digit_classification.results.opening import Database
from digit_classification.results.records import Result, Run, RunInfo
from digit_classification.settings import Settings

if TYPE_CHECKING:
    from digit_classification.detection.sorting import Sorter

LOOKUP = 500  # pictures that a resumed run looks up in the database at a time


def run_settings(
    settings: Settings, sort_into: str | None, *, move: bool = False, hard_links: bool = False
) -> dict[str, Any]:
    """Return what a run records of its settings: all that must be the same when it is resumed.

    Raises TemplateError if the template that they name cannot be used.
    """
    template = template_of(settings)
    detection = settings.detection.model_dump(mode="json")
    # A later version may take another by itself.
    detection["min_confidence"] = settings.detection.least_confidence
    return {
        "detection": detection,
        "template": None if template is None else template.recorded,
        "sort_into": sort_into,
        "move": move,
        "hard_links": hard_links,
        "working_directory": os.getcwd(),
    }


def reads_numbers(run: Run) -> bool:
    """Whether a stored run looked for numbers in its pictures, and not for digits."""
    return run.info.settings.get("detection", {}).get("read") == "number"


def reads_forms(run: Run) -> bool:
    """Whether a stored run looked for forms in its pictures."""
    return run.info.settings.get("detection", {}).get("read") == "form"


def fields_of(info: RunInfo) -> list[str]:
    """Return the fields of the template that a run reads its forms with; none without one."""
    return list((info.settings.get("template") or {}).get("fields", ()))


def with_names(
    paths: Iterable[str | Source], named: Sequence[str] | None
) -> tuple[Iterable[str | Source], Sequence[str]]:
    """Return paths and what a run records of them, which is the paths unless it is given."""
    if named is not None:
        return paths, named
    paths = list(paths)
    return paths, [path.name if isinstance(path, Source) else path for path in paths]


def run_info(named: Sequence[str], model: Model, settings: dict[str, Any]) -> RunInfo:
    """Return what the database should know of a new run."""
    return RunInfo(
        sources=list(named),
        model_path=str(model.path),
        model_sha256=model.sha256,
        model_version=(model.card or {}).get("created"),
        program_version=__version__,
        settings=settings,
    )


class Session:
    """One run of the detector, and what is known of it until its end.

    Without a database nothing of it is recorded, and it has no identity.
    """

    def __init__(self, database: Database | None, info: RunInfo, resume: Run | None = None) -> None:
        self.run_id: str | None = None  # the run in the database, once it is opened there
        self.is_open = False
        self.stopped = False  # whether the run is in the database, and did not reach its end
        self.stored_before = 0  # results that a resumed run had already
        self.strays: list[str] = []  # files found in folders that are no pictures
        self._database = database
        self._info = info
        self._resume = resume

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Record the run as running meanwhile, and then the state in which the block ends.

        Raises DatabaseError.
        """
        try:
            self._open()
            yield
            self._close("finished")
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt | GeneratorExit)
            self.stopped = self.run_id is not None
            with contextlib.suppress(DatabaseError):  # the error that ended the run is the news
                self._close("interrupted" if interrupted else "failed", wait=False)
            raise
        finally:
            self.is_open = False

    def _open(self) -> None:
        if self._database is not None:
            if self._resume is None:
                self.run_id = self._database.start_run(self._info)
            else:
                self.run_id = self._resume.info.id
                self._database.reopen_run(self.run_id)
            fields = fields_of(self._info if self._resume is None else self._resume.info)
            if fields and self._database.rows_can_change:
                self._database.show_forms(fields)
        self.is_open = True

    def _close(
        self, state: Literal["finished", "interrupted", "failed"], *, wait: bool = True
    ) -> None:
        if self._database is not None and self.run_id is not None:
            self._database.finish_run(self.run_id, state, wait=wait)

    def store(self, results: Sequence[Result]) -> None:
        """Store results in one transaction.

        Raises DatabaseError if they cannot be stored.
        """
        if self._database is not None and self.run_id is not None:
            self._database.add(self.run_id, results)

    def stored_results(self) -> Iterator[Result]:
        """Yield what the run, if it was resumed, has in the database."""
        if self._resume is None or self._database is None:
            return
        for row in self._database.rows(self._resume.info.id):
            self.stored_before += 1
            yield row.as_result()

    def not_stored(
        self, sources: Iterator[Source], sorter: Sorter | None = None
    ) -> Iterator[Source]:
        """Yield the sources that the run has no result of; finish sorting the others."""
        if self._resume is None or self._database is None:
            yield from sources
            return
        run_id = self._resume.info.id
        while chunk := list(itertools.islice(sources, LOOKUP)):
            if sorter is None:
                done = self._database.stored(run_id, [source.name for source in chunk])
            else:
                done = self._settle_again(self._database, run_id, chunk, sorter)
            yield from (source for source in chunk if source.name not in done)

    def _settle_again(
        self, database: Database, run_id: str, sources: Sequence[Source], sorter: Sorter
    ) -> set[str]:
        """Finish sorting those of the sources that have results; return their names."""
        assert database.rows_can_change  # as for everyone who sorts
        rows = database.find(run_id, [source.name for source in sources])
        stored = [source for source in sources if source.name in rows]
        results = []
        for source in stored:
            result = rows[source.name].as_result()
            place = sorter.stored_place(result, source)
            results.append(replace(result, path=source.name, sorted_to=place))
        self.settle(sorter, results, stored, resumed=True)
        return {source.name for source in stored}

    def settle(
        self,
        sorter: Sorter,
        results: Sequence[Result],
        sources: Sequence[Source],
        *,
        resumed: bool = False,
    ) -> None:
        """Bring pictures to their places, and record in the database which go elsewhere.

        Raises SortingError, DatabaseError.
        """

        def record(result: Result, place: str | None) -> None:
            database = self._database
            if database is not None and database.rows_can_change and self.run_id is not None:
                database.set_sorted_to(self.run_id, result.path, place)

        sorter.settle(results, sources, record, resumed=resumed)
