#!/usr/bin/env python3
"""Measure what reading on a cluster costs, and predict from its parts how long clusters take.

    python benchmarks/cluster.py --model digit_classification.keras
    python benchmarks/cluster.py --quick

The nodes are processes on this machine, of one core each.  The tables go to standard output,
progress to standard error.  How each figure is measured is said in benchmarks/cluster.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import pickle
import shutil
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from benchmarks import speed  # noqa: E402
from benchmarks.accuracy import TEST_SET, BenchmarkError, check_outputs, write_markdown  # noqa: E402
from digit_classification.cli.terminal import make_console  # noqa: E402
from digit_classification.detection.reading import Batch, ReadingOptions, read_and_judge  # noqa: E402
from digit_classification.network.model_file import Model, load_model  # noqa: E402
from digit_classification.parallel import default_workers  # noqa: E402
from digit_classification.pictures.decode import DEFAULT_LIMITS  # noqa: E402
from digit_classification.pictures.sources import Source, find_sources  # noqa: E402
from digit_classification.results.parquet.dataset import ParquetDataset  # noqa: E402
from digit_classification.results.records import RunInfo  # noqa: E402

START, END = "<!-- results: written by benchmarks/cluster.py -->", "<!-- end of results -->"
CHUNK = 1000  # pictures, as detection.batch_size is by default
CHUNKS = 20  # read to measure what a picture takes
EMPTY_CHUNKS = 300
SETTLED, IDLE = 5.0, 10.0  # seconds
OPTIONS = ReadingOptions("auto", DEFAULT_LIMITS, min_confidence=0.6)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    few: int = 20_000
    flood: int = 200_000
    nodes: tuple[int, ...] = (1, 2, 4)
    repeats: int = 3


QUICK = Sizes(few=600, flood=1_200, nodes=(1,), repeats=1)


@dataclass(frozen=True)
class Parts:
    """What a run on a cluster is made of, each measured on its own."""

    start: dict[int, float]  # seconds until chunks are being read, by the number of nodes
    idle: dict[int, float]  # cores that so many nodes take when there is nothing to do
    image: dict[int, float]  # seconds of a core a picture, when so many processes work
    chunk: float  # seconds that Ray adds to a chunk
    driver: float  # seconds of the driver for a chunk
    name: float  # seconds to list a picture
    row: float  # seconds to store a row in MariaDB over one connection

    def seconds(self, images: int, readers: int, cores: int) -> float:
        """Predict a run into Parquet on one machine."""
        return self.start[readers] + images * self.each_on_one_machine(readers, cores)

    def each_on_one_machine(self, readers: int, cores: int) -> float:
        """Return the seconds a picture when the driver shares its cores with the readers."""
        work = self.image[max(readers, cores)] + self.name + cores * self.driver / CHUNK
        shared = work / (cores - self.idle[readers])
        return max(shared, self.limit(readers, cores)[1])

    def limit(self, readers: int, cores: int, connections: int = 0) -> tuple[str, float]:
        """Return what limits the rate, and the seconds a picture."""
        working = min(readers, cores)
        busiest = self.image[min(working, default_workers())]
        limits = {
            "reading": (busiest + self.chunk / CHUNK) / working,
            "the driver": self.driver / CHUNK + self.name,
        }
        if connections:
            limits["inserting"] = self.row / connections
        name = max(limits, key=lambda each: limits[each])
        return name, limits[name]


# -------------------------------------------------------------------------------------- parts


def read(sources: list[Source], model: Model) -> Batch:
    return Batch.of(read_and_judge(sources, model.network, model.judge, OPTIONS))


def read_some(folder: str, model: str, dataset: str, first: int, ready: Any, go: Any) -> float:
    """Read, judge and store chunks as a task does, without Ray; return seconds a picture."""
    sources = list(find_sources([folder]))
    loaded = load_model(Path(model))
    with ParquetDataset.open(f"parquet:{dataset}") as database:
        run_id = database.start_run(RunInfo(sources=[folder], model_path=model))
        # From all over the folder: a name that was looked up before is found sooner.
        places = [first + n * len(sources) // CHUNKS for n in range(CHUNKS)]
        chunks = [sources[place % len(sources) :][:CHUNK] for place in places]
        for number, chunk in enumerate(chunks):
            if number == 1:  # the first one warms up
                ready.release()
                go.wait()
                begin = time.perf_counter()
            batch = read(chunk, loaded)
            database.add(run_id, batch.results, part=number)
    return (time.perf_counter() - begin) / sum(map(len, chunks[1:]))


def listing_seconds(folder: Path) -> float:
    """Return the seconds that a name in a folder takes to be listed."""
    begin = time.perf_counter()
    names = sum(1 for _ in find_sources([str(folder)]))
    return (time.perf_counter() - begin) / names


def image_seconds(folder: Path, model: Path, scratch: Path, processes: int) -> float:
    """Return the seconds of a core that a picture takes while so many processes work."""
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(dir=scratch) as results,
        context.Manager() as manager,
        context.Pool(processes) as pool,
    ):
        ready, go = manager.Semaphore(0), manager.Event()
        places = [f"{results}/{n}" for n in range(processes)]
        runs = [
            pool.apply_async(read_some, (str(folder), str(model), place, n * CHUNK, ready, go))
            for n, place in enumerate(places)
        ]
        for _ in runs:
            ready.acquire()
        go.set()
        seconds = statistics.mean(run.get() for run in runs)
    return seconds * min(1.0, default_workers() / processes)


def empty_chunk(packed: bytes) -> tuple[None, int]:
    return None, len(pickle.loads(packed))


def chunk_seconds(address: str, sources: list[Source], readers: int) -> float:
    """Return the seconds from chunk to chunk when there is nothing to do for them."""
    import ray

    from digit_classification.detection.cluster.tasks import pack

    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    try:
        task = ray.remote(num_cpus=1, num_returns=2)(empty_chunk)
        ray.get([task.remote(pack(sources))[1] for _ in range(4 * readers)])
        begin = time.perf_counter()
        flying = [task.remote(pack(sources))[1] for _ in range(3 * readers)]
        for _ in range(EMPTY_CHUNKS):
            (done,), flying = ray.wait(flying, num_returns=1)
            ray.get(done)
            flying.append(task.remote(pack(sources))[1])
        ray.get(flying)
        return (time.perf_counter() - begin) / (EMPTY_CHUNKS + len(flying))
    finally:
        ray.shutdown()


def idle_cores(nodes: int) -> float:
    """Return the cores that Ray's processes on so many nodes take when there is nothing to do."""
    with running(nodes, 1):
        time.sleep(SETTLED)  # what a node does once, when it starts
        before = _processor_seconds()
        time.sleep(IDLE)
        after = _processor_seconds()
    return sum(seconds - before[pid] for pid, seconds in after.items() if pid in before) / IDLE


