#!/usr/bin/env python3
"""Measure how long reading and training take, beside other ways and the machine's own limits.

    python benchmarks/speed.py
    python benchmarks/speed.py --model digit_classification.keras --json speed.json
    python benchmarks/speed.py --quick

Each command runs in a process of its own, in turn with what it is compared to, several times.
The table goes to standard output, progress to standard error.  Nothing else should run meanwhile.
How each figure is measured is said in benchmarks/speed.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import psutil
from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from benchmarks.accuracy import (  # noqa: E402
    TEST_SET,
    TRAINING_SET,
    BenchmarkError,
    check_outputs,
    thin_out,
    write_large_photos,
    write_markdown,
)
from digit_classification.cli.terminal import make_console  # noqa: E402
from digit_classification.network.default_model import DEFAULT_MODEL  # noqa: E402
from digit_classification.network.model_file import load_model  # noqa: E402
from digit_classification.parallel import default_workers  # noqa: E402

DETECTOR = ROOT / "digit_classification_detector.py"
TRAINER = ROOT / "digit_classification_model_trainer.py"
YARDSTICKS = ROOT / "benchmarks" / "yardsticks.py"
PROFILES = ROOT / "benchmarks" / "profiles.py"
READ_60_000 = """
import sys, time
from pathlib import Path
from digit_classification.training.datasets.reading import read_dataset
if __name__ == "__main__":
    begin = time.perf_counter()
    read_dataset(Path(sys.argv[1]), cache=sys.argv[2] == "cache")
    print(time.perf_counter() - begin)
