"""The processes that read pictures may end at any time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digit_classification import parallel
from digit_classification.parallel import in_batches, map_in_parts
from digit_classification.pictures.images import normalize
from digit_classification.pictures.prepare import Prepared, prepare, prepare_all, prepare_many
from digit_classification.pictures.sources import Source
from tests.documents import ROOT
from tests.drawing import draw_digit, png, write_dataset

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs Unix signals")


def crash_on_some(chunk: list[Source], **options: Any) -> list[Prepared]:
    """Stands in for `prepare_many`: a picture named `crash` ends the process that reads it.

    One named `once` does so only the first time.
    """
    for source in chunk:
        if source.name.endswith(".once.png") and not os.path.exists(f"{source.path}.seen"):
            Path(f"{source.path}.seen").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if source.name.endswith(".crash.png"):
            os.kill(os.getpid(), signal.SIGKILL)
    return prepare_many(chunk, **options)


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    content = png(draw_digit(7))
    paths = [tmp_path / f"{number:03}.png" for number in range(300)]
    for path in paths:
        path.write_bytes(content)
    return [Source(name=str(path), path=str(path)) for path in paths]


def sleep_each(
    chunk: list[tuple[int, float]], *, enough: Callable[[], bool]
) -> list[tuple[int, int]]:
    """Take so many seconds for each item; return its number and the process that did it."""
    outputs: list[tuple[int, int]] = []
    for number, seconds in chunk:
        if outputs and enough():
            break
        time.sleep(seconds)
        outputs.append((number, os.getpid()))
    return outputs


def test_a_few_slow_pictures_are_shared_out_and_the_first_come_at_once() -> None:
    items = [(number, 0.25) for number in range(24)]
    begin = time.monotonic()
    parts = map_in_parts(sleep_each, items, workers=4)
    outputs = list(next(parts))
    assert time.monotonic() - begin < 2
    assert len(outputs) == 1
    for part in parts:
        assert len(part) <= 2
        outputs += part
    assert [number for number, _ in outputs] == list(range(24))
    assert len({process for _, process in outputs}) > 2


def test_little_work_needs_no_processes() -> None:
    items = [(number, 0.0) for number in range(parallel.SMALL)]
    parts = list(map_in_parts(sleep_each, items, workers=4))
    assert {process for part in parts for _, process in part} == {os.getpid()}
    assert max(map(len, parts)) == parallel.CHUNK


def test_slow_pictures_among_quick_ones_are_cut_by_time() -> None:
    """Those in flight were cut for quick ones; they are given out again, and none is lost."""
    items = [(number, 0.0 if number < 1500 else 0.15) for number in range(1540)]
    parts = list(map_in_parts(sleep_each, items, workers=2))
    outputs = [output for part in parts for output in part]
    assert [number for number, _ in outputs] == list(range(1540))
    slow = [part for part in parts if any(number >= 1500 for number, _ in part)]
    slow_in_a_part = [sum(number >= 1500 for number, _ in part) for part in slow]
    assert max(slow_in_a_part) <= 4  # CUT_S, and the one that was begun
    assert len({process for part in slow for _, process in part}) == 2


def test_batches_are_cut_by_size_and_by_time() -> None:
    assert list(in_batches([[1, 2, 3], [], [4, 5]], 2)) == [[1, 2], [3, 4], [5]]
    assert list(in_batches([[1], [2, 3], [], [4]], 1000, seconds=0)) == [[1], [2, 3], [4]]

    def slow() -> Iterator[list[int]]:
        yield [1]
        time.sleep(0.3)
        yield []  # nothing new
        yield [2]

    assert list(in_batches(slow(), 1000, seconds=0.2)) == [[1], [2]]


def test_ctrl_c_while_waiting_loses_nothing_of_what_has_come() -> None:
    def interrupted() -> Iterator[list[int]]:
        yield [1, 2]
        raise KeyboardInterrupt

    batches = in_batches(interrupted(), 1000)
    assert next(batches) == [1, 2]
    with pytest.raises(KeyboardInterrupt):
        next(batches)


def test_enough_ends_a_chunk_after_the_picture_that_was_begun(sources: list[Source]) -> None:
    assert [each.source for each in prepare_many(sources, enough=lambda: True)] == sources[:1]
    looked = iter([False, False, True])
    assert len(prepare_many(sources, enough=lambda: next(looked))) == 3


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_script_needs_no_main_guard(
    method: str, sources: list[Source], tmp_path: Path, model: Path
) -> None:
    """Its processes do not import it, and so do not run it again."""
    script = tmp_path / "reads.py"
    script.write_text(
        "import multiprocessing, sys\n"
        f"multiprocessing.get_all_start_methods = lambda: [{method!r}]\n"
        "from digit_classification.config import Settings\n"
        "from digit_classification_detector import DigitPredictor\n"
        "from digit_classification_model_trainer import DigitClassifier\n"
        "settings = Settings.model_validate({'detection': {'workers': 2},"
        " 'dataset': {'path': sys.argv[3], 'test_path': None, 'cache': False},"
        " 'training': {'drawn_share': 0}})\n"
        "results = list(DigitPredictor(sys.argv[1], settings=settings)"
        ".classify_images([sys.argv[2]]))\n"
        "print(len(results))\n"
        "parts, _ = DigitClassifier(settings, quiet=True).prepare()\n"
        "print(sum(map(len, (parts.training, parts.validation, parts.test))))\n"
    )
    dataset = write_dataset(tmp_path / "dataset", per_class=30)
    folder = os.path.dirname(sources[0].path)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for source in sources:
        os.rename(source.path, pictures / os.path.basename(source.path))
    assert folder == str(tmp_path)
    done = subprocess.run(
        [sys.executable, script, model, pictures, dataset],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("300\n300\n", "")


def renamed(source: Source, word: str) -> Source:
    path = f"{source.path}.{word}.png"
    os.rename(source.path, path)
    return Source(name=path, path=path)


def test_a_picture_that_crashes_its_process_is_an_error(
    sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digit_classification.pictures.prepare.prepare_many", crash_on_some)
    for position in (0, 130, 299):
        sources[position] = renamed(sources[position], "crash")
    for position in (65, 200):
        sources[position] = renamed(sources[position], "once")
    prepared = list(prepare_all(sources, workers=2))
    assert [image.source for image in prepared] == sources
    failed = {n: image.error for n, image in enumerate(prepared) if image.error}
    assert failed == dict.fromkeys((0, 130, 299), "crashed what reads it 2 times")


def test_a_process_ended_from_outside_loses_nothing(sources: list[Source]) -> None:
    import multiprocessing

    images = prepare_all(sources, workers=2)
    first = next(images)
    for process in multiprocessing.active_children():
        process.kill()
    prepared = [first, *images]
    assert [image.source for image in prepared] == sources
    assert not any(image.error for image in prepared)


def test_processes_end_with_their_parent(sources: list[Source], tmp_path: Path) -> None:
    """Killed without a chance to tell them."""
    code = (
        "import multiprocessing, sys, time\n"
        "from digit_classification.pictures.prepare import prepare_all\n"
        "from digit_classification.pictures.sources import find_sources\n"
        "if __name__ == '__main__':\n"
        "    images = prepare_all(find_sources([sys.argv[1]]), workers=2)\n"
        "    next(images)\n"
        "    print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "    time.sleep(600)\n"
    )
    script = tmp_path / "reader.py"
    script.write_text(code)
    parent = subprocess.Popen(
        [sys.executable, script, os.path.dirname(sources[0].path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.communicate()
    assert len(children) == 2
    deadline = time.monotonic() + 30
    while any(map(is_running, children)):
        assert time.monotonic() < deadline, "a process is left over"
        time.sleep(0.1)


def test_ctrl_c_while_processes_start_ends_the_program(
    sources: list[Source], tmp_path: Path
) -> None:
    """A process that nobody knows of would be waited for without end."""
    code = (
        "import signal, sys\n"
        "from multiprocessing.process import BaseProcess\n"
        "from digit_classification.cli.interruption import ending_in_order\n"
        "from digit_classification.pictures.prepare import prepare_all\n"
        "from digit_classification.pictures.sources import find_sources\n"
        "start = BaseProcess.start\n"
        "def start_and_interrupt(process):\n"
        "    BaseProcess.start = start\n"
        "    start(process)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "BaseProcess.start = start_and_interrupt\n"
        "try:\n"
        "    with ending_in_order():\n"
        "        list(prepare_all(find_sources([sys.argv[1]]), workers=2))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    script = tmp_path / "reader.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script, os.path.dirname(sources[0].path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


def test_the_processes_that_read_do_not_import_the_script(tmp_path: Path, model: Path) -> None:
    """It imports much that they do not need; that takes longer than reading a thousand digits."""
    for number in range(parallel.SMALL + 1):
        (tmp_path / f"{number}.png").write_bytes(png(draw_digit(number % 10, seed=number)))
    script = [sys.executable, "-X", "importtime", str(ROOT / "digit_classification_detector.py")]
    options = ["--model", str(model), "--database", "none", "--workers", "2"]
    done = subprocess.run(
        [*script, str(tmp_path), *options], capture_output=True, text=True, check=True
    )
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert imported.count("digit_classification.pictures.prepare") > 1  # by this process and others
    assert imported.count("digit_classification.cli.command_line") == 1


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that has ended is still listed until its parent, the fork server, asks.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_pictures_come_out_the_same_together_as_alone(tmp_path: Path) -> None:
    """Small ones are normalised together, and what they are read with must not show."""
    pictures = {
        "ready.png": png(normalize(draw_digit(3)).digit),
        "small-but-not-ready.png": png(255 - normalize(draw_digit(4)).digit),
        "large.png": png(draw_digit(5)),
        "broken.png": b"no picture",
        "ready-too.png": png(normalize(draw_digit(6)).digit),
    }
    sources = []
    for name, content in pictures.items():
        (tmp_path / name).write_bytes(content)
        sources.append(Source(name=name, path=str(tmp_path / name), explicit=True))
    sources.append(Source(name="gone.png", path=str(tmp_path / "gone.png")))
    for together, source in zip(prepare_many(sources), sources, strict=True):
        alone = prepare(source)
        assert together.source == source
        assert (together.sha256, together.error) == (alone.sha256, alone.error)
        assert np.array_equal(together.digit, alone.digit)  # type: ignore[arg-type]
    assert prepare_many([]) == []
