"""Detectors that are killed without a chance to say so, and two that work at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from digit_classification.results.errors import DatabaseError
from digit_classification.results.records import StoredResult
from tests.conftest import server_name
from tests.faults.conftest import (
    NONE,
    PICTURES,
    SEED,
    SOAK,
    Damage,
    Detector,
    Rows,
    open_database,
    stored_rows,
    stored_runs,
)

Record = Callable[[str, object], None]
KILLS = 50 if SOAK else 3
SECONDS_AT_ONCE = 60 if SOAK else 1


def kill_and_resume(
    detector: Detector, url: str, chance: random.Random, kills: int, *options: object
) -> tuple[int, int]:
    """Run to the end, killed at random moments on the way.

    Returns how often it was, and how often with a part of the rows stored.
    """
    killed = midway = before = 0
    while True:
        run_id = begun_run(url)
        arguments = ["pictures"] if run_id is None else ["--resume", run_id]
        with detector.start(*arguments, *options, database=url) as process:
            if killed < kills:
                # Mostly at some part of what is left to store; now and then while it starts.
                if chance.random() < 0.9:
                    rows = before + chance.random() * (PICTURES - before)
                    while process.poll() is None and count_rows(url) <= rows:
                        time.sleep(0.002)
                else:
                    stop = time.monotonic() + chance.uniform(0, 1)
                    while process.poll() is None and time.monotonic() < stop:
                        time.sleep(0.002)
                if process.poll() is None:
                    process.kill()
                    killed += 1
            _, messages = process.communicate(timeout=600)
        before = count_rows(url)
        midway += process.returncode < 0 and 0 < before < PICTURES
        if process.returncode >= 0:
            assert process.returncode == 1, messages  # some of the pictures are none
        if before == PICTURES and any(run.state == "finished" for run in stored_runs(url)):
            return killed, midway


def count_rows(url: str) -> int:
    """The rows of all runs."""
    with (
        contextlib.suppress(DatabaseError),
        open_database(url, read_only=True) as database,
        database._store.transaction() as cursor,
    ):
        cursor.execute("SELECT COUNT(*) FROM classified_images")
        return int(cursor.fetchall()[0][0])
    return 0


def begun_run(url: str) -> str | None:
    """The run that has rows; or else one that has none yet, if there is one at all.

    A server may record a run just after its detector was killed, and after another was started.
    """
    try:
        runs = stored_runs(url)
    except DatabaseError:  # killed before the database was made
        return None
    with open_database(url) as database:
        begun = [run.info.id for run in runs if next(database.rows(run.info.id), None)]
    assert len(begun) <= 1
    ids = begun or [run.info.id for run in runs]
    return ids[0] if ids else None


def kind(url: str) -> str:
    return server_name(url) if url.startswith("mysql") else "SQLite"


@pytest.mark.same_results
def test_killed_at_random_moments(
    database_url: str, detector: Detector, undisturbed: Rows, record_property: Record
) -> None:
    chance = random.Random(SEED)
    kills, midway, runs, damage = 0, 0, 0, NONE
    while kills < KILLS or not midway:
        url = f"{database_url}{runs or ''}"
        killed, part = kill_and_resume(detector, url, chance, max(KILLS - kills, 1))
        kills, midway = kills + killed, midway + part
        (run,) = (run for run in stored_runs(url) if run.state == "finished")
        damage += Damage.of(stored_rows(url, run.info.id), undisturbed)
        assert run.counts is not None
        assert run.counts.images == PICTURES
        runs += 1
        drop(url)
    record_property("what", f"kill -9 at random moments ({midway} midway), {kind(url)}")
    record_property("times", kills)
    record_property("images", runs * PICTURES)
    record_property("damage", vars(damage))
    assert damage == NONE


def drop(url: str) -> None:
    if url.startswith("mysql"):
        with open_database(url) as database, database._store.transaction() as cursor:
            cursor.execute(f"DROP DATABASE `{url.rpartition('/')[2]}`")


@pytest.mark.parametrize("place", ["same file system", "other file system"])
@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
def test_killed_while_sorting(
    move: bool,
    place: str,
    detector: Detector,
    archive: Path,
    sqlite_url: str,
    undisturbed: Rows,
    tmp_path: Path,
    other_file_system: Path,
    record_property: Record,
) -> None:
    """Each picture is sorted once, and its row says where."""
    chance = random.Random(f"{SEED} {move} {place}")  # in each case at other moments
    options = ["--move"] if move else []
    kills, midway, runs, damage = 0, 0, 0, NONE
    wanted = 20 if SOAK else 1
    while kills < wanted:
        (tmp_path / "pictures").unlink()
        make_pictures(archive, tmp_path / "pictures")
        before = contents(tmp_path / "pictures")
        parent = tmp_path if place == "same file system" else other_file_system
        target = parent / f"sorted {runs}"
        url = f"{sqlite_url}{runs}"
        sort = ["--sort-into", target, *options]
        killed, part = kill_and_resume(detector, url, chance, wanted - kills, *sort)
        kills, midway = kills + killed, midway + part
        rows = stored_rows(url)
        damage += Damage.of(rows, undisturbed) + sorting_damage(rows, target)
        left = {Path(str(row.path)).name for row in rows if row.status == "error"}
        after = contents(tmp_path / "pictures")
        if move:
            before = {name: sha256 for name, sha256 in before.items() if ascii_name(name) in left}
        assert after == before
        runs += 1
        (tmp_path / "pictures").rename(tmp_path / f"read {runs}")
        (tmp_path / "pictures").symlink_to(archive)
    verb = "moving" if move else "copying"
    record_property("what", f"kill -9 while {verb} to folders ({midway} midway), {place}")
    record_property("times", kills)
    record_property("images", runs * PICTURES)
    record_property("damage", vars(damage))
    assert damage == NONE


def make_pictures(archive: Path, folder: Path) -> None:
    folder.mkdir()
    for file in archive.iterdir():
        os.link(file, folder / file.name)


def ascii_name(name: str) -> str:
    return name.replace("\udcff", "\\xff")


def contents(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.is_file()
    }


def sorting_damage(rows: list[StoredResult], folder: Path) -> Damage:
    """Compare the files under a folder with the rows that name them."""
    files = {str(file): file for file in folder.rglob("*") if file.is_file()}
    named = {str(row.sorted_to): row for row in rows if row.sorted_to is not None}
    sortable = [row for row in rows if row.status != "error"]
    changed = sum(
        hashlib.sha256(files[place].read_bytes()).hexdigest() != row.image_sha256
        for place, row in named.items()
        if place in files
    )
    lost = len(sortable) - len(named) + len(named.keys() - files.keys())
    return Damage(lost=lost, doubled=len(files.keys() - named.keys()), changed=changed)


def test_two_at_once(
    database_url: str, detector: Detector, undisturbed: Rows, record_property: Record
) -> None:
    """Both begin with a database that is not there yet."""
    end = time.monotonic() + SECONDS_AT_ONCE
    failures: list[str] = []

    def run_again_and_again() -> None:
        while True:
            done = detector.run("pictures", "--workers", 1, database=database_url)
            if done.returncode != 1:
                failures.append(done.stderr)
            if time.monotonic() > end:
                return

    both = [threading.Thread(target=run_again_and_again) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert failures == []
    runs = stored_runs(database_url)
    assert len(runs) >= 2
    assert {run.state for run in runs} == {"finished"}
    damage = NONE
    for run in runs:
        assert run.counts is not None
        assert run.counts.images == PICTURES
        damage += Damage.of(stored_rows(database_url, run.info.id), undisturbed)
    record_property("what", f"runs of two detectors at once, {kind(database_url)}")
    record_property("times", len(runs))
    record_property("images", len(runs) * PICTURES)
    record_property("damage", vars(damage))
    assert damage == NONE
