#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Read the digits in pictures, and store each result in a database.

    python digit_classification_detector.py 7.png
    python digit_classification_detector.py scans/ more.zip 'photos/*.jpg'
    python digit_classification_detector.py scans/ --format csv --output digits.csv
    python digit_classification_detector.py scans/ --labels truth.csv
    python digit_classification_detector.py --resume
    python digit_classification_detector.py --serve

Results go to the database that config.yaml names, an SQLite file unless that is changed.
The pictures themselves are left alone, unless you say --move.

In Python:

    from digit_classification_detector import DigitPredictor

    prediction = DigitPredictor("digit_classification.keras").predict("7.png")
    print(prediction.digit, prediction.confidence, prediction.status)
"""

from __future__ import annotations

from digit_classification.cli import starting

if __name__ == "__main__":
    starting.begin()

import contextlib
import io
import os
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from digit_classification.cli.interruption import ending_in_order
from digit_classification.cli.late import late_console
from digit_classification.cli.native_messages import standard_error_apart
from digit_classification.commands.detect.ending import end_early
from digit_classification.commands.detect.options import build_parser
from digit_classification.commands.detect.paths import given_paths
from digit_classification.commands.detect.resuming import command_to_go_on, program
from digit_classification.commands.detect.run import DetectorRun
from digit_classification.commands.instead import done_instead
from digit_classification.config import Settings, load_settings
from digit_classification.detection.destinations import write_normalized
from digit_classification.detection.reading import Reader, ReadingOptions, ThisMachine, results_as
from digit_classification.detection.session import Session, run_info, run_settings, with_names
from digit_classification.detection.summary import NAMED, Summary
from digit_classification.detection.writers import as_text
from digit_classification.network.default_model import model_to_read
from digit_classification.network.model_file import load_model
from digit_classification.pictures.decode import Limits, Picture
from digit_classification.pictures.prepare import Prepared, prepare_picture
from digit_classification.pictures.sources import Source, find_sources
from digit_classification.results.opening import Database
from digit_classification.results.records import Result, Run
from digit_classification.settings import settings_text, with_template

if TYPE_CHECKING:
    from rich.console import Console

    from digit_classification.detection.cluster.connection import Cluster
    from digit_classification.network.form import FormCell
    from digit_classification.network.number import NumberReading
    from digit_classification.reports.review import Review

DETECTOR_SECTIONS = ("model", "detection")  # without the database: its URL may hold a password


class DigitPredictor:
    """Reads digits with a saved model, and stores the results.

    `database` is where `classify_images` and `save_to_database` store; None stores nothing.
    Without `settings` those of config.yaml and the environment apply.  With a `template`, the path
    of its file, forms are read, and their cells are its fields.  The model that comes with
    the program reads if none is named, and there is none at the path of the settings.

    `output` and `messages` are rich consoles: `predict` prints digit and confidence on `output`.

    Raises SettingsError if a setting is wrong, ModelError if the model cannot be used.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        settings: Settings | None = None,
        template: str | os.PathLike[str] | None = None,
        database: Database | None = None,
        output: Console | None = None,
        messages: Console | None = None,
    ) -> None:
        self.settings = with_template(settings or load_settings(), template)
        self.output = output
        self.messages = messages or late_console()
        self.limits = Limits(**self.settings.images.model_dump())
        notice = self.messages.print
        path = Path(model) if model is not None else model_to_read(self.settings.model, notice)
        self.model = load_model(path, notice=notice)
        if self.settings.detection.read != "digit":
            self.model.check_reads_numbers()
        self.database = database
        self.session: Session | None = None  # the run that is open, or was closed last

    def preprocess_image(self, picture: Picture) -> Prepared:
        """Load one picture and bring it to the form that the network was trained on.

        Returns it with `digit`, (28, 28) uint8, light ink on dark; or without, and why in `error`.
        Raises TypeError if it is nothing that could hold a picture.
        """
        return self._prepare(picture)

    def _prepare(self, picture: Picture, *, whole: bool = False) -> Prepared:
        invert, proposing = self.settings.detection.invert, self.model.judge is not None
        return prepare_picture(picture, invert, self.limits, proposing=proposing, whole=whole)

    @overload
    def predict(self, picture: Picture) -> Result: ...
    @overload
    def predict(self, picture: list[Any] | tuple[Any, ...]) -> list[Result]: ...

    def predict(self, picture: Picture | list[Any] | tuple[Any, ...]) -> Result | list[Result]:
        """Read the digit, or number, in a path, bytes, a file object, a Pillow image or an array.

        An array is (h, w) or (h, w, 3 or 4): uint8, uint16, bool, or floats from 0 to 1.
        What cannot be read gives a result with status `error`, a list or tuple of pictures a list.

        Raises TypeError if it is none of these, ValueError for forms, which have several results.
        """
        several = isinstance(picture, list | tuple)
        pictures = picture if isinstance(picture, list | tuple) else [picture]
        options = ReadingOptions.of(self.settings)
        prepared = [
            self._prepare(each, whole=True) if options.of_numbers else self.preprocess_image(each)
            for each in pictures
        ]
        results = results_as(options, prepared, self.model.network, self.model.judge)
        if self.output is not None:
            for result in results:
                self.output.print(as_text(result, with_path=several and bool(result.path)))
        return results if several else results[0]

    def read_number(self, picture: Picture, constraint: str | None = None) -> NumberReading:
        """Read the number in a picture; all of it must fit the `constraint`, a regular expression.

        Raises ImageError if the picture cannot be read, TypeError if it is none, or ModelError.
        """
        from digit_classification.detection.numbers import read_number

        return read_number(self.model, picture, self.settings, constraint)

    def read_form(self, picture: Picture, constraint: str | None = None) -> list[FormCell]:
        """Read the form in a picture, cell by cell; arguments and errors as of `read_number`."""
        from digit_classification.detection.forms.pages import read_form

        return read_form(self.model, picture, self.settings, constraint)

    def classify_images(
        self,
        paths: Iterable[str | Source],
        *,
        named: Sequence[str] | None = None,
        save_normalized: Path | None = None,
        sort_into: str | None = None,
        move: bool = False,
        hard_links: bool = False,
        resume: Run | None = None,
        review: Review | None = None,
        cluster: Cluster | None = None,
    ) -> Generator[Result, None, None]:
        """Classify files, folders and zips; yield a result for each, in order, once it is stored.

        Several processes read the pictures; the database takes them in batches, one at least every
        second or so, so that memory does not grow with their number and little is lost if the run
        stops.  The batches are one run in the database.
        With `sort_into` a copy of each picture, with `hard_links` a second name of it, or with
        `move` the picture itself, goes to a folder below that one.  With `resume` the results that
        a run has already come first, and only the other pictures are read.
        A `review` is given all results with their pictures.  With a `cluster` its nodes read the
        pictures, whose paths must mean the same there.

        Raises DatabaseError if results cannot be stored, SortingError if pictures cannot be copied.
        """
        paths, named = with_names(paths, named)
        sorting = run_settings(self.settings, sort_into, move=move, hard_links=hard_links)
        with self._run(named, sorting, resume) as session:
            sorter = None
            if sort_into is not None:
                from digit_classification.detection.sorting import Sorter

                run_id = session.run_id or str(os.getpid())
                sorter = Sorter(sort_into, run_id=run_id, move=move, hard_links=hard_links)
            yield from session.stored_results()
            sources = session.not_stored(find_sources(paths), sorter)
            reader: Reader = cluster or ThisMachine(self.settings.detection.workers)
            options = ReadingOptions.of(
                self.settings,
                with_thumbnails=review is not None,
                with_pixels=review is not None or save_normalized is not None,
            )
            number = session.stored_before + 1
            for batch in reader.read(sources, self.model, options):
                session.strays += batch.strays
                results = batch.results
                if save_normalized is not None:
                    write_normalized(save_normalized, batch.pictures, first=number)
                    number += len(results)
                if review is not None:
                    review.add(results, batch.pictures)
                if sorter is None:
                    self.save_to_database(results)
                else:
                    results = sorter.choose(results, batch.sources)
                    self.save_to_database(results)
                    session.settle(sorter, results, batch.sources)
                yield from results

    def classify_on_cluster(
        self,
        cluster: Cluster,
        paths: Iterable[str | Source],
        *,
        named: Sequence[str] | None = None,
        resume: Run | None = None,
        name_at_most: int | None = NAMED,
    ) -> Generator[Summary, None, None]:
        """Have a cluster classify files, folders and object stores, and store the results itself.

        The results do not come here, so that they may be any number: what comes is the summary of
        each chunk, once it is stored, with `name_at_most` pictures that have no digit.  The
        database must be one that the nodes reach: a MySQL server or a Parquet dataset.

        Raises DatabaseError if results cannot be stored, ClusterError if the cluster fails.
        """
        from digit_classification.detection.cluster.connection import Storing

        assert self.database is not None
        paths, named = with_names(paths, named)
        with self._run(named, run_settings(self.settings, None), resume) as session:
            assert session.run_id is not None
            if resume is not None:
                yield Summary.of(session.stored_results(), name_at_most)
            sources = session.not_stored(find_sources(paths))
            options = ReadingOptions.of(self.settings)
            storing = Storing(session.run_id, self.settings.database, self.database)
            reports = cluster.read_and_store(sources, self.model, options, storing, name_at_most)
            for report in reports:
                session.strays += report.strays
                yield report.summary

    def save_to_database(self, results: Sequence[Result]) -> None:
        """Store results in one transaction; without a database, do nothing.

        Raises DatabaseError if they cannot be stored.
        """
        if self.session is not None and self.session.is_open:
            self.session.store(results)
            return
        with self._run([r.path for r in results], run_settings(self.settings, None)) as session:
            session.store(results)

    @contextlib.contextmanager
    def _run(
        self, named: Sequence[str], settings: dict[str, Any], resume: Run | None = None
    ) -> Iterator[Session]:
        """Open a run in the database, and close it in the state in which the block ends."""
        info = run_info(named, self.model, settings)
        self.session = Session(self.database, info, resume)
        with self.session.running():
            yield self.session


