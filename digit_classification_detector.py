#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Read the digits in pictures, and store each result in a database.

    python digit_classification_detector.py 7.png
    python digit_classification_detector.py scans/ more.zip 'photos/*.jpg'
    python digit_classification_detector.py scans/ --format csv --output digits.csv
    python digit_classification_detector.py scans/ --labels truth.csv
    find . -name '*.png' -print0 | python digit_classification_detector.py - --database none
    python digit_classification_detector.py --resume
    python digit_classification_detector.py scans/ --sort-into sorted

Results go to the database that config.yaml names, an SQLite file unless that is changed.
The pictures themselves are left alone, unless you say --move.

In Python:

    from digit_classification_detector import DigitPredictor

    prediction = DigitPredictor("digit_classification.keras").predict("7.png")
    print(prediction.digit, prediction.confidence, prediction.status)
"""

from __future__ import annotations

import os

if __name__ == "__main__":
    # NumPy's matrix products on one thread: the others would wait for work by spinning, on the
    # cores that the reading processes use. NumPy looks at this when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import contextlib
import glob
import io
import itertools
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from digit_classification import __version__
from digit_classification.cli.command_line import CommandLine
from digit_classification.cli.interruption import (
    ending_in_order,
    exit_status,
    let_go_of_a_closed_terminal,
)
from digit_classification.cli.native_messages import standard_error_apart
from digit_classification.cli.prompt import typed_paths
from digit_classification.cli.terminal import (
    counter,
    discard,
    error_text,
    make_console,
    progress_bar,
)
from digit_classification.config import (
    DatabaseSettings,
    Settings,
    SettingsError,
    add_setting,
    load_settings,
)
from digit_classification.detection.cluster.error import ClusterError
from digit_classification.detection.destinations import (
    DestinationError,
    StandardOutput,
    check_destinations,
    make_folders,
    open_output,
    write_normalized,
)
from digit_classification.detection.history import print_runs, review_run, show_run
from digit_classification.detection.named_runs import LATEST, UnknownRun
from digit_classification.detection.reading import (
    Batch,
    judge,
    judge_crashed,
    judge_each,
    read_and_judge,
)
from digit_classification.detection.resuming import (
    ResumeError,
    check_same,
    find_run,
    resume_command,
    run_settings,
)
from digit_classification.detection.sorting import Sorter, SortingError
from digit_classification.detection.summary import NAMED, Summary
from digit_classification.detection.truth import LabelsError, Score, print_score, read_truth
from digit_classification.detection.writers import FORMATS, as_text, format_of, make_writer
from digit_classification.files import PlaceError
from digit_classification.names import printable
from digit_classification.network.model_file import ModelError, load_model
from digit_classification.parallel import in_batches, map_in_parts
from digit_classification.pictures import images
from digit_classification.pictures.decode import Limits, Picture, decode
from digit_classification.pictures.prepare import (
    Prepared,
    crashed,
    is_waited_for,
    prepare,
    prepare_many,
)
from digit_classification.pictures.sources import Source, SourceError, expand, find_sources, is_zip
from digit_classification.pictures.standard_input import read_stdin
from digit_classification.reports.review import About, Review, ReviewError
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.opening import (
    Database,
    at_the_nodes,
    check_database,
    open_database,
    reachable_by_nodes,
)
from digit_classification.results.records import Result, Run, RunInfo
from digit_classification.settings import PASSWORD_VARIABLE, settings_text
from digit_classification.urls import in_object_store

if TYPE_CHECKING:
    from digit_classification.detection.cluster.connection import Cluster
    from digit_classification.detection.cluster.tasks import Job

PROMPT = "Enter the image path or directory: "
DETECTOR_SECTIONS = ("model", "detection")  # without the database: its URL may hold a password
# What the user can put right on the command line.
USER_ERRORS = (
    ClusterError,
    DestinationError,
    LabelsError,
    ModelError,
    PlaceError,
    ResumeError,
    ReviewError,
    SettingsError,
    SortingError,
    SourceError,
    UnknownRun,
)

EXIT_STATUS = """\
exit status:
  0    all pictures are classified
  1    some are not: unreadable, or rejected because they show no single digit
  2    the command line, a setting or the model is wrong
  3    the database fails
  130  interrupted with Ctrl-C; what was classified until then is stored
  143  the same with SIGTERM, 129 with SIGHUP (a closed terminal)
  141  nobody reads the lines any more, as in `| head`, and nothing else was asked for
