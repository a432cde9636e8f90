#!/usr/bin/env python3
"""Read the digits in pictures, and store each result in a database.

    python digit_classification_detector.py 7.png
    python digit_classification_detector.py scans/ more.zip 'photos/*.jpg'
    python digit_classification_detector.py scans/ --format csv --output digits.csv
    find . -name '*.png' | python digit_classification_detector.py - --database none

Results go to the database that config.yaml names, an SQLite file unless that is changed.
The pictures themselves are left alone.

In Python:

    from digit_classification_detector import DigitPredictor

    prediction = DigitPredictor("digit_classification.keras").predict("7.png")
    print(prediction.digit, prediction.confidence, prediction.status)
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
from PIL import Image
from rich.console import Console

from digit_classification import __version__, images
from digit_classification.config import (
    PASSWORD_VARIABLE,
    DatabaseSettings,
    Settings,
    SettingsError,
    add_setting,
    load_settings,
)
from digit_classification.formats import FORMATS, as_text, make_writer
from digit_classification.history import print_runs, show_run
from digit_classification.model_file import ModelError, load_model
from digit_classification.pipeline import Prepared, prepare, prepare_all
from digit_classification.results import DatabaseError, Result, ResultsDatabase, RunInfo
from digit_classification.sources import (
    IMAGE_SUFFIXES,
    Source,
    SourceError,
    expand,
    find_sources,
    is_zip,
    printable,
    stdin_paths,
)
from digit_classification.terminal import make_console, make_table, progress_bar

PROMPT = "Enter the image path or directory: "
SHOWN_EVERY = 50  # results: to move the progress bar costs as much as to classify
NAMED = 10  # files named in the summary; all of them are in the database and in the output

EXIT_STATUS = """\
exit status:
  0    all pictures are classified
  1    some are not: unreadable, or rejected because they show no single digit
  2    the command line, a setting or the model is wrong
  3    the database fails
  130  interrupted with Ctrl-C; what was classified until then is stored