def _processor_seconds() -> dict[int, float]:
    """Return the seconds of a core that each process of Ray has taken, by its number."""
    seconds = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # ended by now, or not ours
            if "ray" in " ".join(process.cmdline()):
                times = process.cpu_times()
                seconds[process.pid] = times.user + times.system
    return seconds


def row_seconds(url: str, model: Path, folder: Path) -> float:
    """Return the seconds that a row takes one connection."""
    from digit_classification.results.database import ResultsDatabase
    from tests.conftest import MYSQL_PASSWORD

    loaded = load_model(model)
    sources = list(find_sources([str(folder)]))[:CHUNK]
    results = read(sources, loaded).results
    with ResultsDatabase.open(url, password=MYSQL_PASSWORD) as database:
        times = []
        for _ in range(6):
            run_id = database.start_run(RunInfo(sources=[], model_path=""))
            begin = time.perf_counter()
            database.add(run_id, results)
            times.append(time.perf_counter() - begin)
    return statistics.median(times[1:]) / len(results)


def crossing_bytes(sources: list[Source], model: Path) -> tuple[float, float]:
    """Return the pickled bytes a picture: to and from the driver, and of a row to its writer."""
    from digit_classification.detection.cluster.tasks import ChunkReport, pack
    from digit_classification.detection.summary import Summary

    batch = read(sources, load_model(model))
    report = ChunkReport("0" * 56, 1.0, Summary.of(batch.results), [])
    driver = len(pack(sources)) + len(pickle.dumps(report, 5))
    return driver / len(sources), len(pickle.dumps(batch.results, 5)) / len(sources)


# ---------------------------------------------------------------------------------- whole runs


