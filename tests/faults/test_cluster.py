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

from tests.conftest import MYSQL_PASSWORD, PASSWORD_VARIABLE, private_server, server_name
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
SECONDS_BETWEEN = 20 if SOAK else 2  # one misfortune and the next
REPLACED_AT_MOST = 1000 if SOAK else 1  # a new node takes longer to start than the rest takes
COPIES = 20 if SOAK else 6  # of the pictures, under other names


@pytest.fixture(scope="module")
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


@pytest.fixture(params=["mysql", "parquet"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a database, and what restarts it."""
    if request.param == "parquet":
        yield f"parquet:{tmp_path / 'results'}", lambda: None
        return
    with private_server(request.getfixturevalue("server_program")) as server:
        monkeypatch.setenv(PASSWORD_VARIABLE, MYSQL_PASSWORD)

        def restart() -> None:
            server.kill()
            server.start()

        yield f"{server.url}digits", restart


def test_nodes_and_driver_killed(
    database: tuple[str, Callable[[], None]],
    nodes: Nodes,
    detector: Detector,
    many: Path,
    expected: Rows,
    record_property: Record,
) -> None:
    """The driver is killed once and resumed; then nodes, one after the other; the server once."""
    chance = random.Random(SEED)
    url, restart = database
    replaced = killed = 0
    arguments: list[object] = [many, "--cluster", nodes.address]
    while True:
        with detector.start(*arguments, database=url) as process:
            wait_for_rows(url, process)  # a quick machine has done all a moment later
            while process.poll() is None:
                if not killed:
                    process.kill()
                    killed += 1
                elif replaced < REPLACED_AT_MOST:
                    nodes.replace(chance)
                    replaced += 1
                    if replaced == 1:
                        restart()
                wait(process, SECONDS_BETWEEN)
            out, messages = process.communicate(timeout=600)
        assert out == ""
        if process.returncode >= 0:
            break
        (run,) = stored_runs(url)
        arguments = ["--resume", run.info.id, "--cluster", nodes.address]
    assert process.returncode == 1, messages
    (run,) = stored_runs(url)
    damage = Damage.of(stored_rows(url), expected)
    kind = "Parquet" if url.startswith("parquet:") else server_name(url)
    what = f"nodes of a cluster killed and replaced, driver killed and resumed once, {kind}"
    record_property("what", what)
    record_property("times", replaced)
    record_property("images", len(expected))
    record_property("damage", vars(damage))
    assert damage == NONE
    assert replaced > 0
    assert killed == 1
    if SOAK:  # a short run ends before Ray believes that a node is lost
        assert "is lost: what it was reading is read again elsewhere." in messages
    assert run.state == "finished"
    assert run.counts is not None
    assert run.counts.images == len(expected)


def wait_for_rows(url: str, process: subprocess.Popen[str]) -> None:
    """Wait until more is stored than at the start, or the process has ended."""
    before = stored_count(url)
    while process.poll() is None and stored_count(url) == before:
        time.sleep(0.05)


def stored_count(url: str) -> int:
    """How much is stored, in rows or in parts."""
    if url.startswith("parquet:"):
        return sum(1 for _ in Path(url.removeprefix("parquet:")).rglob("*.parquet"))
    return count_rows(url)


def wait(process: subprocess.Popen[str], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