"""

Picture = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray


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
        database: ResultsDatabase | None = None,
        messages: Console | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.messages = messages or make_console(stderr=True)
        path = Path(model) if model is not None else self.settings.model.path
        self.model = load_model(path, notice=self.messages.print)
        self.database = database
        self.run_id: str | None = None  # of the open run, under which results are stored
        self.last_run_id: str | None = None  # of the run closed last
        self.strays: list[str] = []  # files found in folders that are no pictures

    def preprocess_image(self, picture: Picture) -> images.Normalized:
        """Load one picture and bring it to the form that the network was trained on.

        Raises images.ImageError if it cannot be read.
        """
        return images.normalize(picture, invert=self.settings.detection.invert)

    def predict(self, picture: Picture) -> Result:
        """Read the digit in a path, bytes, a file object, a Pillow image or a NumPy array.

        An array is (h, w) or (h, w, 3 or 4): uint8, uint16, bool, or floats from 0 to 1.
        A picture that cannot be read gives a result with status `error`.
        """
        if isinstance(picture, str | os.PathLike):
            path = os.fspath(picture)
            source = Source(name=path, path=path, explicit=True)
            return self._classify([prepare(source, self.settings.detection.invert)])[0]
        source = Source(name="", path="", explicit=True)
        try:
            normalized = self.preprocess_image(picture)
        except images.ImageError as error:
            return self._classify([Prepared(source, error=str(error))])[0]
        prepared = Prepared(source, digit=normalized.digit, rejection=normalized.rejection)
        return self._classify([prepared])[0]

    def classify_images(
        self,
        paths: Iterable[str],
        *,
        named: Sequence[str] | None = None,
        save_normalized: Path | None = None,
    ) -> Generator[Result, None, None]:
        """Classify files, folders and zips; yield a result for each, in order, once it is stored.

        Several processes read the pictures; the network and the database take them in batches,
        so that memory does not grow with their number.  The batches are one run in the database.

        Raises DatabaseError if results cannot be stored.
        """
        if named is None:
            named = paths = list(paths)
        detection = self.settings.detection
        prepared = prepare_all(find_sources(paths), detection.invert, detection.workers)
        written = 0
        with self._run(named):
            while batch := list(itertools.islice(prepared, detection.batch_size)):
                self.strays += [image.source.name for image in batch if image.stray]
                batch = [image for image in batch if not image.stray]
                results = self._classify(batch)
                if save_normalized is not None:
                    _write_normalized(save_normalized, batch, first=written + 1)
                    written += len(batch)
                self.save_to_database(results)
                yield from results

    def save_to_database(self, results: Sequence[Result]) -> None:
        """Store results in one transaction; without a database, do nothing.

        Raises DatabaseError if they cannot be stored.
        """
        if self.database is None:
            return
        if self.run_id is None:
            with self._run([result.path for result in results]):
                self.save_to_database(results)
            return
        self.database.add(self.run_id, results)

    @contextlib.contextmanager
    def _run(self, named: Sequence[str]) -> Iterator[None]:
        """Open a run in the database, and close it in the state in which the block ends."""
        if self.database is None:
            yield
            return
        card = self.model.card or {}
        self.run_id = self.database.start_run(
            RunInfo(
                sources=list(named),
                model_path=str(self.model.path),
                model_sha256=self.model.sha256,
                model_version=card.get("created"),
                program_version=__version__,
                settings=self.settings.model_dump(mode="json", include={"detection"}),
            )
        )
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | GeneratorExit)
            with contextlib.suppress(DatabaseError):  # the error that ended the run is the news
                self.database.finish_run(self.run_id, "interrupted" if stopped else "failed")
            raise
        else:
            self.database.finish_run(self.run_id, "finished")
        finally:
            self.last_run_id, self.run_id = self.run_id, None

    def _classify(self, batch: Sequence[Prepared]) -> list[Result]:
        """Classify those of a batch that could be read, with one call of the network."""
        digits = [image.digit for image in batch if image.digit is not None]
        probabilities = iter(self.model.network(np.stack(digits)).tolist() if digits else ())
        return [
            self._judge(image, next(probabilities) if image.digit is not None else None)
            for image in batch
        ]

    def _judge(self, image: Prepared, probabilities: list[float] | None) -> Result:
        path, sha256 = image.source.name, image.sha256
        if probabilities is None:
            return Result(path, "error", reason=image.error, image_sha256=sha256)
        ten = tuple(probabilities)
        if image.rejection is not None:
            reason = image.rejection
            return Result(path, "rejected", reason=reason, probabilities=ten, image_sha256=sha256)
        digit = ten.index(max(ten))
        certain = ten[digit] >= self.settings.detection.min_confidence
        return Result(
            path,
            "ok" if certain else "uncertain",
            digit=digit,
            confidence=ten[digit],
            probabilities=ten,
            image_sha256=sha256,
        )


def _write_normalized(folder: Path, batch: Sequence[Prepared], first: int) -> None:
    """Write what the network sees: one PNG a picture, numbered in the order of the results."""
    for number, image in enumerate(batch, first):
        if image.digit is not None:
            stem = "".join(
                c if c.isalnum() or c in "-_." else "_" for c in Path(image.source.name).stem
            )
            Image.fromarray(image.digit).save(folder / f"{number:06d}-{stem[:80]}.png")


# ------------------------------------------------------------------------------ what is printed


@dataclass
class Summary:
    """What a run came to, for the person who started it."""

    digits: Counter[int] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    unreadable: list[Result] = field(default_factory=list)  # the first few errors and rejections
    begin: float = field(default_factory=time.monotonic)

    def add(self, result: Result) -> None:
        self.statuses[result.status] += 1
        if result.digit is not None:
            self.digits[result.digit] += 1
        elif len(self.unreadable) < NAMED:
            self.unreadable.append(result)

    @property
    def complete(self) -> bool:
        """Whether every picture has a digit."""
        return not self.statuses["error"] and not self.statuses["rejected"]

    def print(self, messages: Console, strays: Sequence[str]) -> None:
        total, seconds = self.statuses.total(), time.monotonic() - self.begin
        rate = f"{total / seconds:,.0f} a second" if seconds > 0 else ""
        messages.print(f"{total:,} images in {seconds:.1f} s ({rate})")
        table = make_table("digit", "images")
        for digit in range(10):
            table.add_row(str(digit), f"{self.digits[digit]:,}")
        messages.print(table)
        for status in ("uncertain", "rejected", "error"):
            if self.statuses[status]:
                messages.print(f"{status}: {self.statuses[status]:,}")
        for result in self.unreadable:
            messages.print(f"  {as_text(result)}")
        unnamed = self.statuses["error"] + self.statuses["rejected"] - len(self.unreadable)
        if unnamed:
            messages.print(f"  and {unnamed:,} more")
        if strays:
            shown = ", ".join(printable(name) for name in strays[:NAMED])
            more = f" and {len(strays) - NAMED:,} more" if len(strays) > NAMED else ""
            messages.print(f"ignored, no pictures: {shown}{more}")


# --------------------------------------------------------------------------------- command line


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Read the digits in pictures, and store each result in a database.",
        epilog=EXIT_STATUS + "\nexample:\n  %(prog)s scans/ --format csv --output digits.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="picture, folder (with all below it), zip or pattern; - reads paths from standard "
        "input, one a line",
    )
    reading = parser.add_argument_group("reading")
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
    results = parser.add_argument_group("results")
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
    history = parser.add_argument_group("earlier runs")
    history.add_argument("--runs", action="store_true", help="list the stored runs")
    history.add_argument(
        "--show",
        metavar="RUN",
        help="print the stored results of a run; `latest` is the last one",
    )
    general = parser.add_argument_group("general")
    general.add_argument("--config", type=Path, metavar="FILE", help="read settings from FILE")
    general.add_argument(
        "-q", "--quiet", action="store_true", help="print neither progress nor summary"
    )
    general.add_argument("--version", action="version", version=__version__)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run the detector; return the exit status."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    messages = make_console(stderr=True)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may not fit the terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        settings = load_settings(arguments, arguments.config)
        if arguments.runs or arguments.show:
            return _look_back(arguments, settings, messages)
        given = arguments.paths or _ask_for_path(parser)
        paths = _paths(given)
        with contextlib.ExitStack() as stack:
            write = _open_output(arguments, given, stack)
            if arguments.save_normalized is not None:
                _make_new_folder(arguments.save_normalized)
            database = _open_database(settings.database, stack)
            predictor = DigitPredictor(settings=settings, database=database, messages=messages)
            summary = Summary()
            with progress_bar(messages, quiet=arguments.quiet) as progress:
                task = progress.add_task("Reading digits", total=None)
                results = predictor.classify_images(
                    paths, named=given, save_normalized=arguments.save_normalized
                )
                for number, result in enumerate(results, 1):
                    write(result)
                    summary.add(result)
                    if number % SHOWN_EVERY == 0:
                        progress.update(task, completed=number)
    except (SettingsError, SourceError, ModelError) as error:
        messages.print(f"Error: {error}")
        return 2
    except DatabaseError as error:
        messages.print(f"Error: {error}")
        return 3
    except KeyboardInterrupt:
        messages.print("Interrupted: what was classified until then is stored.")
        return 130
    except BrokenPipeError:  # whoever read standard output has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 130
    if not arguments.quiet and not _is_single(given):
        summary.print(messages, predictor.strays)
        if database is not None:
            messages.print(f"Stored in {database.url}, run {predictor.last_run_id}")
    return 0 if summary.complete else 1


def _look_back(arguments: argparse.Namespace, settings: Settings, messages: Console) -> int:
    """Print stored runs or results instead of classifying."""
    with contextlib.ExitStack() as stack:
        database = _open_database(settings.database, stack, read_only=True)
        if database is None:
            raise SettingsError("The database is none: name one with --database.")
        if arguments.runs:
            print_runs(database, make_console())
        else:
            stream = _output_stream(arguments.output, stack)
            write = make_writer(arguments.format or "text", stream, top_k=arguments.top_k)
            show_run(database, arguments.show, write, messages)
    return 0


def _ask_for_path(parser: argparse.ArgumentParser) -> list[str]:
    """Ask a person for a path; where there is none, the command line lacks one."""
    if sys.stdin is not None and sys.stdin.isatty():
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            path = input(PROMPT).strip().strip("'\"")  # a path dragged into a terminal is quoted
            if path:
                return [path]
    return parser.error("name a picture, a folder or a zip")


def _paths(given: Sequence[str]) -> Iterator[str]:
    """Return the paths that the command line names, all of them checked before any is read.

    Raises SourceError if one is not there.
    """
    expanded = [[path] if path == "-" else expand(path) for path in given]
    return itertools.chain.from_iterable(
        stdin_paths() if paths == ["-"] else paths for paths in expanded
    )


def _is_single(given: Sequence[str]) -> bool:
    """Whether the user asks about one picture, and so wants its digit rather than a summary."""
    return len(given) == 1 and os.path.isfile(given[0]) and not is_zip(given[0])


def _open_output(
    arguments: argparse.Namespace, given: Sequence[str], stack: contextlib.ExitStack
) -> Callable[[Result], None]:
    """Return what is done with each result: written, if the user asks for it or names one picture.

    Raises SettingsError if the output file cannot be written, or looks like a picture.
    """
    single = _is_single(given)
    if arguments.format is None and arguments.output is None and not single:
        return lambda result: None
    stream = _output_stream(arguments.output, stack)
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
        raise SettingsError(f"'{path}' cannot be written: {error.strerror}.") from None


def _open_database(
    settings: DatabaseSettings, stack: contextlib.ExitStack, *, read_only: bool = False
) -> ResultsDatabase | None:
    if settings.url == "none":
        return None
    return stack.enter_context(
        ResultsDatabase.open(
            settings.url,
            password=os.environ.get(PASSWORD_VARIABLE),
            option_file=settings.option_file,
            tls_ca=settings.tls_ca,
            tls_required=settings.tls_required,
            read_only=read_only,
        )
    )


def _make_new_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except OSError as error:
        raise SettingsError(f"The folder '{folder}' cannot be made: {error.strerror}.") from None
    if not empty:
        raise SettingsError(f"The folder '{folder}' is not empty: name a new one.")


if __name__ == "__main__":
    sys.exit(main())
