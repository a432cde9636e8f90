"""A cluster whose nodes are killed, whose database restarts, and whose driver is killed."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import (
    NONE,
    PICTURES,
    SEED,
    SOAK,
    Damage,
    Detector,
    Rows,
    rows_by_path,
    stored_rows,
    stored_runs,
)
from tests.faults.test_kills import count_rows
from tests.ray_nodes import Nodes

pytest.importorskip("ray")

Record = Callable[[str, object], None]
NODES = 4 if SOAK else 2  # of one core each
SECONDS_BETWEEN = 20 if SOAK else 2
REPLACED_AT_MOST = 1000 if SOAK else 1  # a new node takes longer to start than the rest takes
COPIES = 20  # of the pictures, under other names


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    nodes = Nodes(NODES)
    yield nodes
    nodes.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Path:
    """The pictures many times over, under other names."""
    folder = tmp_path_factory.mktemp("cluster") / "many"
    for copy in range(COPIES):
        (folder / str(copy)).mkdir(parents=True)
        for name in os.listdir(os.fsencode(archive)):
            source, target = os.fsencode(archive) + b"/", os.fsencode(folder / str(copy)) + b"/"
            os.link(source + name, target + name)
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, model: Path, many: Path) -> Rows:
    """The rows of a run on one machine."""
    folder = tmp_path_factory.mktemp("one-machine")
    url = f"sqlite:///{folder / 'digits.db'}"
    done = Detector(folder, model).run(many, database=url)
    assert done.returncode == 1, done.stderr  # of the pictures, some are none
    rows = rows_by_path(url)
    assert len(rows) == COPIES * PICTURES
    return rows


def test_nodes_and_driver_killed(
    mysql_url: str,
    nodes: Nodes,
    detector: Detector,
    many: Path,
    expected: Rows,
    record_property: Record,
) -> None:
    chance = random.Random(SEED)
    replaced = killed = 0
    arguments: list[object] = [many, "--cluster", nodes.address]
    while True:
        with detector.start(*arguments, database=mysql_url) as process:
            wait_for_rows(mysql_url, process)
            while not ended(process, SECONDS_BETWEEN):
                if not killed:
                    process.kill()
                    killed += 1
                elif replaced < REPLACED_AT_MOST:
                    nodes.replace(chance)
                    replaced += 1
            _, messages = process.communicate(timeout=600)
        if process.returncode >= 0:
            break
        (run,) = stored_runs(mysql_url)
        arguments = ["--resume", run.info.id, "--cluster", nodes.address]
    assert process.returncode == 1, messages
    (run,) = stored_runs(mysql_url)
    damage = Damage.of(stored_rows(mysql_url), expected)
    record_property("what", f"nodes of a cluster replaced, and its driver killed {killed} times")
    record_property("times", replaced)
    record_property("images", len(expected))
    record_property("damage", vars(damage))
    assert damage == NONE
    assert replaced > 0
    assert killed == 1
    assert "is lost: what it was reading is read again elsewhere." in messages
    assert run.state == "finished"
    assert run.counts is not None
    assert run.counts.images == len(expected)


def wait_for_rows(url: str, process: subprocess.Popen[str]) -> None:
    before = count_rows(url)
    while process.poll() is None and count_rows(url) == before:
        time.sleep(0.05)


def ended(process: subprocess.Popen[str], seconds: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return True
    return False