@dataclass(frozen=True)
class Benchmark:
    """Measures with a model, in a scratch folder."""

    folder: Path
    model: Path
    sizes: Sizes
    messages: Console

    def lay_out(self) -> None:
        """Link MNIST's test images into folders of the sizes to be measured."""
        with zipfile.ZipFile(TEST_SET) as members:
            members.extractall(self.folder / "test")
        pictures = sorted((self.folder / "test").rglob("*.png"))
        for name, count in (("few", self.sizes.few), ("flood", self.sizes.flood)):
            speed.link_many(pictures, self.folder / name, count)

    def detect(self, pictures: Path, *options: object, database: str, memory: bool = False) -> Any:
        command = (speed.DETECTOR, pictures, "--model", self.model, "--database", database)
        return speed.run(*command, "--quiet", *options, memory=memory, accept=(0, 1))

    def parquet(self) -> str:
        place = self.folder / "results"
        shutil.rmtree(place, ignore_errors=True)
        return f"parquet:{place}"

    def against_one_machine(self) -> speed.Row:
        flood, cores = self.folder / "flood", default_workers()
        ours, others = [], []
        with running(1, cores) as address:
            for _ in range(self.sizes.repeats):
                alone = self.detect(flood, "--workers", cores, database=self.parquet()).seconds
                others.append(self.sizes.flood / alone)
                options = ("--cluster", address)
                together = self.detect(flood, *options, database=self.parquet()).seconds
                ours.append(self.sizes.flood / together)
        name = f"{self.sizes.flood:,} images into Parquet, whole command, a node of {cores} cores"
        return speed.Row(name, ours, "/s", "the same without a cluster", others, "share", 0.7, 0.9)

    def driver_memory(self) -> speed.Row:
        """The detector's own process and what it starts; the nodes are not among these."""
        peaks: dict[str, list[float]] = {"few": [], "flood": []}
        with running(1, default_workers()) as address:
            for name, values in peaks.items():
                options = ("--cluster", address)
                run = self.detect(
                    self.folder / name, *options, database=self.parquet(), memory=True
                )
                values.append(run.peak_bytes / 1e6)
        return speed.Row(
            f"memory of the driver, {self.sizes.flood:,} images",
            peaks["flood"],
            "MB",
            f"{self.sizes.few:,} images",
            peaks["few"],
            "growth",
            0.10,
            0.02,
        )

    def scaling(self) -> tuple[Parts, list[tuple[int, float, float]]]:
        """Measure the parts and whole runs in turn, for a machine has good and bad minutes.

        Returns the parts and, for numbers of nodes of one core, predicted and measured seconds.
        """
        flood, cores = self.folder / "flood", default_workers()
        sources = list(find_sources([str(flood)]))
        idle = {nodes: idle_cores(nodes) for nodes in self.sizes.nodes}
        with speed.server() as base:
            row = 0.0 if base is None else row_seconds(f"{base}digits_rows", self.model, flood)
        few = {nodes: self.chunks(sources, nodes) for nodes in self.sizes.nodes}
        working = {*range(1, cores + 1), *self.sizes.nodes}
        image: dict[int, list[float]] = {n: [] for n in sorted(working)}
        chunk, driver, name = [], [], []
        short: dict[int, list[float]] = {nodes: [] for nodes in self.sizes.nodes}
        whole: dict[int, list[float]] = {nodes: [] for nodes in self.sizes.nodes}
        for _ in range(self.sizes.repeats):
            name.append(listing_seconds(flood))
            with running(1, 1) as address:
                chunk.append(chunk_seconds(address, sources[:CHUNK], 1))
            with running(1, cores) as address:
                driver.append(chunk_seconds(address, sources[:CHUNK], cores))
            for nodes in self.sizes.nodes:
                for processes, times in image.items():
                    times.append(image_seconds(flood, self.model, self.folder, processes))
                short[nodes].append(self.on_nodes(nodes, few[nodes]))
                whole[nodes].append(self.on_nodes(nodes, flood))
        middle = statistics.median
        medians = {n: middle(times) for n, times in image.items()}
        parts = Parts({}, idle, medians, middle(chunk), middle(driver), middle(name), row)
        for nodes in self.sizes.nodes:
            reading = nodes * CHUNK * parts.each_on_one_machine(nodes, cores)
            parts.start[nodes] = middle(short[nodes]) - reading
        return parts, [
            (nodes, parts.seconds(self.sizes.flood, nodes, cores), middle(whole[nodes]))
            for nodes in self.sizes.nodes
        ]

    def chunks(self, sources: list[Source], count: int) -> Path:
        """Return a folder of so many chunks."""
        folder, some = self.folder / f"chunks-{count}", sources[: count * CHUNK]
        speed.link_many([Path(source.path) for source in some], folder, len(some))
        return folder

    def on_nodes(self, nodes: int, pictures: Path) -> float:
        """Return the seconds that so many nodes of one core take for a folder."""
        with running(nodes, 1) as address:
            run = self.detect(pictures, "--cluster", address, database=self.parquet())
        return float(run.seconds)