def main(argv: list[str] | None = None) -> int:
    """Run the detector; return the exit status."""
    parser = build_parser()
    arguments = parser.parse(argv)
    messages = late_console()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may not fit the terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    predictor = None
    try:
        settings = load_settings(arguments, arguments.config)
        status = done_instead(arguments, settings, parser, messages, program(__file__, argv))
        if status is not None:
            return status
        if arguments.verbose:
            messages.print(settings_text(settings, DETECTOR_SECTIONS))
        if arguments.serve is not None:
            from digit_classification.commands.serve import serve

            with ending_in_order(), standard_error_apart():
                serve(arguments, settings, messages)
        given = given_paths(arguments, parser)
        if arguments.dry_run:
            from digit_classification.commands.detect.plan import print_plan

            print_plan(arguments, settings, given, messages)
            return 0
        with ending_in_order(), standard_error_apart():
            run = DetectorRun(arguments, settings, given, messages)
            # The model comes first: without one, not even an empty database should be made.
            predictor = DigitPredictor(settings=settings, messages=messages)
            with run.opened(predictor.model):
                predictor.database = run.database
                _classify(predictor, run)
                run.finish(predictor.session, predictor.model)
        run.flush_lines()
    except (Exception, KeyboardInterrupt) as error:
        session = None if predictor is None else predictor.session
        return end_early(error, messages, command_to_go_on(session, __file__, argv, arguments))
    run.print_summary()
    return 0 if run.summary.complete else 1


def _classify(predictor: DigitPredictor, run: DetectorRun) -> None:
    """Have the pictures read, here or on a cluster, and hand on what comes of them."""
    if run.cluster is not None and run.results_stay_there:
        summaries = predictor.classify_on_cluster(
            run.cluster,
            run.pictures(),
            named=run.given,
            resume=run.resumed,
            name_at_most=run.summary.named,
        )
        with contextlib.closing(summaries):  # closes the run before the database
            for summary in summaries:
                run.take_summary(summary)
        return
    results = predictor.classify_images(
        run.pictures(),
        named=run.given,
        save_normalized=run.arguments.save_normalized,
        sort_into=run.arguments.sort_into,
        move=run.arguments.move,
        hard_links=run.arguments.hard_links,
        resume=run.resumed,
        review=run.review_meanwhile,
        cluster=run.cluster,
    )
    with contextlib.closing(results):
        for result in results:
            run.take(result)


if __name__ == "__main__":
    starting.imported()
    sys.exit(main())