A run that stopped before its end prints the command that goes on with it.
"""

CLOSED_PIPE = 141  # the exit status: 128 and SIGPIPE, as shells know it of other programs
ONE_BY_ONE = 10  # pictures that are named one by one, and so get a line each and no table
RUNS = 20  # that --runs lists without a number
LOOKUP = 500  # pictures that a resumed run looks up in the database at a time


class DigitPredictor:
    """Reads digits with a saved model, and stores the results.

    `database` is where `classify_images` and `save_to_database` store; None stores nothing.
    Without `settings` those of config.yaml and the environment apply.  `output` and `messages` are
    rich consoles: `predict` prints digit and confidence on `output`, if there is one.

    Raises SettingsError if a setting is wrong, ModelError if the model cannot be used.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        settings: Settings | None = None,
        database: Database | None = None,
        output: Console | None = None,
        messages: Console | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        self.output = output
        self.messages = messages or make_console(stderr=True)
        self.limits = Limits(**self.settings.images.model_dump())
        path = Path(model) if model is not None else self.settings.model.path
        self.model = load_model(path, notice=self.messages.print)
        self.database = database
        self.run_id: str | None = None  # of the open run, under which results are stored
        self.last_run_id: str | None = None  # of the run closed last
        self.stopped_run_id: str | None = None  # the same, if that run did not reach its end
        self.strays: list[str] = []  # files found in folders that are no pictures
        self.stored_before = 0  # results that a resumed run had already

    def preprocess_image(self, picture: Picture) -> Prepared:
        """Load one picture and bring it to the form that the network was trained on.

        Returns it with `digit`, (28, 28) uint8, light ink on dark; or without, and why in `error`.

        Raises TypeError if it is nothing that could hold a picture.
        """
        invert = self.settings.detection.invert
        if isinstance(picture, str | os.PathLike):
            path = os.fspath(picture)
            return prepare(Source(name=path, path=path, explicit=True), invert, self.limits)
        _check_picture(picture)
        if not isinstance(picture, np.ndarray | Image.Image):
            content = picture if isinstance(picture, bytes) else picture.read()
            source = Source(name="", path="", explicit=True, content=content)
            return prepare(source, invert, self.limits)
        source = Source(name="", path="", explicit=True)
        try:
            decoded = decode(picture, self.limits)
            seen = images.normalize(decoded.pixels, invert=invert)
        except images.ImageError as error:
            return Prepared(source, error=str(error))
        return Prepared(source, digit=seen.digit, rejection=seen.rejection, note=decoded.note)

    @overload
    def predict(self, picture: Picture) -> Result: ...
    @overload
    def predict(self, picture: list[Any] | tuple[Any, ...]) -> list[Result]: ...

    def predict(self, picture: Picture | list[Any] | tuple[Any, ...]) -> Result | list[Result]:
        """Read the digit in a path, bytes, a file object, a Pillow image or a NumPy array.

        An array is (h, w) or (h, w, 3 or 4): uint8, uint16, bool, or floats from 0 to 1.
        A picture that cannot be read gives a result with status `error`.
        Of a list or a tuple of pictures the results are returned in a list.

        Raises TypeError if it is none of these.
        """
        several = isinstance(picture, list | tuple)
        pictures = picture if isinstance(picture, list | tuple) else [picture]
        results = self._judge([self.preprocess_image(each) for each in pictures])
        if self.output is not None:
            for result in results:
                self.output.print(as_text(result, with_path=several and bool(result.path)))
        return results if several else results[0]

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
        if named is None:
            paths = list(paths)
            named = [path.name if isinstance(path, Source) else path for path in paths]
        self.stored_before = 0
        sources = find_sources(paths)
        recorded = run_settings(self.settings, sort_into, move=move, hard_links=hard_links)
        with self._run(named, recorded, resume):
            sorter = None
            if sort_into is not None:
                run_id = self.run_id or str(os.getpid())
                sorter = Sorter(sort_into, run_id=run_id, move=move, hard_links=hard_links)
            if resume is not None:
                yield from self._stored_results()
                sources = self._not_stored(sources, sorter)
            if cluster is None:
                batches = self._read(
                    sources,
                    with_thumbnails=review is not None,
                    with_digits=review is not None or save_normalized is not None,
                )
            else:
                job = self._job(
                    with_thumbnails=review is not None,
                    with_digits=review is not None or save_normalized is not None,
                )
                batches = cluster.read(job, self._model_file(), sources)
            written = self.stored_before
            for batch in batches:
                self.strays += batch.strays
                results = batch.results
                if save_normalized is not None:
                    write_normalized(save_normalized, batch.pictures, first=written + 1)
                    written += len(results)
                if review is not None:
                    review.add(results, batch.pictures)
                if sorter is None:
                    self.save_to_database(results)
                else:
                    results = sorter.choose(results, [image.source for image in batch.pictures])
                    self.save_to_database(results)
                    self._settle(sorter, results, [image.source for image in batch.pictures])
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
        assert self.database is not None
        if named is None:
            paths = list(paths)
            named = [path.name if isinstance(path, Source) else path for path in paths]
        self.stored_before = 0
        sources = find_sources(paths)
        with self._run(named, run_settings(self.settings, None), resume):
            if resume is not None:
                yield Summary.of(self._stored_results(), name_at_most)
                sources = self._not_stored(sources, None)
            assert self.run_id is not None
            job = self._job(
                named=name_at_most,
                run_id=self.run_id,
                first_part=self.database.next_part(self.run_id),
                database=at_the_nodes(self.settings.database),
                password=os.environ.get(PASSWORD_VARIABLE),
            )
            for report in cluster.read_and_store(job, self._model_file(), sources, self.database):
                self.strays += report.strays
                yield report.summary

    def _read(
        self, sources: Iterable[Source], *, with_thumbnails: bool, with_digits: bool
    ) -> Iterator[Batch]:
        """Read and classify on this machine, a batch at a time."""
        detection, network = self.settings.detection, self.model.network
        size = detection.batch_size
        if self.model.made_elsewhere:  # which one process of its own computes, for all others
            prepare_some = partial(
                prepare_many,
                invert=detection.invert,
                limits=self.limits,
                thumbnail=with_thumbnails,
            )
            prepared = map_in_parts(
                prepare_some, sources, detection.workers, crashed, is_waited_for
            )
            for some in in_batches(prepared, size):
                yield Batch.of(judge_each(some, network, detection.min_confidence))
            return
        read = partial(
            read_and_judge,
            network=network,
            min_confidence=detection.min_confidence,
            invert=detection.invert,
            limits=self.limits,
            with_thumbnails=with_thumbnails,
            with_digits=with_digits,
        )
        judged = map_in_parts(read, sources, detection.workers, judge_crashed, is_waited_for)
        for batch in in_batches(judged, size):
            yield Batch.of(batch)

    def _job(self, **more: Any) -> Job:
        """Return what the nodes of a cluster should know."""
        from digit_classification.detection.cluster.tasks import Job

        detection = self.settings.detection
        return Job(
            folder=os.getcwd(),
            model_path=str(self.model.path),
            model_sha256=self.model.sha256,
            invert=detection.invert,
            limits=self.limits,
            min_confidence=detection.min_confidence,
            chunk_size=detection.batch_size,
            **more,
        )

    def _model_file(self) -> bytes:
        try:
            return self.model.path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"The model '{self.model.path}' cannot be read: {error.strerror}: check --model."
            ) from None

    def _stored_results(self) -> Iterator[Result]:
        """Yield what the open run, which was resumed, has in the database."""
        assert self.database is not None
        assert self.run_id is not None
        for row in self.database.rows(self.run_id):
            self.stored_before += 1
            yield row.as_result()

    def _not_stored(self, sources: Iterator[Source], sorter: Sorter | None) -> Iterator[Source]:
        """Yield the sources that the open run has no result of; finish sorting the others."""
        assert self.database is not None
        assert self.run_id is not None
        while chunk := list(itertools.islice(sources, LOOKUP)):
            names = [source.name for source in chunk]
            if sorter is None:
                found = self.database.stored(self.run_id, names)
                yield from (source for source in chunk if source.name not in found)
                continue
            assert isinstance(self.database, ResultsDatabase)  # as for everyone who sorts
            rows = self.database.find(self.run_id, names)
            stored = [source for source in chunk if source.name in rows]
            results = []
            for source in stored:
                result = rows[source.name].as_result()
                place = sorter.stored_place(result, source)
                results.append(replace(result, path=source.name, sorted_to=place))
            self._settle(sorter, results, stored, resumed=True)
            yield from (source for source in chunk if source.name not in rows)

    def _settle(
        self,
        sorter: Sorter,
        results: Sequence[Result],
        sources: Sequence[Source],
        *,
        resumed: bool = False,
    ) -> None:
        """Bring pictures to their places, and record in the database which go elsewhere."""

        def record(result: Result, place: str | None) -> None:
            if isinstance(self.database, ResultsDatabase) and self.run_id is not None:
                self.database.set_sorted_to(self.run_id, result.path, place)

        sorter.settle(results, sources, record, resumed=resumed)

    def save_to_database(self, results: Sequence[Result]) -> None:
        """Store results in one transaction; without a database, do nothing.

        Raises DatabaseError if they cannot be stored.
        """
        if self.database is None:
            return
        if self.run_id is None:
            named = [result.path for result in results]
            with self._run(named, run_settings(self.settings, None)):
                self.save_to_database(results)
            return
        self.database.add(self.run_id, results)

    @contextlib.contextmanager
    def _run(
        self, named: Sequence[str], settings: dict[str, Any], resume: Run | None = None
    ) -> Iterator[None]:
        """Open a run in the database, and close it in the state in which the block ends."""
        if self.database is None:
            yield
            return
        try:
            if resume is None:
                self.run_id = self.database.start_run(self._run_info(named, settings))
            else:
                self.run_id = resume.info.id
                self.database.reopen_run(self.run_id)
            yield
            self.database.finish_run(self.run_id, "finished")
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | GeneratorExit)
            self.stopped_run_id = self.run_id
            if self.run_id is not None:
                with contextlib.suppress(DatabaseError):  # the error that ended the run is the news
                    self.database.finish_run(
                        self.run_id, "interrupted" if stopped else "failed", wait=False
                    )
            raise
        finally:
            self.last_run_id, self.run_id = self.run_id, None

    def _run_info(self, named: Sequence[str], settings: dict[str, Any]) -> RunInfo:
        return RunInfo(
            sources=list(named),
            model_path=str(self.model.path),
            model_sha256=self.model.sha256,
            model_version=(self.model.card or {}).get("created"),
            program_version=__version__,
            settings=settings,
        )

    def _judge(self, batch: Sequence[Prepared]) -> list[Result]:
        return judge(batch, self.model.network, self.settings.detection.min_confidence)


