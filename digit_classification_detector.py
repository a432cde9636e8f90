#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Read the digits in pictures, and store each result in a database.

    python digit_classification_detector.py 7.png
    python digit_classification_detector.py scans/ more.zip 'photos/*.jpg'
    python digit_classification_detector.py scans/ --format csv --output digits.csv
    find . -name '*.png' | python digit_classification_detector.py - --database none
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

# NumPy's matrix products on one thread: the others would wait for work by spinning, on the cores
# that the reading processes use. NumPy looks at this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import contextlib
import glob
import io
import itertools
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

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
from digit_classification.cli.terminal import (
    counter,
    discard,
    error_text,
    make_console,
    progress_bar,
)
from digit_classification.config import (
    PASSWORD_VARIABLE,
    DatabaseSettings,
    Settings,
    SettingsError,
    add_setting,
    load_settings,
    settings_text,
)
from digit_classification.detection.cluster.error import ClusterError
from digit_classification.detection.history import print_runs, review_run, show_run
from digit_classification.detection.reading import (
    Batch,
    judge,
    judge_crashed,
    judge_each,
    read_and_judge,
)
from digit_classification.detection.resuming import (
    LATEST,
    ResumeError,
    check_same,
    find_run,
    resume_command,
    run_settings,
)
from digit_classification.detection.sorting import Sorter, SortingError
from digit_classification.detection.summary import NAMED, Summary
from digit_classification.detection.writers import FORMATS, TextStream, UntilClosed, make_writer
from digit_classification.network.model_file import ModelError, load_model
from digit_classification.pictures import images
from digit_classification.pictures.decode import Limits, Picture, decode
from digit_classification.pictures.native_messages import standard_error_apart
from digit_classification.pictures.object_store import is_url
from digit_classification.pictures.pipeline import (
    Prepared,
    crashed,
    in_batches,
    map_in_parts,
    prepare,
    prepare_many,
)
from digit_classification.pictures.sources import (
    IMAGE_SUFFIXES,
    Source,
    SourceError,
    expand,
    find_sources,
    is_zip,
    printable,
    stdin_paths,
)
from digit_classification.reports.review import About, Review, ReviewError
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.opening import (
    Database,
    at_the_nodes,
    can_be_changed,
    open_database,
    reachable_by_nodes,
)
from digit_classification.results.records import Result, Run, RunInfo

if TYPE_CHECKING:
    from digit_classification.detection.cluster.connection import Cluster
    from digit_classification.detection.cluster.tasks import Job