"""
SAMPLED_EVERY = 0.1  # seconds
START, END = "<!-- results: written by benchmarks/speed.py -->", "<!-- end of results -->"


# How ours is set against the others: how many times faster it is; which share of theirs it
# reaches; which part of theirs it takes; by which part it exceeds theirs; by how much it leads;
# or not at all, by its own value.
Comparison = Literal["times", "share", "part", "growth", "lead", "value"]
MORE_IS_BETTER = ("times", "share", "lead")  # and a value that is a rate


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    few: int = 300  # pictures that the ancestor's method reads
    many: int = 10_000
    flood: int = 200_000
    photos: int = 240  # of 12 megapixels
    scenes: int = 300  # pictures at which the judge looks closer
    numbers: int = 400  # of four digits
    pages: int = 6  # of 200 cells
    arrays: int = 300  # 28×28, one after the other
    repeats: int = 5
    long_repeats: int = 3  # of what takes long
    training_images: int | None = None  # None: all of them
    epochs: int = 10


QUICK = Sizes(
    few=5,
    many=300,
    flood=600,
    photos=4,
    scenes=4,
    numbers=4,
    pages=1,
    arrays=10,
    repeats=1,
    long_repeats=1,
    training_images=400,
    epochs=1,
)


@dataclass(frozen=True)
class Run:
    """A command that has ended."""

    seconds: float  # from start to end
    output: str
    peak_bytes: int = 0  # of all its processes together, if that was asked for
    cpu: float = 0.0  # seconds of all its processes together; 0 where the system does not say
    own_cpu: float = 0.0  # seconds of the first of them, if memory was asked for,
    others_cpu: float = 0.0  # and of all others


@dataclass(frozen=True)
class Row:
    """A line of the table: what was measured, beside what, and how the two compare."""

    name: str
    ours: list[float]  # one value a repetition
    unit: str
    beside: str = ""  # what `others` are
    others: list[float] | None = None
    comparison: Comparison = "value"
    must: float = 0.0
    aim: float = 0.0


class Figures(NamedTuple):
    """All that was measured."""

    rows: list[Row]
    limits: list[Row]  # of the machine, and details
    profiles: Mapping[str, Mapping[str, float]] = MappingProxyType({})  # ms of parts, by way


# ------------------------------------------------------------------------------- the arithmetic


def result(row: Row) -> float:
    """Return the figure that is held against `must` and `aim`, from the medians."""
    ours = statistics.median(row.ours)
    if row.others is None:
        return ours
    others = statistics.median(row.others)
    if row.comparison == "times":
        return ours / others if row.unit == "/s" else others / ours
    if row.comparison == "lead":
        return ours - others
    return ours / others - (row.comparison == "growth")


def verdict(row: Row) -> str:
    """Return whether the figure reaches `aim`, only `must`, or neither."""
    more = row.comparison in MORE_IS_BETTER or (row.comparison, row.unit) == ("value", "/s")
    sign = 1 if more else -1
    figure = sign * result(row)
    return "aim" if figure >= sign * row.aim else "must" if figure >= sign * row.must else "missed"


def shown(values: Sequence[float], unit: str) -> str:
    """Return the median, and the range where there are several: `1.23 s (1.20–1.31)`."""
    middle = statistics.median(values)
    digits = 0 if unit in ("/s", "MB") and middle >= 10 else 2 if middle >= 0.2 else 3
    text = f"{statistics.median(values):,.{digits}f}{'' if unit == '/s' else ' '}{unit}"
    if len(values) > 1:
        text += f" ({min(values):,.{digits}f}–{max(values):,.{digits}f})"
    return text


def compared(row: Row, figure: float) -> str:
    """Return `result(row)`, or what it should be, with its unit."""
    if row.comparison == "times":
        return f"{figure:,.1f} ×"
    if row.comparison == "growth":
        return f"{figure:+.1%}"
    if row.comparison == "lead":
        return f"{figure:+.2f} {row.unit}"
    return f"{figure:,.2f} {row.unit}" if row.comparison == "value" else f"{figure:.2f}"


def as_markdown(
    rows: Sequence[Row],
    limits: Sequence[Row],
    notes: str,
    profiles: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> str:
    """Return the tables, with `notes` above them."""
    lines = [
        "|  | this program | beside it | result | must | aim | reached |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        others = "" if row.others is None else f"{row.beside}: {shown(row.others, row.unit)}"
        cells = [row.name, shown(row.ours, row.unit), others]
        cells.append(compared(row, result(row)))
        if row.comparison == "value" and not row.aim:  # nothing was to be reached
            cells += ["", "", ""]
        else:
            cells += [compared(row, row.must), compared(row, row.aim), verdict(row)]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| the machine's own limits, and details |  |", "| --- | ---: |"]
    lines += [f"| {row.name} | {shown(row.ours, row.unit)} |" for row in limits]
    for name, parts in profiles.items():
        lines += ["", f"| {name}: CPU time, one core | |", "| --- | ---: |"]
        lines += [f"| {part} | {_short(ms)} |" for part, ms in sorted(parts.items(), key=_longest)]
        lines.append(f"| **all** | **{_short(sum(parts.values()))}** |")
    return f"{notes}\n\n" + "\n".join(lines) + "\n"


def _longest(part: tuple[str, float]) -> float:
    return -part[1]


def _short(milliseconds: float) -> str:
    """Return a time to be read at a glance: `102 ms`, `4.5 ms`, `28 µs`."""
    if milliseconds < 1:
        return f"{1000 * milliseconds:.{1 if milliseconds < 0.01 else 0}f} µs"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:,.0f} ms"


# --------------------------------------------------------------------------- running a command


def run(
    *command: object,
    memory: bool = False,
    accept: tuple[int, ...] = (0,),
    variables: Mapping[str, str] | None = None,
) -> Run:
    """Run a Python script to its end, as a user would; measure its memory only when asked to.

    `variables` are added to those of the environment.

    Raises BenchmarkError if it ends in another way than it should.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(ROOT)
    environment.update(variables or {})
    before, begin = os.times(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with PeakMemory(process.pid) if memory else contextlib.nullcontext() as peak:
        output, messages = process.communicate()
    seconds, after = time.perf_counter() - begin, os.times()
    if process.returncode not in accept:
        raise BenchmarkError(f"{' '.join(map(str, command))[:200]} failed: {messages[-2000:]}")
    cpu = sum(after[2:4]) - sum(before[2:4])  # of children that have ended
    if peak is None:
        return Run(seconds, output, cpu=cpu)
    return Run(seconds, output, peak.bytes, cpu, peak.seconds, peak.others)


class PeakMemory:
    """Watches how much memory a process and all below it have together, and their CPU time.

    What processes share counts once: the sum of their proportional set sizes on Linux.  Elsewhere
    it is the sum of what each has for itself alone.
    """

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._seconds: dict[int, float] = {}  # of CPU time, by process
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """The CPU time of the process itself."""
        return self._seconds.get(self._process.pid, 0.0)

    @property
    def others(self) -> float:
        """That of all below it, which the system may not count for it."""
        return sum(self._seconds.values()) - self.seconds

    def _watch(self) -> None:
        while not self._over.is_set():
            self.bytes = max(self.bytes, self._now())
            self._over.wait(SAMPLED_EVERY)

    def _now(self) -> int:
        total = 0
        with contextlib.suppress(psutil.Error):
            for process in (self._process, *self._process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # it may have ended by now
                    self._seconds[process.pid] = sum(process.cpu_times()[:2])
                    info = process.memory_full_info()
                    total += getattr(info, "pss", info.uss)
        return total


def yardstick(
    command: str, *arguments: object, memory: bool = False
) -> tuple[Run, dict[str, float]]:
    """Run one of benchmarks/yardsticks.py; return what it printed, too."""
    ended = run(YARDSTICKS, command, *arguments, memory=memory)
    return ended, json.loads(ended.output.strip().splitlines()[-1])


# ------------------------------------------------------------------------------ what is measured


@dataclass(frozen=True)
class Material:
    """What the commands work on, all of it below one temporary folder."""

    folder: Path
    training: Path  # a folder per digit
    test: Path
    many: Path
    flood: Path
    archive: Path  # `training` as a zip
    sizes: Sizes


def prepare(folder: Path, sizes: Sizes) -> Material:
    """Unpack MNIST, and link its test images into folders of the sizes to be measured."""
    archive, test_archive = folder / "training.zip", TEST_SET
    if sizes.training_images is None:
        shutil.copy(TRAINING_SET, archive)
    else:
        thin_out(TRAINING_SET, archive, sizes.training_images)
        test_archive = thin_out(TEST_SET, folder / "test.zip", sizes.many)
    for name, packed in (("training", archive), ("test", test_archive)):
        with zipfile.ZipFile(packed) as members:
            members.extractall(folder / name)
    pictures = sorted((folder / "test").rglob("*.png"))
    for name, count in (("many", sizes.many), ("flood", sizes.flood)):
        link_many(pictures, folder / name, count)
    parts = {name: folder / name for name in ("training", "test", "many", "flood")}
    return Material(folder, **parts, archive=archive, sizes=sizes)


def link_many(pictures: Sequence[Path], folder: Path, count: int, suffix: str = ".png") -> None:
    """Make a folder of so many links to pictures, these over and over again."""
    folder.mkdir()
    for number in range(count):
        link(pictures[number % len(pictures)], folder / f"{number:06}{suffix}")


def link(source: Path, target: Path) -> None:
    """Link, or copy where the file system has no links (or no more of them)."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@dataclass(frozen=True)
class Benchmark:
    """Measures, on `material`, with the models of both programs."""

    material: Material
    model: Path
    ancestor: Path
    messages: Console

    def detect(
        self,
        picture: Path,
        database: str | None = None,
        *,
        read: str = "digit",
        workers: int = 0,
        memory: bool = False,
    ) -> Run:
        """Run the detector into an empty database; some pictures may not be read as digits."""
        place = self.material.folder / "results.db"
        for file in place.parent.glob("results.db*"):
            file.unlink()
        url = database or f"sqlite:///{place}"
        command = (DETECTOR, picture, "--model", self.model, "--database", url, "--quiet")
        variables = {"DIGITS_DETECTION_READ": read, "DIGITS_DETECTION_WORKERS": str(workers)}
        return run(*command, memory=memory, accept=(0, 1), variables=variables)

    def ancestor_detect(self, *pictures: Path) -> tuple[Run, dict[str, float]]:
        with tempfile.TemporaryDirectory(dir=self.material.folder) as folder:
            return yardstick("ancestor-detect", self.ancestor, Path(folder, "a.db"), *pictures)

    def one_image(self) -> list[Row]:
        """Return the rows of one image: the whole command, and another in the same process."""
        picture = min(self.material.many.iterdir())
        self.detect(picture)  # once for the file cache and Python's compiled files
        self.ancestor_detect(picture)
        ours, others, imports = [], [], []
        for _ in range(self.material.sizes.repeats):
            ours.append(self.detect(picture))
            others.append(self.ancestor_detect(picture)[0].seconds)
            imports.append(run("-c", "import numpy, cv2, PIL.Image, sqlite3").cpu)
        again = []
        for _ in range(self.material.sizes.repeats):
            _, more = yardstick("array-again", self.model, picture, self.material.sizes.arrays)
            again.append(1000 / rate(more))
        name = "one image, start to end, stored in SQLite"
        cpu, seconds = [run.cpu for run in ours], [run.seconds for run in ours]
        beside = "importing NumPy, OpenCV, Pillow, sqlite3"
        return [
            Row(f"{name}: CPU time", cpu, "s", beside, imports, "part", 1.6, 1.3),
            Row(name, seconds, "s", "ancestor's method", others, "times", 18, 25),
            Row("a 28×28 array more in the same process", again, "ms", must=1, aim=0.3),
        ]

    def folder(self) -> tuple[list[Row], list[Row]]:
        """Return the rows of the folder of many images, and the limits beside them."""
        sizes, many = self.material.sizes, self.material.many
        few = sorted(many.iterdir())[: sizes.few]
        ours, slow, loader, decoded, inserted, alone = [], [], [], [], [], []
        for _ in range(sizes.repeats):
            ours.append(self.detect(many).seconds)
            alone.append(self.detect(many, "none").seconds)
            loader.append(yardstick("keras-folder", self.ancestor, many)[0].seconds)
            decoded.append(rate(yardstick("bare-decode", many, default_workers())[1]))
            with tempfile.TemporaryDirectory(dir=self.material.folder) as folder:
                url = f"sqlite:///{folder}/bare.db"
                inserted.append(rate(yardstick("bare-inserts", url, sizes.many)[1]))
        for _ in range(sizes.long_repeats):
            slow.append(rate(self.ancestor_detect(*few)[1]))
        rates = [sizes.many / seconds for seconds in ours]
        name = f"{sizes.many:,} images into SQLite, whole command"
        rows = [
            Row(name, rates, "/s", "ancestor's method", slow, "times", 250, 600),
            Row(
                name,
                ours,
                "s",
                "image_dataset_from_directory, nothing stored",
                loader,
                "times",
                3,
                5,
            ),
        ]
        limits = [
            Row(f"decoding with Pillow in {default_workers()} processes", decoded, "/s"),
            Row("inserting into SQLite, the driver alone", inserted, "/s"),
            Row(
                f"{sizes.many:,} images without a database",
                [sizes.many / seconds for seconds in alone],
                "/s",
            ),
        ]
        return rows, limits

    def photos(self) -> Row:
        """Return the row of a folder of photos, each of which takes as long as 500 small images."""
        sizes, folder = self.material.sizes, self.material.folder / "photos"
        drawn = folder.with_name("drawn")
        drawn.mkdir()
        write_large_photos(drawn)
        link_many(sorted(drawn.iterdir()), folder, sizes.photos, ".jpg")
        ours, bare = [], []
        for _ in range(sizes.long_repeats):
            ours.append(sizes.photos / self.detect(folder).seconds)
            ended, _ = yardstick("bare-draft", folder, default_workers())
            bare.append(sizes.photos / ended.seconds)
        name = f"{sizes.photos:,} photos of 12 megapixels into SQLite, whole command"
        beside = "bare decoding at the same reduced scale"
        return Row(name, ours, "/s", beside, bare, "share", 0.6, 0.8)

    def other_reading(self) -> list[Row]:
        """Return the rows of pictures that take longer: looked at closer, numbers, forms."""
        sizes, folder = self.material.sizes, self.material.folder
        what = {
            "scenes": ("digit", sizes.scenes, "simulated pictures of one digit", 0, 0),  # no goal
            "numbers": ("number", sizes.numbers, "pictures of 4 digits apart", 800, 2000),
            "pages": ("form", sizes.pages, "pages of 200 cells", 3, 8),
        }
        rows = []
        for kind, (read, count, name, must, aim) in what.items():
            yardstick("draw", kind, count, folder / kind)
            nothing = min(self.material.many.iterdir())
            rates = []
            for _ in range(sizes.long_repeats):
                start = self.detect(nothing, read=read).seconds
                seconds = self.detect(folder / kind, read=read).seconds - start
                rates.append(count / max(seconds, 1e-3))
            rows.append(Row(f"{name}, beyond the start", rates, "/s", must=must, aim=aim))
        return rows

    def cores(self) -> tuple[list[Row], list[Row]]:
        """Return the row of two cores beside one, and what 64 would do by the parts' CPU time."""
        sizes, flood = self.material.sizes, self.material.flood
        one, two, own, rest = [], [], [], []
        for _ in range(sizes.long_repeats):
            one.append(sizes.flood / self.detect(flood, workers=1).seconds)
            watched = self.detect(flood, workers=2, memory=True)
            two.append(sizes.flood / watched.seconds)
            own.append(watched.own_cpu / sizes.flood)
            rest.append(watched.others_cpu / sizes.flood)
        parent, work = statistics.median(own), statistics.median(rest)
        many = (parent + work) / max(parent, work / 63)
        name = f"{sizes.flood:,} images into SQLite by 2 processes"
        return (
            [Row(name, two, "/s", "by one", one, "times", 1.8, 1.95)],
            [
                Row("of each of these images, in the process that stores", [1e6 * parent], "µs"),
                Row("in the processes that read", [1e6 * work], "µs"),
                Row("so 64 cores would be as fast as of one", [many], "×"),
            ],
        )

    def profiles(self) -> dict[str, dict[str, float]]:
        """Return where the time goes, on each way."""
        folder, picture = self.material.folder, min(self.material.many.iterdir())
        ways = {
            "one image, from the start of Python": ("start", picture),
            "an image of many": ("digit", self.material.many),
            "a photo of 12 megapixels": ("digit", folder / "drawn"),
            "a simulated picture of one digit": ("digit", folder / "scenes"),
            "a number of 4 digits apart": ("number", folder / "numbers"),
            "a page of 200 cells": ("form", folder / "pages"),
        }
        return {
            name: json.loads(run(PROFILES, way, self.model, where).output)
            for name, (way, where) in ways.items()
        }

    def mysql(self) -> tuple[list[Row], list[Row]]:
        """Return the row of MariaDB or MySQL, if there is a server to be started."""
        sizes, many = self.material.sizes, self.material.many
        with server() as base:
            if base is None:
                self.messages.print("No MySQL or MariaDB server is installed: its row is left out")
                return [], []
            on_server, on_sqlite, inserted = [], [], []
            self.detect(many, f"{base}digits_first")
            for number in range(sizes.repeats):
                seconds = self.detect(many, f"{base}digits_{number}").seconds
                on_server.append(sizes.many / seconds)
                on_sqlite.append(sizes.many / self.detect(many).seconds)
            for number in range(sizes.repeats):
                url = f"{base}digits_{number}"
                inserted.append(rate(yardstick("bare-inserts", url, sizes.many)[1]))
        name = f"{sizes.many:,} images into MariaDB, whole command"
        return (
            [Row(name, on_server, "/s", "SQLite", on_sqlite, "share", 0.95, 1.0)],
            [Row("inserting into MariaDB, the driver alone", inserted, "/s")],
        )

    def flood(self) -> list[Row]:
        """Return the rows of what does not depend on the start, or on the number of images."""
        sizes, material = self.material.sizes, self.material
        times: dict[str, list[float]] = {"many": [], "flood": []}
        for _ in range(sizes.long_repeats):
            times["many"].append(self.detect(material.many).seconds / sizes.many * 1e6)
            times["flood"].append(self.detect(material.flood).seconds / sizes.flood * 1e6)
        decoded = [
            rate(yardstick("bare-decode", material.flood, default_workers())[1])
            for _ in range(sizes.long_repeats)
        ]
        steady = [
            (sizes.flood - sizes.many) / ((f * sizes.flood - m * sizes.many) / 1e6)
            for f, m in zip(times["flood"], times["many"], strict=True)
        ]
        memory: dict[str, list[float]] = {"many": [], "flood": []}
        for _ in range(sizes.long_repeats):
            for name, folder in (("many", material.many), ("flood", material.flood)):
                peak = self.detect(folder, memory=True).peak_bytes
                memory[name].append(peak / 1e6)
        beside = f"{sizes.many:,} images"
        flood, many = f"{sizes.flood:,} images", times["many"]
        return [
            Row(
                f"images beyond the first {sizes.many:,}, stored in SQLite",
                steady,
                "/s",
                "bare decoding",
                decoded,
                "share",
                0.5,
                0.7,
            ),
            Row(
                f"memory of all processes, {flood}",
                memory["flood"],
                "MB",
                beside,
                memory["many"],
                "growth",
                0.10,
                0.02,
            ),
            Row(
                f"time per image, {flood}",
                times["flood"],
                "µs",
                beside,
                many,
                "growth",
                0.05,
                0.0,
            ),
        ]

    def reading(self) -> list[Row]:
        """Return the rows of reading the training images, cold and from the cache."""
        cold, cached = [], []
        archive = self.material.archive
        for _ in range(self.material.sizes.long_repeats):
            cold.append(float(self._read(archive, "cold").output))
        self._read(archive, "cache")
        for _ in range(self.material.sizes.repeats):
            cached.append(float(self._read(archive, "cache").output))
        return [
            Row("training images read and prepared, cold", cold, "s", must=12, aim=6),
            Row("the same from the cache", cached, "s", must=0.5, aim=0.2),
        ]

    def _read(self, archive: Path, cache: str) -> Run:
        script = self.material.folder / "read.py"
        script.write_text(READ_60_000, encoding="utf-8")
        return run(script, archive, cache)

    def training(self) -> list[Row]:
        """Return the rows of the ancestor's recipe: time, memory, and accuracy of both."""
        sizes, material = self.material.sizes, self.material
        metrics = material.folder / "metrics.json"
        # The ancestor's recipe: the images as they are, no others, and no judge.
        plain = material.folder / "plain.yaml"
        plain.write_text(
            "training: {distort: false, drawn_share: 0, scenes: 0}\n", encoding="utf-8"
        )
        recipe = [
            *(TRAINER, "--config", plain),
            *("--dataset", material.training, "--test-dataset", material.test),
            *("--hidden-units", 128, "--epochs", sizes.epochs, "--no-cache"),
            *("--model", material.folder / "dense-128.keras", "--metrics", metrics, "--quiet"),
        ]
        ours: dict[str, list[float]] = {"seconds": [], "peak": [], "accuracy": []}
        others: dict[str, list[float]] = {"seconds": [], "peak": [], "accuracy": []}
        for number in range(sizes.long_repeats + 1):
            memory = number == sizes.long_repeats  # which costs time, and so has a run of its own
            mine = run(*recipe, memory=memory)
            theirs, _ = yardstick(
                "ancestor-train", material.training, self.ancestor, sizes.epochs, memory=memory
            )
            for place, ended in ((ours, mine), (others, theirs)):
                if memory:
                    place["peak"].append(ended.peak_bytes / 1e6)
                else:
                    place["seconds"].append(ended.seconds)
            ours["accuracy"].append(100 * json.loads(metrics.read_text())["accuracy"])
            _, tested = yardstick("ancestor-test", self.ancestor, material.test)
            others["accuracy"].append(100 * tested["accuracy"])
        name, beside = "dense 128, 10 epochs, start to saved model", "ancestor's method"
        return [
            Row(name, ours["seconds"], "s", beside, others["seconds"], "times", 3.5, 6),
            Row("its peak memory", ours["peak"], "MB", beside, others["peak"], "part", 0.5, 0.4),
            Row(
                "its accuracy on MNIST's test set",
                ours["accuracy"],
                "%",
                beside,
                others["accuracy"],
                "lead",
            ),
        ]

    def epochs(self) -> Row:
        """Return the row of an epoch of the default network, beside its bare matrix products."""
        sizes, material = self.material.sizes, self.material
        model, plain = material.folder / "default.keras", material.folder / "no-judge.yaml"
        plain.write_text("training: {scenes: 0}\n", encoding="utf-8")
        recipe = [
            *(TRAINER, "--config", plain, "--epochs", sizes.epochs),
            *("--dataset", material.training, "--test-dataset", material.test),
            *("--model", model, "--quiet"),
        ]
        images = sizes.training_images or 60_000
        ours, products = [], []
        for _ in range(sizes.long_repeats):
            run(*recipe)
            card = load_model(model).card or {}
            ours.append(card["training_seconds"] / sizes.epochs)
            _, bare = yardstick("bare-products", images, sizes.epochs)
            products.append(bare["seconds"] / sizes.epochs)
        name, beside = "an epoch of the default training", "the network's bare matrix products"
        return Row(name, ours, "s", beside, products, "part", 2.0, 1.4)


def rate(measured: dict[str, float]) -> float:
    """Return images a second."""
    return measured["images"] / measured["seconds"]


@contextlib.contextmanager
def server() -> Iterator[str | None]:
    """Run a private MySQL or MariaDB server as the tests do; yield its URL, None without one."""
    from tests.conftest import MYSQL_PASSWORD, PASSWORD_VARIABLE, find_program, private_server

    program = find_program("mariadbd", "mysqld") if os.name == "posix" else None
    if program is None:
        yield None
        return
    with private_server(program) as started:
        os.environ[PASSWORD_VARIABLE] = MYSQL_PASSWORD
        yield started.url


def measure(arguments: argparse.Namespace, folder: Path, messages: Console) -> Figures:
    """Return the rows of both tables; `folder` takes all that is written on the way."""
    sizes = QUICK if arguments.quick else Sizes()
    messages.print("Laying out the pictures")
    material = prepare(folder, sizes)
    benchmark = Benchmark(material, arguments.model.resolve(), folder / "ancestor.keras", messages)
    messages.print("Training as the ancestor does")
    training = benchmark.training()  # first: it makes the ancestor's network
    messages.print("Reading one image")
    rows = benchmark.one_image()
    messages.print("Reading a folder")
    folder_rows, limits = benchmark.folder()
    rows += folder_rows
    messages.print("Reading photos")
    rows.append(benchmark.photos())
    messages.print("Reading numbers and forms")
    rows += benchmark.other_reading()
    messages.print("Storing in MariaDB")
    mysql_rows, mysql_limits = benchmark.mysql()
    messages.print("Reading a flood of images")
    rows += [*mysql_rows, *benchmark.flood()]
    core_rows, core_limits = benchmark.cores()
    messages.print("Reading the training images")
    rows += [*core_rows, *benchmark.reading(), *training]
    messages.print("Training by the defaults")
    rows.append(benchmark.epochs())
    messages.print("Profiling")
    return Figures(rows, [*limits, *mysql_limits, *core_limits], benchmark.profiles())


def describe(sizes: Sizes, *, quick: bool) -> str:
    """Return what was measured, on what."""
    return (
        f"{date.today()}, {platform.system()} {platform.machine()}, {default_workers()} cores, "
        f"Python {platform.python_version()}. Medians, with the range, of {sizes.repeats} "
        f"repetitions, {sizes.long_repeats} of what takes long."
        + (" --quick: a smoke test on few images, no result." if quick else "")
    )


# --------------------------------------------------------------------------------- command line


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure how long reading and training take, beside other ways.",
        epilog="example:\n  %(prog)s --markdown benchmarks/speed.md --json speed.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=DEFAULT_MODEL,
        metavar="FILE",
        help="the model to read with (default: the one that comes with the program)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="also write the tables to FILE, between its marks for results if it has them",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where the images are laid out meanwhile, on the disk to be measured (default: the "
        "system's temporary folder)",
    )
    parser.add_argument("--quick", action="store_true", help="smoke test with few images")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status: 0, 2 if something fails, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    messages = make_console(stderr=True)
    try:
        check_outputs(arguments.json, arguments.markdown)
        with tempfile.TemporaryDirectory(prefix="digits-speed-", dir=arguments.folder) as folder:
            found = measure(arguments, Path(folder), messages)
        notes = describe(QUICK if arguments.quick else Sizes(), quick=arguments.quick)
        text = as_markdown(found.rows, found.limits, notes, found.profiles)
        if arguments.markdown:
            write_markdown(arguments.markdown, text, START, END)
        if arguments.json:
            rows = [{**asdict(row), "result": result(row)} for row in found.rows]
            limits = [asdict(row) for row in found.limits]
            profiles = dict(found.profiles)
            content = {
                "measured": notes,
                "rows": rows,
                "limits": limits,
                "profiles": profiles,
            }
            arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except (BenchmarkError, OSError) as error:
        messages.print(f"Error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