def _check_picture(picture: object) -> None:
    """Raise TypeError unless this could hold a picture; a path is known by then to be none."""
    if isinstance(picture, io.TextIOBase):
        raise TypeError("The file is open as text: open it with mode 'rb', or pass its path.")
    if not isinstance(picture, bytes | Image.Image | np.ndarray) and not hasattr(picture, "read"):
        raise TypeError(
            "A picture is a path, bytes, a binary file, a Pillow image or a NumPy array, not"
            f" {type(picture).__name__}: pass one of these, or a list of them."
        )


# --------------------------------------------------------------------------------- command line


def build_parser() -> CommandLine:
    parser = CommandLine(
        "Read the digits in pictures, and store each result in a database.",
        exit_status=EXIT_STATUS,
        example="scans/ --format csv --output digits.csv",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="picture, folder (with all below it), zip or pattern; - reads standard input: paths, "
        "one a line or each with a NUL behind it, or the bytes of one picture",
    )
    reading = parser.add_group("reading", example="photos/ --invert always --save-normalized seen")
    add_setting(reading, "--model", "model.path", metavar="FILE")
    add_setting(reading, "--min-confidence", "detection.min_confidence", metavar="SHARE")
    add_setting(reading, "--invert", "detection.invert", metavar="auto|always|never")
    add_setting(reading, "--workers", "detection.workers", metavar="N")
    reading.add_argument(
        "--save-normalized",
        type=Path,
        metavar="DIR",
        help="write what the network sees, a 28x28 PNG for each picture, into the new folder DIR",
    )
    reading.add_argument(
        "--cluster",
        metavar="ADDRESS|local",
        help="read on the Ray cluster whose head is at ADDRESS, or on one that is started here",
    )
    results = parser.add_group(
        "results", example="scans/ --database none --format jsonl --output -"
    )
    add_setting(results, "--database", "database.url", metavar="URL")
    results.add_argument(
        "--format",
        choices=FORMATS,
        help="print a line for each picture, or with --runs for each run (default: what the name "
        f"of --output ends in, or text; lines for up to {ONE_BY_ONE} pictures named one by one)",
    )
    results.add_argument(
        "--output", metavar="FILE", help="write these lines to FILE; - is standard output"
    )
    results.add_argument(
        "--top-k",
        type=_up_to_ten,
        metavar="K",
        help="print a line for each picture, with its K most probable digits",
    )
    results.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        help="compare with the right digits, from a CSV file with the columns path and digit: "
        "print how many are right, the confusion matrix and the mistakes; with --show, of that run",
    )
    results.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the review page, a new HTML file: the pictures, least certain first, to look "
        "through and to correct; with --show, of that run",
    )
    sorting = parser.add_group("sorting", example="scans/ --sort-into sorted")
    sorting.add_argument(
        "--sort-into",
        metavar="DIR",
        help="put a copy of each picture into the folder DIR/7 for a 7 and so on, DIR/uncertain "
        "or DIR/rejected; a copy that is there already is not made again",
    )
    sorting.add_argument(
        "--move",
        action="store_true",
        help="with --sort-into: move the pictures instead; what is in a zip is copied",
    )
    sorting.add_argument(
        "--hard-links",
        action="store_true",
        help="with --sort-into: instead of copies, second names of the same files where the file "
        "system can do that; a change to one is a change to both",
    )
    history = parser.add_group("earlier runs", example="--show latest --format csv")
    history.add_argument(
        "--resume",
        nargs="?",
        const=LATEST,
        metavar="RUN",
        help="go on with a run that stopped before its end; without RUN, with the latest such run",
    )
    history.add_argument(
        "--runs",
        nargs="?",
        const=RUNS,
        type=_count,
        metavar="N",
        help=f"list the N newest of the stored runs; without N, {RUNS}",
    )
    history.add_argument(
        "--show",
        metavar="RUN",
        help="print the stored results of a run, named by the beginning of its name; `latest` is "
        "the last one",
    )
    parser.add_general_options(
        dry_run="say what would be read and where results would go; read and store nothing",
        quiet="print neither progress nor summary",
        verbose="name every picture that has no digit, and print the settings",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs, such as 50")
    return int(text)


def _up_to_ten(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run the detector; return the exit status."""
    parser = build_parser()
    arguments = parser.parse(argv)
    messages = make_console(stderr=True)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may not fit the terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    detection = None
    try:
        settings = load_settings(arguments, arguments.config)
        if arguments.runs is not None or arguments.show is not None:
            if arguments.dry_run:
                parser.error("--dry-run is for a run: leave it out with --runs and --show")
            status = _look_back(arguments, settings, messages)
            sys.stdout.flush()  # a closed pipe shows here
            return status
        if arguments.verbose:
            messages.print(settings_text(settings, DETECTOR_SECTIONS))
        given = arguments.paths
        if not given and arguments.resume is None:
            given = _ask_for_path(parser)
        if arguments.dry_run:
            _print_plan(arguments, settings, given, messages)
            return 0
        detection = _Detection(arguments, settings, messages)
        detection.run(given)
        detection.flush_lines()
    except USER_ERRORS as error:
        status, message = 2, error_text(error)
    except DatabaseError as error:
        status, message = 3, error_text(error)
    except KeyboardInterrupt as interruption:
        let_go_of_a_closed_terminal()
        stored = detection is not None and detection.stopped_run_id is not None
        status = exit_status(interruption)
        kept = ": what was classified until then is stored" if stored else ""
        message = Text(f"Interrupted{kept}.")
    except BrokenPipeError:  # whoever read standard output has seen enough, as in `| head`
        discard(sys.stdout.fileno())
        return CLOSED_PIPE
    except OSError as error:  # all that writes names what it writes; so this is something else
        status = 2
        message = error_text(f"The run cannot go on: {error}: see to this system's limits.")
    else:
        detection.print_summary()
        return 0 if detection.summary.complete else 1
    messages.print(message)
    if detection is not None and detection.stopped_run_id is not None:
        command = _command(detection.stopped_run_id, argv, arguments.resume)
        messages.print(f"To go on with the run:\n{command}")
    return status


class _Detection:
    """What the command line asks for, when it asks for pictures to be read."""

    def __init__(
        self, arguments: argparse.Namespace, settings: Settings, messages: Console
    ) -> None:
        self.arguments = arguments
        self.settings = settings
        self.messages = messages
        self.summary = Summary(named=None if arguments.verbose else NAMED)
        self.predictor: DigitPredictor | None = None
        self.cluster: Cluster | None = None
        self.given: list[str] = []  # paths as on the command line, of this run or the resumed one
        self.piped: Source | Iterator[str] = iter(())  # what stands for - among them
        self.one_by_one = False  # whether each picture is named, and gets a line and no table
        self.score: Score | None = None  # with --labels

    @property
    def stopped_run_id(self) -> str | None:
        """The run that did not reach its end, if it has begun and results of it are stored."""
        return None if self.predictor is None else self.predictor.stopped_run_id

    def run(self, given: list[str]) -> None:
        """Read all pictures, store and print their results, and write the review page."""
        arguments = self.arguments
        with contextlib.ExitStack() as stack:
            stack.enter_context(ending_in_order())
            stack.enter_context(standard_error_apart())
            self.given = given
            if arguments.labels is not None:
                self.score = Score(read_truth(arguments.labels))
            paths = _expand_all(given) if arguments.resume is None else []
            # The model comes first: without one, not even an empty database should be made.
            predictor = DigitPredictor(settings=self.settings, messages=self.messages)
            resumed = arguments.resume is not None
            check_destinations(arguments, self.settings, paths, resumed=resumed)
            if not resumed:
                _refuse_nothing(paths, given)
            self.predictor = predictor
            predictor.database = _open_database(self.settings.database, stack, self.messages)
            run = None
            if resumed:
                run, paths = self._find_run(predictor)
                check_destinations(arguments, self.settings, paths, resumed=True)
            if "-" in paths:
                self.piped = read_stdin()
            self.one_by_one = _are_named(paths, self.piped)
            write = _open_output(
                arguments,
                stack,
                lines=self.one_by_one,
                with_path=not (self.one_by_one and len(paths) == 1),
                or_end=not self._more_than_lines(predictor),
            )
            make_folders(arguments)
            review = None
            if arguments.report is not None:
                review = stack.enter_context(Review.open(arguments.report))
            if arguments.cluster is not None:
                self.cluster = stack.enter_context(_connect(arguments, self.messages))
            progress = stack.enter_context(progress_bar(self.messages, quiet=arguments.quiet))
            count = self._start_counting(progress, paths)
            if self.cluster is not None and self._results_stay_there(predictor):
                self._leave_results_there(predictor, self.cluster, paths, run, count)
            else:
                self._bring_results_here(predictor, paths, run, write, review, count)
            if not self.summary.statuses.total():
                raise _nothing_found(self.given)
            if review is not None:
                self._write_review(predictor, review, run, progress)

    def _find_run(self, predictor: DigitPredictor) -> tuple[Run, list[str]]:
        """Return the run to go on with, and its paths; raises ResumeError if it cannot be."""
        arguments = self.arguments
        run, paths = _find_run(
            predictor.database, arguments, self.settings, self.given, predictor.model.sha256
        )
        self.given = list(run.info.sources)
        return run, paths

    def _start_counting(self, progress: Progress, paths: Sequence[str]) -> Callable[..., None]:
        task = progress.add_task("Reading digits", total=None)
        if not progress.disable and "-" not in paths:
            _count_meanwhile(paths, lambda total: progress.update(task, total=total))
        return counter(progress, task)

    def _bring_results_here(
        self,
        predictor: DigitPredictor,
        paths: Sequence[str],
        run: Run | None,
        write: Callable[[Result], None],
        review: Review | None,
        count: Callable[..., None],
    ) -> None:
        """Take every result, for whoever prints, sorts or shows it, or has a local database."""
        results = predictor.classify_images(
            _with_stdin(paths, self.piped),
            named=self.given,
            save_normalized=self.arguments.save_normalized,
            sort_into=self.arguments.sort_into,
            move=self.arguments.move,
            hard_links=self.arguments.hard_links,
            resume=run,
            review=review if run is None else None,
            cluster=self.cluster,
        )
        with contextlib.closing(results):  # closes the run before the database
            for result in results:
                write(result)
                self.summary.add(result)
                if self.score is not None:
                    self.score.add(result)
                count()

    def flush_lines(self) -> None:
        """Write the last lines out; raises BrokenPipeError if the run was for nothing else."""
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            if self.predictor is None or not self._more_than_lines(self.predictor):
                raise
            discard(sys.stdout.fileno())

    def _more_than_lines(self, predictor: DigitPredictor) -> bool:
        """Whether the run is for more than its lines, and goes on when nobody reads them."""
        arguments = self.arguments
        return predictor.database is not None or any(
            (arguments.save_normalized, arguments.report, arguments.sort_into)
        )

    def _results_stay_there(self, predictor: DigitPredictor) -> bool:
        """Whether the nodes of a cluster can store the results, and nobody wants them here."""
        arguments = self.arguments
        wanted = (
            arguments.format,
            arguments.output,
            arguments.top_k,
            arguments.labels,
            arguments.save_normalized,
            arguments.report,
            arguments.sort_into,
        )
        return (
            predictor.database is not None
            and reachable_by_nodes(self.settings.database)
            and not any(wanted)
            and not self.one_by_one
        )

    def _leave_results_there(
        self,
        predictor: DigitPredictor,
        cluster: Cluster,
        paths: Sequence[str],
        run: Run | None,
        count: Callable[..., None],
    ) -> None:
        summaries = predictor.classify_on_cluster(
            cluster,
            _with_stdin(paths, self.piped),
            named=self.given,
            resume=run,
            name_at_most=self.summary.named,
        )
        with contextlib.closing(summaries):
            for summary in summaries:
                self.summary.merge(summary)
                count(summary.statuses.total())

    def _write_review(
        self, predictor: DigitPredictor, review: Review, run: Run | None, progress: Progress
    ) -> None:
        labels = {} if self.score is None else self.score.labels()
        if run is None:
            writing = partial(progress.track, description="Writing the review page")
            review.write(replace(_about(self.given, predictor), labels=labels), writing)
        elif predictor.database is not None:  # with the pictures of before the interruption
            path = self.arguments.report
            _review_stored(predictor.database, run.info.id, path, progress, self.settings, labels)

    def print_summary(self) -> None:
        """Tell the person who started the run what it came to."""
        arguments, predictor = self.arguments, self.predictor
        if self.score is not None:
            _print_score(arguments, self.score, self.messages, lines=self.one_by_one)
        if arguments.quiet or predictor is None:
            return
        if not self.one_by_one:
            self.summary.print(self.messages, predictor.strays, predictor.stored_before)
        if self.cluster is not None:
            self.cluster.print_nodes(self.messages)
        if arguments.sort_into is not None:
            verb = "Moved" if arguments.move else "Linked" if arguments.hard_links else "Copied"
            self.messages.print(f"{verb} to {printable(arguments.sort_into)}")
        if predictor.database is not None and not self.one_by_one:
            run = predictor.last_run_id
            self.messages.print(f"Stored in {predictor.database.url}, run {run}")
        if arguments.report:
            self.messages.print(f"Review page: {printable(str(arguments.report))}")


def _connect(
    arguments: argparse.Namespace, messages: Console
) -> contextlib.AbstractContextManager[Cluster]:
    # Only those who have a cluster need Ray.
    from digit_classification.detection.cluster.connection import Cluster

    return Cluster.connect(arguments.cluster, messages.print)


def _command(run_id: str, argv: list[str] | None, resumed: str | None) -> str:
    """Return the command that goes on with the run of this process, or of `main(argv)`."""
    if argv is not None:
        return resume_command(run_id, [sys.executable, __file__], argv, resumed)
    words = sys.argv[1:]
    program = sys.orig_argv[: len(sys.orig_argv) - len(words)]  # python, as it was called
    return resume_command(run_id, program, words, resumed)


def _count_meanwhile(paths: Sequence[str], tell: Callable[[int], None]) -> threading.Thread:
    """Count the pictures while the first are read already, so that the time left can be told."""

    def count() -> None:
        with contextlib.suppress(SourceError):
            tell(sum(1 for _ in find_sources(paths)))

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    return thread


def _print_plan(
    arguments: argparse.Namespace, settings: Settings, given: Sequence[str], messages: Console
) -> None:
    """List the files, check the rest, and say what a run would do; write nothing.

    Raises what the run would raise before it reads the first picture.
    """
    paths = _expand_all(given) if arguments.resume is None else []
    model = load_model(settings.model.path, notice=messages.print)
    resumed = arguments.resume is not None
    check_destinations(arguments, settings, paths, resumed=resumed)
    check_database(settings.database)
    stored = 0
    if resumed:
        with contextlib.ExitStack() as stack:
            database = _open_database(settings.database, stack, messages, read_only=True)
            run, paths = _find_run(database, arguments, settings, given, model.sha256)
            assert database is not None
            stored = sum(1 for _ in database.rows(run.info.id))
        given = run.info.sources
        check_destinations(arguments, settings, paths, resumed=True)
    if arguments.cluster is not None:
        from digit_classification.detection.cluster.connection import check_cluster

        check_cluster(arguments.cluster)
    piped = read_stdin() if "-" in paths else iter(())
    sources = list(find_sources(_with_stdin(paths, piped)))
    if not (sources or resumed):
        raise _nothing_found(given)
    others = sum(not source.claims_image for source in sources)
    created = f", made {model.card['created']}" if model.card else ""
    url = settings.database.url
    # A MySQL URL is not repeated before it is checked: it may hold a password.
    store = {"none": "nothing", "mysql": "the results in MySQL"}.get(url.split(":")[0])
    plan = [
        f"Would read {len(sources):,} files in {', '.join(map(printable, given))}"
        + (f", {others:,} of them no pictures by their names" if others else ""),
        f"  with the model {model.path}{created}",
        f"  store {store or f'the results in {url}'}",
    ]
    if resumed:
        plan.append(f"  go on with run {run.info.id}, which has {stored:,} results already")
    if arguments.cluster:
        plan.append(f"  on the cluster {printable(arguments.cluster)}")
    lines = _are_named(paths, piped)
    if _wants_lines(arguments) or lines:
        output = "standard output" if arguments.output in (None, "-") else arguments.output
        plan.append(f"  print them as {_format(arguments)} to {output}")
    if arguments.labels is not None:
        answers = len(read_truth(arguments.labels).answers)
        plan.append(f"  compare them with {answers:,} answers in {arguments.labels}")
    if arguments.save_normalized is not None:
        plan.append(f"  write what the network sees into {arguments.save_normalized}")
    if arguments.report is not None:
        plan.append(f"  write the review page {arguments.report}")
    if arguments.sort_into is not None:
        verb = "move" if arguments.move else "link" if arguments.hard_links else "copy"
        plan.append(f"  {verb} the pictures into folders below {printable(arguments.sort_into)}")
    make_console().print("\n".join([*plan, "Nothing was written."]))


def _refuse_nothing(paths: Sequence[str], given: Sequence[str]) -> None:
    """Raise SourceError if the paths lead to no file, before anything is made or written."""
    # A list, and a store that `expand` has asked.
    if "-" in paths or any(map(in_object_store, paths)):
        return
    if next(find_sources(paths), None) is None:
        raise _nothing_found(given)


def _nothing_found(given: Sequence[str]) -> SourceError:
    named = ", ".join(map(printable, given))
    return SourceError(f"No picture was found in '{named}': check the path.")


def _about(given: Sequence[str], predictor: DigitPredictor) -> About:
    return About(
        sources=given,
        model=predictor.model.path.name,
        min_confidence=predictor.settings.detection.min_confidence,
        finished=datetime.now(timezone.utc),
        run=predictor.last_run_id,
    )


def _look_back(arguments: argparse.Namespace, settings: Settings, messages: Console) -> int:
    """Print stored runs or results instead of classifying."""
    with contextlib.ExitStack() as stack:
        check_destinations(arguments, settings, [])
        database = _open_database(settings.database, stack, messages, read_only=True)
        if database is None:
            raise SettingsError("The database is none: name one with --database.")
        if arguments.runs is not None:
            stream = _output_stream(arguments.output, stack)
            width = make_console().width
            print_runs(
                database, _format(arguments), stream, messages, limit=arguments.runs, width=width
            )
            return 0
        score = None if arguments.labels is None else Score(read_truth(arguments.labels))
        lines = _wants_lines(arguments) or not (arguments.report or score)
        write = _open_output(arguments, stack, lines=lines)
        if score is not None or lines:
            show_run(database, arguments.show, write, messages, score)
        if score is not None:
            _print_score(arguments, score, messages, lines=lines)
        if arguments.report:
            labels = {} if score is None else score.labels()
            path = arguments.report
            with progress_bar(messages, quiet=arguments.quiet) as progress:
                _review_stored(database, arguments.show, path, progress, settings, labels)
            messages.print(f"Review page: {printable(str(path))}")
    return 0


def _print_score(
    arguments: argparse.Namespace, score: Score, messages: Console, *, lines: bool
) -> None:
    """Print it as the result that it is, unless lines for programs are on standard output."""
    lines = (lines or _wants_lines(arguments)) and arguments.output in (None, "-")
    output = messages if lines else make_console()
    print_score(output, score, None if arguments.verbose else NAMED)


def _review_stored(
    database: Database,
    run_id: str,
    path: Path,
    progress: Progress,
    settings: Settings,
    labels: Mapping[str, int | None],
) -> None:
    workers, limits = settings.detection.workers, Limits(**settings.images.model_dump())
    review_run(database, run_id, path, progress, workers=workers, limits=limits, labels=labels)


def _ask_for_path(parser: argparse.ArgumentParser) -> list[str]:
    """Ask a person for a path; where there is none, the command line lacks one."""
    if sys.stdin is not None and sys.stdin.isatty():
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            if paths := typed_paths(input(PROMPT)):
                return paths
    return parser.error("name a picture, a folder or a zip")


def _find_run(
    database: Database | None,
    arguments: argparse.Namespace,
    settings: Settings,
    given: Sequence[str],
    model_sha256: str,
) -> tuple[Run, list[str]]:
    """Return the run to go on with, and its paths; raises ResumeError if it cannot be."""
    if database is None:
        raise ResumeError("The database is none: name the one of the run with --database.")
    run = find_run(database, arguments.resume)
    if "-" in run.info.sources and sys.stdin is not None and sys.stdin.isatty():
        raise ResumeError(
            f"Run {run.info.id} reads paths from standard input: pipe the same list in again."
        )
    chosen = run_settings(
        settings, arguments.sort_into, move=arguments.move, hard_links=arguments.hard_links
    )
    check_same(run, given=given, settings=chosen, model_sha256=model_sha256)
    return run, _expand_again(run.info.sources)


def _expand_all(given: Sequence[str]) -> list[str]:
    """Return the paths that the command line names; raises SourceError if one is not there."""
    return [path for each in given for path in ([each] if each == "-" else expand(each))]


def _expand_again(given: Sequence[str]) -> list[str]:
    """Return the paths of a resumed run: what is gone meanwhile, it may have moved itself."""
    paths = []
    for each in given:
        try:
            paths += _expand_all([each])
        except SourceError:
            paths += [] if glob.has_magic(each) else [each]
    return paths


def _with_stdin(paths: Sequence[str], piped: Source | Iterator[str]) -> Iterator[str | Source]:
    """Yield the paths, and in the place of the first - what is on standard input."""
    for path in paths:
        if path != "-":
            yield path
        elif isinstance(piped, Source):
            yield piped
        else:
            yield from piped


def _are_named(paths: Sequence[str], piped: Source | Iterator[str]) -> bool:
    """Whether the user asks about these pictures, and so wants their digits and not a summary."""
    return 1 <= len(paths) <= ONE_BY_ONE and all(
        isinstance(piped, Source) if path == "-" else os.path.isfile(path) and not is_zip(path)
        for path in paths
    )


def _wants_lines(arguments: argparse.Namespace) -> bool:
    wanted = (arguments.format, arguments.output, arguments.top_k)
    return any(each is not None for each in wanted)


def _format(arguments: argparse.Namespace) -> str:
    return arguments.format or format_of(arguments.output)


def _open_output(
    arguments: argparse.Namespace,
    stack: contextlib.ExitStack,
    *,
    lines: bool,
    with_path: bool = True,
    or_end: bool = True,
) -> Callable[[Result], None]:
    """Return what is done with each result: written, with `lines` or if the user asks for it.

    If whoever reads standard output goes away, the results are dropped; with `or_end`, writing
    raises BrokenPipeError.

    Raises DestinationError if the output file cannot be written.
    """
    if not lines and not _wants_lines(arguments):
        return lambda result: None
    stream = _output_stream(arguments.output, stack, or_end=or_end)
    top_k = arguments.top_k or 1
    return make_writer(_format(arguments), stream, top_k=top_k, with_path=with_path)


def _output_stream(
    output: str | None, stack: contextlib.ExitStack, *, or_end: bool = True
) -> io.TextIOBase:
    if output is None or output == "-":
        return stack.enter_context(StandardOutput(or_end=or_end))
    return stack.enter_context(open_output(Path(output)))


def _open_database(
    settings: DatabaseSettings,
    stack: contextlib.ExitStack,
    messages: Console,
    *,
    read_only: bool = False,
) -> Database | None:
    database = open_database(settings, read_only=read_only, notice=messages.print)
    if database is not None:
        stack.callback(database.close)
    return database


if __name__ == "__main__":
    sys.exit(main())