PROMPT = "Enter the image path or directory: "
DETECTOR_SECTIONS = ("model", "detection")  # without the database: its URL may hold a password
# What the user can put right on the command line.
USER_ERRORS = (
    ClusterError,
    ModelError,
    ResumeError,
    ReviewError,
    SettingsError,
    SortingError,
    SourceError,
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
LOOKUP = 500  # pictures that a resumed run looks up in the database at a time


class DigitPredictor:
    """Reads digits with a saved model, and stores the results.

    `database` is where `classify_images` and `save_to_database` store; None stores nothing.

    Raises ModelError if the model cannot be used.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        settings: Settings | None = None,
        database: Database | None = None,
        messages: Console | None = None,
    ) -> None:
        self.settings = settings or Settings()
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

    def preprocess_image(self, picture: Picture) -> images.Normalized:
        """Load one picture and bring it to the form that the network was trained on.

        Raises images.ImageError if it cannot be read.
        """
        invert = self.settings.detection.invert
        return images.normalize(picture, invert=invert, limits=self.limits)

    def predict(self, picture: Picture) -> Result:
        """Read the digit in a path, bytes, a file object, a Pillow image or a NumPy array.

        An array is (h, w) or (h, w, 3 or 4): uint8, uint16, bool, or floats from 0 to 1.
        A picture that cannot be read gives a result with status `error`.
        """
        if isinstance(picture, str | os.PathLike):
            path = os.fspath(picture)
            source = Source(name=path, path=path, explicit=True)
            prepared = prepare(source, self.settings.detection.invert, self.limits)
            return self._judge([prepared])[0]
        source = Source(name="", path="", explicit=True)
        try:
            decoded = decode(picture, self.limits)
            seen = self.preprocess_image(decoded.pixels)
        except images.ImageError as error:
            return self._judge([Prepared(source, error=str(error))])[0]
        prepared = Prepared(source, digit=seen.digit, rejection=seen.rejection, note=decoded.note)
        return self._judge([prepared])[0]

    def classify_images(
        self,
        paths: Iterable[str],
        *,
        named: Sequence[str] | None = None,
        save_normalized: Path | None = None,
        sort_into: str | None = None,
        move: bool = False,
        resume: Run | None = None,
        review: Review | None = None,
        cluster: Cluster | None = None,
    ) -> Generator[Result, None, None]:
        """Classify files, folders and zips; yield a result for each, in order, once it is stored.

        Several processes read the pictures; the database takes them in batches, one at least every
        second or so, so that memory does not grow with their number and little is lost if the run
        stops.  The batches are one run in the database.
        With `sort_into` a copy of each picture, or with `move` the picture itself, goes to a
        folder below that one.  With `resume` the results that a run has already come first, and
        only the other pictures are read.
        A `review` is given all results with their pictures.  With a `cluster` its nodes read the
        pictures, whose paths must mean the same there.

        Raises DatabaseError if results cannot be stored, SortingError if pictures cannot be copied.
        """
        if named is None:
            named = paths = list(paths)
        self.stored_before = 0
        sources = find_sources(paths)
        with self._run(named, run_settings(self.settings, sort_into, move), resume):
            sorter = None
            if sort_into is not None:
                sorter = Sorter(sort_into, move=move, run_id=self.run_id or str(os.getpid()))
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
                    _write_normalized(save_normalized, batch.pictures, first=written + 1)
                    written += len(results)
                if review is not None:
                    review.add(results, batch.pictures)
                if sorter is None:
                    self.save_to_database(results)
                else:
                    results = sorter.choose(results, [image.source for image in batch.pictures])
                    self.save_to_database(results)
                    for image, result in zip(batch.pictures, results, strict=True):
                        self._settle(sorter, result, image.source)
                yield from results

    def classify_on_cluster(
        self,
        cluster: Cluster,
        paths: Iterable[str],
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
            named = paths = list(paths)
        self.stored_before = 0
        sources = find_sources(paths)
        with self._run(named, run_settings(self.settings, None, False), resume):
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
            prepared = map_in_parts(prepare_some, sources, detection.workers, crashed)
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
        judged = map_in_parts(read, sources, detection.workers, judge_crashed)
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
                stored = self.database.stored(self.run_id, names)
                yield from (source for source in chunk if source.name not in stored)
                continue
            assert isinstance(self.database, ResultsDatabase)  # as for everyone who sorts
            rows = self.database.find(self.run_id, names)
            for source in chunk:
                row = rows.get(source.name)
                if row is None:
                    yield source
                else:
                    result = row.as_result()
                    place = sorter.stored_place(result, source)
                    result = replace(result, path=source.name, sorted_to=place)
                    self._settle(sorter, result, source, resumed=True)

    def _settle(
        self, sorter: Sorter, result: Result, source: Source, *, resumed: bool = False
    ) -> None:
        """Bring a picture to its place, and record it in the database if it goes elsewhere."""

        def record(place: str | None) -> None:
            if isinstance(self.database, ResultsDatabase) and self.run_id is not None:
                self.database.set_sorted_to(self.run_id, result.path, place)

        sorter.settle(result, source, record, resumed=resumed)

    def save_to_database(self, results: Sequence[Result]) -> None:
        """Store results in one transaction; without a database, do nothing.

        Raises DatabaseError if they cannot be stored.
        """
        if self.database is None:
            return
        if self.run_id is None:
            named = [result.path for result in results]
            with self._run(named, run_settings(self.settings, None, False)):
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


def _write_normalized(folder: Path, batch: Sequence[Prepared], first: int) -> None:
    """Write what the network sees: one PNG a picture, numbered in the order of the results."""
    for number, image in enumerate(batch, first):
        if image.digit is not None:
            stem = "".join(
                c if c.isalnum() or c in "-_." else "_" for c in Path(image.source.name).stem
            )
            Image.fromarray(image.digit).save(folder / f"{number:06d}-{stem[:80]}.png")


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
        help="picture, folder (with all below it), zip or pattern; - reads paths from standard "
        "input, one a line",
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
        help="print a line for each picture (default: text, one picture only)",
    )
    results.add_argument(
        "--output", metavar="FILE", help="write these lines to FILE; - is standard output"
    )
    results.add_argument(
        "--top-k", type=_positive, default=1, metavar="K", help="print the K most probable digits"
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
        help="put a copy (a hard link where that is possible) of each picture into the folder "
        "DIR/7 for a 7 and so on, DIR/uncertain or DIR/rejected",
    )
    sorting.add_argument(
        "--move",
        action="store_true",
        help="with --sort-into: move the pictures instead; what is in a zip is copied",
    )
    history = parser.add_group("earlier runs", example="--show latest --format csv")
    history.add_argument(
        "--resume",
        nargs="?",
        const=LATEST,
        metavar="RUN",
        help="go on with a run that stopped before its end; without RUN, with the latest such run",
    )
    history.add_argument("--runs", action="store_true", help="list the stored runs")
    history.add_argument(
        "--show",
        metavar="RUN",
        help="print the stored results of a run; `latest` is the last one",
    )
    parser.add_general_options(
        dry_run="say what would be read and where results would go; read and store nothing",
        quiet="print neither progress nor summary",
        verbose="name every picture that has no digit, and print the settings",
    )
    return parser


def _positive(text: str) -> int:
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
        if arguments.runs or arguments.show:
            status = _look_back(arguments, settings, messages)
            sys.stdout.flush()  # a closed pipe shows here
            return status
        if arguments.verbose:
            messages.print(settings_text(settings, DETECTOR_SECTIONS))
        given = arguments.paths
        if not given and (arguments.resume is None or arguments.dry_run):
            given = _ask_for_path(parser)
        if arguments.dry_run:
            _print_plan(arguments, settings, given)
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
    except OSError as error:  # the disk with the output file is full
        status = 2
        message = error_text(f"The results cannot be written: {error.strerror}: check --output.")
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
            paths = _expand_all(given) if arguments.resume is None else []
            # The model comes first: without one, not even an empty database should be made.
            predictor = DigitPredictor(settings=self.settings, messages=self.messages)
            self.predictor = predictor
            predictor.database = _open_database(self.settings.database, stack, self.messages)
            run = None
            if arguments.resume is not None:
                run, paths = self._find_run(predictor)
            more = self._more_than_lines(predictor)
            write = _open_output(arguments, self.given, stack, or_end=not more)
            if arguments.save_normalized is not None:
                _make_new_folder(arguments.save_normalized, may_hold_files=run is not None)
            _check_sorting(arguments, self.settings, paths)
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
            if review is not None:
                self._write_review(predictor, review, run, progress)

    def _find_run(self, predictor: DigitPredictor) -> tuple[Run, list[str]]:
        """Return the run to go on with, and its paths; raises ResumeError if it cannot be."""
        arguments = self.arguments
        run = _find_run(predictor.database, arguments.resume)
        chosen = run_settings(self.settings, arguments.sort_into, arguments.move)
        sha256 = predictor.model.sha256
        check_same(run, given=self.given, settings=chosen, model_sha256=sha256)
        self.given = list(run.info.sources)
        return run, _expand_again(self.given)

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
            _with_stdin(paths),
            named=self.given,
            save_normalized=self.arguments.save_normalized,
            sort_into=self.arguments.sort_into,
            move=self.arguments.move,
            resume=run,
            review=review if run is None else None,
            cluster=self.cluster,
        )
        with contextlib.closing(results):  # closes the run before the database
            for result in results:
                write(result)
                self.summary.add(result)
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
            arguments.save_normalized,
            arguments.report,
            arguments.sort_into,
        )
        return (
            predictor.database is not None
            and reachable_by_nodes(self.settings.database)
            and not any(wanted)
            and not _is_single(self.given)
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
            _with_stdin(paths),
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
        if run is None:
            writing = partial(progress.track, description="Writing the review page")
            review.write(_about(self.given, predictor), writing)
        elif predictor.database is not None:  # with the pictures of before the interruption
            path = self.arguments.report
            _review_stored(predictor.database, run.info.id, path, progress, self.settings)

    def print_summary(self) -> None:
        """Tell the person who started the run what it came to."""
        arguments, predictor = self.arguments, self.predictor
        if arguments.quiet or predictor is None or _is_single(self.given):
            return
        self.summary.print(self.messages, predictor.strays, predictor.stored_before)
        if self.cluster is not None:
            self.cluster.print_nodes(self.messages)
        if arguments.sort_into is not None:
            verb = "Moved" if arguments.move else "Copied"
            self.messages.print(f"{verb} to {printable(arguments.sort_into)}")
        if predictor.database is not None:
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


def _print_plan(arguments: argparse.Namespace, settings: Settings, given: Sequence[str]) -> None:
    """List the files and check the model, and say what a run would do with them."""
    model = load_model(settings.model.path)
    sources = list(find_sources(_with_stdin(_expand_all(given))))
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
    if arguments.cluster:
        plan.append(f"  on the cluster {printable(arguments.cluster)}")
    if arguments.output or arguments.format:
        output = "standard output" if arguments.output in (None, "-") else arguments.output
        plan.append(f"  print them as {arguments.format or 'text'} to {output}")
    if arguments.save_normalized is not None:
        plan.append(f"  write what the network sees into {arguments.save_normalized}")
    if arguments.report is not None:
        plan.append(f"  write the review page {arguments.report}")
    make_console().print("\n".join([*plan, "Nothing was written."]))


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
        database = _open_database(settings.database, stack, messages, read_only=True)
        if database is None:
            raise SettingsError("The database is none: name one with --database.")
        if arguments.runs:
            print_runs(database, make_console())
            return 0
        if arguments.report:
            with progress_bar(messages, quiet=arguments.quiet) as progress:
                _review_stored(database, arguments.show, arguments.report, progress, settings)
            messages.print(f"Review page: {printable(str(arguments.report))}")
        if not arguments.report or arguments.format or arguments.output:
            stream = _output_stream(arguments.output, stack)
            write = make_writer(arguments.format or "text", stream, top_k=arguments.top_k)
            show_run(database, arguments.show, write, messages)
    return 0


def _review_stored(
    database: Database, run_id: str, path: Path, progress: Progress, settings: Settings
) -> None:
    workers, limits = settings.detection.workers, Limits(**settings.images.model_dump())
    review_run(database, run_id, path, progress, workers=workers, limits=limits)


def _ask_for_path(parser: argparse.ArgumentParser) -> list[str]:
    """Ask a person for a path; where there is none, the command line lacks one."""
    if sys.stdin is not None and sys.stdin.isatty():
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            path = input(PROMPT).strip().strip("'\"")  # a path dragged into a terminal is quoted
            if path:
                return [path]
    return parser.error("name a picture, a folder or a zip")


def _find_run(database: Database | None, run_id: str) -> Run:
    """Return the run to go on with; raises ResumeError if there is none."""
    if database is None:
        raise ResumeError("The database is none: name the one of the run with --database.")
    run = find_run(database, run_id)
    if "-" in run.info.sources and sys.stdin is not None and sys.stdin.isatty():
        raise ResumeError(
            f"Run {run.info.id} reads paths from standard input: pipe the same list in again."
        )
    return run


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


def _with_stdin(paths: Sequence[str]) -> Iterator[str]:
    """Yield the paths, and in the place of - the ones on standard input."""
    for path in paths:
        yield from stdin_paths() if path == "-" else [path]


def _check_sorting(arguments: argparse.Namespace, settings: Settings, paths: Sequence[str]) -> None:
    """Make the folder to sort into; raises SettingsError if it cannot be, or if it is read too."""
    folder = arguments.sort_into
    if folder is None:
        if arguments.move:
            raise SettingsError("--move says how to sort: name the folder with --sort-into.")
        return
    if is_url(folder):
        raise SettingsError(
            f"--sort-into '{printable(folder)}' is in an object store: name a folder on this"
            " machine."
        )
    if not can_be_changed(settings.database):
        raise SettingsError(
            "--sort-into needs a database that records where each picture goes, which a Parquet "
            "dataset cannot: name another with --database."
        )
    inside = os.path.join(os.path.realpath(folder), "")
    for path in filter(os.path.isdir, paths):
        if inside.startswith(os.path.join(os.path.realpath(path), "")):
            raise SettingsError(
                f"--sort-into '{printable(folder)}' is in '{printable(path)}', which is read:"
                " name a folder elsewhere."
            )
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The folder '{printable(folder)}' cannot be made: {error.strerror}: name another."
        ) from None


def _is_single(given: Sequence[str]) -> bool:
    """Whether the user asks about one picture, and so wants its digit rather than a summary."""
    return len(given) == 1 and os.path.isfile(given[0]) and not is_zip(given[0])


def _open_output(
    arguments: argparse.Namespace,
    given: Sequence[str],
    stack: contextlib.ExitStack,
    *,
    or_end: bool,
) -> Callable[[Result], None]:
    """Return what is done with each result: written, if the user asks for it or names one picture.

    If whoever reads standard output goes away, the results are dropped; with `or_end`, writing
    raises BrokenPipeError.

    Raises SettingsError if the output file cannot be written, or looks like a picture.
    """
    single = _is_single(given)
    if arguments.format is None and arguments.output is None and not single:
        return lambda result: None
    stream: TextStream = _output_stream(arguments.output, stack)
    if stream is sys.stdout and not or_end:
        stream = UntilClosed()
    format_name = arguments.format or "text"
    return make_writer(format_name, stream, top_k=arguments.top_k, with_path=not single)


def _output_stream(output: str | None, stack: contextlib.ExitStack) -> TextIO:
    if output in (None, "-"):
        return sys.stdout
    path = Path(output)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise SettingsError(f"--output '{path}' would overwrite a picture: name a text file.")
    try:
        return stack.enter_context(open(path, "w", encoding="utf-8", newline=""))
    except OSError as error:
        raise SettingsError(
            f"'{path}' cannot be written: {error.strerror}: name another file with --output."
        ) from None


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


def _make_new_folder(folder: Path, *, may_hold_files: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except OSError as error:
        raise SettingsError(
            f"The folder '{folder}' cannot be made: {error.strerror}: name another."
        ) from None
    if not empty and not may_hold_files:
        raise SettingsError(f"The folder '{folder}' is not empty: name a new one.")


if __name__ == "__main__":
    sys.exit(main())