@contextmanager
def running(nodes: int, cores: int) -> Iterator[str]:
    """Run a cluster of so many nodes on this machine; yield its address."""
    from tests.ray_nodes import Nodes

    with closing(Nodes(nodes, cores)) as cluster:
        yield cluster.address


# ---------------------------------------------------------------------------------- the report


def as_markdown(
    rows: Sequence[speed.Row],
    parts: Parts,
    crossing: tuple[float, float],
    scaling: Sequence[tuple[int, float, float]],
    notes: str,
) -> str:
    cores = default_workers()
    lines = [
        speed.as_markdown(rows, [], notes).partition("\n| the machine")[0],
        "| a part | |",
        "| --- | ---: |",
        *(f"| start, on nodes: {n} | {seconds:.2f} s |" for n, seconds in parts.start.items()),
        *(f"| cores that idle nodes take: {n} | {idle:.2f} |" for n, idle in parts.idle.items()),
        *(
            f"| a picture on a core, processes that work: {n} | {1e6 * seconds:.0f} µs |"
            for n, seconds in parts.image.items()
        ),
        f"| what Ray adds to a chunk of {CHUNK:,} on a core | {1e3 * parts.chunk:.1f} ms |",
        f"| the driver, for a chunk | {1e3 * parts.driver:.1f} ms |",
        f"| listing a name in a folder | {1e6 * parts.name:.1f} µs |",
        f"| a row into MariaDB over one connection | {1e6 * parts.row:.0f} µs |",
        f"| bytes a picture between driver and nodes | {crossing[0]:.0f} |",
        f"| bytes of a row, from its reader to a writer (MySQL only) | {crossing[1]:.0f} |",
        "",
        f"| nodes of one core, on {cores} cores | predicted | measured | difference |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for nodes, predicted, measured in scaling:
        difference = f"{predicted / measured - 1:+.0%}"
        lines.append(f"| {nodes} | {predicted:.1f} s | {measured:.1f} s | {difference} |")
    lines += [
        "",
        "| nodes of 8 cores | into Parquet | limited by | 100 million pictures | into MariaDB "
        "| limited by |",
        "| ---: | ---: | --- | ---: | ---: | --- |",
    ]
    for nodes in (1, 2, 4, 10, 30, 100, 300, 1000):
        limit, seconds = parts.limit(8 * nodes, 8 * nodes)
        stored, slower = parts.limit(8 * nodes, 8 * nodes, connections=8)
        hours = 1e8 * seconds / 3600
        lines.append(
            f"| {nodes:,} | {1 / seconds:,.0f}/s | {limit} | {hours:.2f} h | {1 / slower:,.0f}/s "
            f"| {stored} |"
        )
    return "\n".join(lines) + "\n"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure what reading on a cluster costs.",
        epilog="example:\n  %(prog)s --markdown benchmarks/cluster.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="a trained model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="also write the tables between FILE's marks"
    )
    parser.add_argument("--quick", action="store_true", help="smoke test with few images")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status: 0, 2 if something fails, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    messages = make_console(stderr=True)
    sizes = QUICK if arguments.quick else Sizes()
    try:
        check_outputs(arguments.json, arguments.markdown)
        with tempfile.TemporaryDirectory(prefix="digits-cluster-") as folder:
            benchmark = Benchmark(Path(folder), arguments.model.resolve(), sizes, messages)
            messages.print("Laying out the pictures")
            benchmark.lay_out()
            sources = list(find_sources([str(Path(folder) / "few")]))[:CHUNK]
            crossing = crossing_bytes(sources, benchmark.model)
            messages.print("Measuring the parts, and runs on one to four nodes, in turn")
            parts, scaling = benchmark.scaling()
            messages.print("Reading beside one machine")
            rows = [benchmark.against_one_machine(), benchmark.driver_memory()]
    except (BenchmarkError, OSError) as error:
        messages.print(f"Error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    text = as_markdown(rows, parts, crossing, scaling, speed_notes(sizes, arguments.quick))
    if arguments.markdown:
        write_markdown(arguments.markdown, text, START, END)
    if arguments.json:
        content = {
            "rows": [{**asdict(row), "result": speed.result(row)} for row in rows],
            "parts": asdict(parts),
            "crossing": crossing,
            "scaling": scaling,
        }
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(text)
    return 0


def speed_notes(sizes: Sizes, quick: bool) -> str:
    own = speed.Sizes(repeats=sizes.repeats, long_repeats=sizes.repeats)
    return speed.describe(own, quick=quick)


if __name__ == "__main__":
    sys.exit(main())
