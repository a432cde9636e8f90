"""Results as Parquet files, in a folder and in a private S3, beside the same in SQLite."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digit_classification.config import load_settings
from digit_classification.pictures import object_store
from digit_classification.results import records
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.parquet import dataset as parquet_dataset
from digit_classification.results.parquet import files as parquet_files
from digit_classification.results.parquet.dataset import ParquetDataset
from digit_classification.results.records import Result, RunCounts, RunInfo, StoredResult, path_key
from tests.conftest import Bucket
from tests.documents import ROOT

pytest.importorskip("pyarrow")

TEN = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.6, 0.08, 0.04)
ROWS = [
    Result("scans/7.png", "ok", digit=7, confidence=0.1 + 0.2, probabilities=TEN),
    Result("scans/4.png", "uncertain", 4, 0.31, "a note", TEN, "ab" * 32, "sorted/4/4.png"),
    Result("more.zip/inner/two.png", "rejected", reason="found 2 digits", probabilities=TEN),
    Result("broken.png", "error", reason="truncated"),
]
HOSTILE = (
    *(
        "../../etc/passwd",
        "C:\\x\\7.png",
        "line\nbreak.png",
        "nul\0.png",
        "é漢字😀.png",
        "a,b\";'.png",
    ),
    *(
        "\udcff.png",
        "\\xff.png",
        "\ud800.png",
        "s3://bucket/7.png",
        "x" * 5_000,
        "",
        "run_id=1/7.png",
    ),
)


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A dataset that does not exist yet, in each kind of place."""
    if request.param == "folder":
        return f"parquet:{tmp_path / 'res ults é%#'}"
    return f"parquet:{request.getfixturevalue('bucket').url}/res ults é%#/2026"


@pytest.fixture(params=["folder", "s3", "sqlite"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same beside an SQL database, which behaves alike."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    if request.param == "folder":
        return f"parquet:{tmp_path / 'results'}"
    return f"parquet:{request.getfixturevalue('bucket').url}"


def open_any(url: str, **options: Any) -> ParquetDataset | ResultsDatabase:
    kind = ParquetDataset if url.startswith("parquet:") else ResultsDatabase
    return kind.open(url, **options)


def info(**values: Any) -> RunInfo:
    return RunInfo(sources=["scans"], model_path="digits.keras", **values)


def many(count: int, first: int = 0) -> list[Result]:
    return [
        Result(f"scans/{n:05}.png", "ok", n % 10, 0.9, None, TEN)
        for n in range(first, first + count)
    ]


def comparable(row: StoredResult) -> StoredResult:
    return dataclasses.replace(row, id=0, run_id=None, timestamp=None)


# --------------------------------------------------------------------- the same as in a database


def test_rows_are_those_that_were_stored(any_url: str) -> None:
    with open_any(any_url) as database:
        run_id = database.start_run(info())
        assert database.add(run_id, ROWS) == 4
        rows = list(database.rows(run_id))
    assert [row.as_result() for row in rows] == ROWS
    assert [row.id for row in rows] == [1, 2, 3, 4]
    assert {row.run_id for row in rows} == {run_id}
    assert [row.path_key for row in rows] == [path_key(row.path) for row in ROWS]
    assert [row.folder_name for row in rows] == ["scans", "scans", "inner", ""]
    assert [row.file_name for row in rows] == ["7.png", "4.png", "two.png", "broken.png"]
    for row in rows:
        assert row.timestamp is not None
        moment = datetime.strptime(row.timestamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
        assert abs(moment - datetime.now(timezone.utc)) < timedelta(minutes=5)


def test_hostile_names_are_stored_as_in_sqlite(url: str, sqlite_url: str) -> None:
    names = [name for name in HOSTILE if "\0" not in name]  # of which SQLite's own text has none
    results = [Result(name, "error", reason=name) for name in HOSTILE]
    with ParquetDataset.open(url) as dataset, ResultsDatabase.open(sqlite_url) as database:
        run_id = dataset.start_run(info())
        assert dataset.add(run_id, results) == len(HOSTILE)
        database.start_run(info(id=run_id))
        database.add(run_id, results)
        rows = [comparable(row) for row in dataset.rows(run_id)]
        assert rows == [comparable(row) for row in database.rows(run_id)]
        assert len(rows) == len(HOSTILE) > len(names)
        assert dataset.stored(run_id, HOSTILE) == set(HOSTILE)
        assert dataset.stored(run_id, ["\\udcff.png", "/etc/passwd"]) == set()


def test_numpy_scalars(any_url: str) -> None:
    share = np.float32(0.1)
    ten = tuple(np.full(10, share))
    row = Result("7.png", "ok", np.int64(7), share, None, ten)  # type: ignore[arg-type]
    with open_any(any_url) as database:
        run_id = database.start_run(info())
        database.add(run_id, [row])
        (found,) = database.rows(run_id)
    assert (found.digit, found.confidence, found.probabilities) == (
        7,
        float(share),
        (float(share),) * 10,
    )


def test_a_run_from_its_start_to_its_end(any_url: str) -> None:
    started = datetime(2026, 11, 22, 18, 55, 1, tzinfo=timezone.utc)
    about = RunInfo(
        sources=("scans", "\udcff", "é"),
        model_path="m\udcff.keras",
        model_sha256="ab" * 32,
        model_version="2026-11-01",
        program_version="1.2",
        settings={"detection": {"invert": "auto", "min_confidence": 0.6}, "move": False},
        started_at=started,
    )
    with open_any(any_url) as database:
        assert database.start_run(about) == about.id
        run = database.run(about.id)
        assert run is not None
        assert run.info == dataclasses.replace(about, model_path="m\\xff.keras")
        assert (run.state, run.finished_at, run.counts) == ("running", None, None)
        database.add(about.id, ROWS)
        counts = RunCounts(4, 1, 1, 1, 1)
        assert database.finish_run(about.id, "interrupted") == counts
        database.start_run(about)  # changes nothing
        run = database.run(about.id)
        assert run is not None
        assert (run.state, run.counts) == ("interrupted", counts)
        assert run.finished_at is not None
        database.reopen_run(about.id)
        run = database.run(about.id)
        assert run is not None
        assert (run.state, run.finished_at, run.counts) == ("running", None, None)
        assert database.finish_run(about.id, "finished", wait=False) == counts
    with open_any(any_url, read_only=True) as database:
        assert [run.state for run in database.runs()] == ["finished"]


def test_runs_are_the_newest_first(any_url: str) -> None:
    now = datetime(2026, 11, 22, tzinfo=timezone.utc)
    with open_any(any_url) as database:
        assert database.runs() == []
        assert database.latest_unfinished_run() is None
        order = [2, 0, 3, 1]
        ids = {n: database.start_run(info(started_at=now + timedelta(hours=n))) for n in order}
        assert [run.info.id for run in database.runs()] == [ids[n] for n in (3, 2, 1, 0)]
        database.finish_run(ids[3], "finished")
        database.finish_run(ids[2], "failed")
        latest = database.latest_unfinished_run()
        assert latest is not None
        assert latest.info.id == ids[2]


def test_a_run_that_is_not_there(any_url: str) -> None:
    with open_any(any_url) as database:
        for name in ("20200101-000000-000000000", "..", "a/b", "", "x" * 99, "é"):
            assert database.run(name) is None
        with pytest.raises(DatabaseError, match=r"there is no run 'nope'; start it before closing"):
            database.finish_run("nope", "finished")
        database.reopen_run("nope")
        assert database.run("nope") is None
        assert list(database.rows("nope")) == []
        assert database.stored("nope", ["7.png"]) == set()


def test_what_is_stored_is_told(any_url: str) -> None:
    rows = many(2_500)
    with open_any(any_url) as database:
        run_id, other = database.start_run(info()), database.start_run(info())
        for first in range(0, len(rows), 1_000):
            database.add(run_id, rows[first : first + 1_000])
        database.add(other, [Result("other.png", "ok", 1, 0.9)])
    with open_any(any_url) as database:
        paths = [row.path for row in rows]
        mixed = [*paths[::3], "other.png", "scans/99999.png"]
        assert database.stored(run_id, mixed) == set(paths[::3])
        assert database.stored(other, mixed) == {"other.png"}
        assert database.stored(run_id, []) == set()


def test_a_batch_may_be_sent_again(any_url: str) -> None:
    with open_any(any_url) as database:
        run_id = database.start_run(info())
        assert database.add(run_id, ROWS) == 4
        assert database.add(run_id, ROWS) == 0
        assert database.add(run_id, []) == 0
        assert database.add(run_id, [ROWS[0], ROWS[0]][:1] + many(1)) >= 1
    with open_any(any_url) as database:
        assert database.add(run_id, ROWS) == 0


def test_an_image_twice_in_a_batch_is_stored_once(any_url: str) -> None:
    with open_any(any_url) as database:
        run_id = database.start_run(info())
        assert database.add(run_id, [*ROWS, Result(ROWS[0].path, "error")]) == 4
        assert [row.as_result() for row in database.rows(run_id)] == ROWS


# ----------------------------------------------------------------------------------------- parts


def test_parts_come_in_their_order_whoever_is_first(url: str) -> None:
    """As in a cluster: each part by an object of its own, in any order, some twice."""
    parts = {number: many(10, first=10 * number) for number in range(12)}
    with ParquetDataset.open(url) as database:
        run_id = database.start_run(info())
        for number in (3, 0, 11, 5, 3, 1, 2, 4, 10, 6, 7, 9, 8, 0):
            with ParquetDataset.open(url) as worker:
                assert worker.add(run_id, parts[number], part=number) == 10
        assert database.next_part(run_id) == 12
        assert [row.as_result() for row in database.rows(run_id)] == many(120)
        assert database.finish_run(run_id, "finished") == RunCounts(120, ok=120)


def test_a_part_whose_results_changed_meanwhile_is_there_once(url: str) -> None:
    """The engine lost a node after it had stored the part; since then a picture has vanished."""
    again = [dataclasses.replace(row, status="error", digit=None) for row in ROWS]
    with ParquetDataset.open(url) as database:
        run_id = database.start_run(info())
        database.add(run_id, ROWS, part=0)
        database.add(run_id, again, part=0)
        database.add(run_id, many(3), part=1)
        assert len(list(database.rows(run_id))) == 7
        assert len(database.stored(run_id, [row.path for row in ROWS])) == 4
        counts = database.finish_run(run_id, "finished")
        assert counts.images == 7
        rows = list(database.rows(run_id))
        assert sum(row.status == "error" for row in rows) == counts.errors
        assert len(read_with_pyarrow(url, run_id)) == 7  # for other readers, too


def test_a_resumed_run_goes_on_behind_its_parts(url: str) -> None:
    with ParquetDataset.open(url) as database:
        run_id = database.start_run(info())
        database.add(run_id, many(5), part=6)
        database.add(run_id, many(5, first=5), part=2)
    with ParquetDataset.open(url) as database:
        database.reopen_run(run_id)
        assert database.next_part(run_id) == 7
        rest = [row for row in many(15) if row.path not in database.stored(run_id, [row.path])]
        assert rest == many(5, first=10)
        assert database.add(run_id, rest) == 5
        assert database.add(run_id, many(1, first=15)) == 1
        order = [row.path for row in database.rows(run_id)]
        assert order == [row.path for row in [*many(5, 5), *many(5), *many(5, 10), *many(1, 15)]]


def read_with_pyarrow(url: str, run_id: str) -> list[dict[str, Any]]:
    """Read a run as other programs do, from the folder or copied out of the bucket."""
    import pyarrow.dataset
    import pyarrow.fs

    where = url.removeprefix("parquet:")
    filesystem: Any = None
    if where.startswith("s3://"):
        where = where.removeprefix("s3://")
        filesystem = pyarrow.fs.S3FileSystem(
            endpoint_override=os.environ["AWS_ENDPOINT_URL"], region="us-east-1"
        )
    dataset = pyarrow.dataset.dataset(where, partitioning="hive", filesystem=filesystem)
    return list(dataset.filter(pyarrow.dataset.field("run_id") == run_id).to_table().to_pylist())


def test_other_programs_read_it_as_one_table(url: str) -> None:
    with ParquetDataset.open(url) as database:
        run_id, other = database.start_run(info()), database.start_run(info())
        database.add(run_id, ROWS)
        database.add(run_id, many(3))
        database.add(other, many(5))
        database.finish_run(run_id, "finished")
        rows = list(database.rows(run_id))
    table = read_with_pyarrow(url, run_id)
    assert len(table) == len(rows) == 7
    by_key = {values["path_key"]: values for values in table}
    for row in rows:
        values = by_key[row.path_key]
        ten = tuple(values[f"p{digit}"] for digit in range(10))
        assert (None if None in ten else ten) == row.probabilities
        assert f"{values['timestamp']:%Y-%m-%d %H:%M:%S}" == row.timestamp
        assert values["timestamp"].utcoffset() == timedelta(0)
        for column in ("run_id", "digit", "confidence", "status", "reason", "folder_name"):
            assert values[column] == getattr(row, column)
        for column in ("file_name", "path", "image_sha256", "sorted_to"):
            assert values[column] == getattr(row, column)


def test_counting_a_run_reads_no_part(bucket: Bucket) -> None:
    with ParquetDataset.open(f"parquet:{bucket.url}/results") as database:
        run_id = database.start_run(info())
        for number in range(5):
            database.add(run_id, many(10, first=10 * number))
        bucket.requests.clear()
        assert database.finish_run(run_id, "finished") == RunCounts(50, ok=50)
        database.runs()
    assert not any(".parquet" in request for request in bucket.requests)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.text(st.characters(blacklist_categories=[]), max_size=30), unique=True, max_size=40)
)
def test_any_names(tmp_path: Path, names: list[str]) -> None:
    with ParquetDataset.open(f"parquet:{tmp_path}") as database:
        run_id = database.start_run(info())
        unique = list({path_key(name): name for name in reversed(names)}.values())
        assert database.add(run_id, [Result(name, "error") for name in names]) == len(unique)
        assert database.stored(run_id, names) == set(names)
        assert not database.stored(
            run_id, [f"{name}?" for name in names if f"{name}?" not in names]
        )


def test_keys_are_found_whatever_bytes_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also ones that end in zero bytes, which NumPy's byte strings do not show."""
    keys = {
        "a": "00" * 32,
        "b": "ab" + "00" * 31,
        "c": "ff" * 32,
        "d": "ab" + "00" * 14 + "01" * 17,
    }
    for module in (parquet_dataset, records):
        monkeypatch.setattr(module, "path_key", lambda path, cell=1: keys[path])
    for given_, asked in itertools.product(itertools.combinations(keys, 2), keys):
        with ParquetDataset.open(f"parquet:{tmp_path}") as database:
            run_id = database.start_run(info())
            database.add(run_id, [Result(path, "error") for path in given_])
            assert database.stored(run_id, [asked]) == {asked} & set(given_)


# ----------------------------------------------------------------------------------- what fails


def test_a_kill_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    """Whenever it comes, what is there can be read, by us and by pyarrow, and goes on."""
    code = (
        "import sys\n"
        "from digit_classification.results.parquet.dataset import ParquetDataset\n"
        "from digit_classification.results.records import Result\n"
        "rows = [Result(f'{sys.argv[3]}/{n}.png', 'ok', 1, 0.5) for n in range(20_000)]\n"
        "database = ParquetDataset.open(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "for first in range(0, 20_000, 2_000):\n"
        "    database.add(sys.argv[2], rows[first:first + 2_000])\n"
    )
    url = f"parquet:{tmp_path}"
    with ParquetDataset.open(url) as database:
        run_id = database.start_run(info())
    for attempt, delay in enumerate((0.02, 0.05, 0.08, 0.11)):
        command = [sys.executable, "-c", code, url, run_id, str(attempt)]
        writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay)
        writer.kill()
        writer.communicate()
    (tmp_path / f"run_id={run_id}" / ".part-00000099-1.0.0.0-0000.parquet-77").write_bytes(b"PAR1")
    with ParquetDataset.open(url) as database:
        database.add(run_id, many(3))
        counts = database.finish_run(run_id, "interrupted")
        assert counts.images % 2_000 == 3
        assert len({row.path for row in database.rows(run_id)}) == counts.images
    assert len(read_with_pyarrow(url, run_id)) == counts.images


@pytest.mark.skipif(os.name == "nt", reason="needs Unix signals")
def test_a_kill_between_writing_and_renaming(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from digit_classification.results.parquet.dataset import ParquetDataset\n"
        "from digit_classification.results.records import Result\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "ParquetDataset.open(sys.argv[1]).add(sys.argv[2], [Result('7.png', 'error')])\n"
    )
    url = f"parquet:{tmp_path}"
    with ParquetDataset.open(url) as database:
        run_id = database.start_run(info())
        done = subprocess.run([sys.executable, "-c", code, url, run_id], cwd=ROOT)
        assert done.returncode == -signal.SIGKILL
        names = sorted(os.listdir(tmp_path / f"run_id={run_id}"))
        assert len(names) == 2  # a hidden file is left over
        assert names[0].startswith(".part-")
        assert list(database.rows(run_id)) == []
        assert database.finish_run(run_id, "failed") == RunCounts()


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"PAR1 no Parquet PAR1", None])
def test_a_damaged_part_is_named(tmp_path: Path, damage: bytes | None) -> None:
    with ParquetDataset.open(f"parquet:{tmp_path}") as database:
        run_id = database.start_run(info())
        database.add(run_id, ROWS)
        database.add(run_id, many(9))
        first, second = sorted(tmp_path.glob("run_id=*/part-*"))
        first.write_bytes(second.read_bytes() if damage is None else damage)
        sentence = f"Database {database.url}: run_id={run_id}/{first.name} is damaged;"
        for read in (lambda: list(database.rows(run_id)), lambda: database.stored(run_id, ["x"])):
            with pytest.raises(DatabaseError) as error:
                read()
            assert str(error.value) == f"{sentence} restore a copy, or move it away."


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b'{"state": 1}', b"\xff"])
def test_a_damaged_run_is_named(tmp_path: Path, damage: bytes) -> None:
    with ParquetDataset.open(f"parquet:{tmp_path}") as database:
        run_id = database.start_run(info())
        (tmp_path / f"run_id={run_id}/_run.json").write_bytes(damage)
        with pytest.raises(DatabaseError, match=r"_run\.json is damaged; restore a copy"):
            database.runs()


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    with ParquetDataset.open(f"parquet:{tmp_path}") as database:
        run_id = database.start_run(info())
        database.add(run_id, ROWS)
        foreign = tmp_path / f"run_id={run_id}/part-0.parquet"
        foreign.write_bytes(b"x")
        (tmp_path / "run_id=").mkdir()
        (tmp_path / "run_id=of-nobody").mkdir()
        (tmp_path / "notes.txt").write_text("x")
        assert [run.info.id for run in database.runs()] == [run_id]
        assert database.finish_run(run_id, "finished").images == 4
        assert foreign.exists()


def test_a_read_only_dataset_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="there is no such folder; correct the URL or store"):
        ParquetDataset.open(f"parquet:{tmp_path / 'none'}", read_only=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatabaseError, match="this is no folder; choose another name"):
        ParquetDataset.open(f"parquet:{tmp_path / 'file'}")


@pytest.mark.parametrize(
    "url", ["parquet:", "sqlite:///x", "parquet:http://host/x", "parquet:s3://user:s3cr3t@host/x"]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(DatabaseError) as error:
        ParquetDataset.open(url)
    assert "not valid" in str(error.value) or "no valid parquet: URL" in str(error.value)
    assert "s3cr3t" not in str(error.value)


def test_a_bucket_that_is_not_there(bucket: Bucket) -> None:
    url = "parquet:s3://digits-nobody-has/results"
    with pytest.raises(DatabaseError) as error:
        ParquetDataset.open(url)
    assert str(error.value) == f"Database {url}: no such bucket."


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DatabaseError) as error:
        ParquetDataset.open(f"parquet:{tmp_path}")
    assert str(error.value) == (
        f"Database parquet:{tmp_path}: it needs pyarrow (pip install -r requirements-cluster.txt)."
    )


def flaky(monkeypatch: pytest.MonkeyPatch, failures: int) -> list[float]:
    """Let a store fail so many times; return the pauses made."""
    put, left = parquet_files.Bucket.write, itertools.count()
    pauses: list[float] = []

    def write(self: Any, name: str, content: bytes) -> None:
        if next(left) < failures:
            raise object_store.StoreUnavailable("the store cannot be reached")
        put(self, name, content)

    monkeypatch.setattr(parquet_files.Bucket, "write", write)
    monkeypatch.setattr("digit_classification.results.errors.time.sleep", pauses.append)
    return pauses


def test_a_store_that_went_away_is_waited_for(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    url = f"parquet:{bucket.url}"
    with ParquetDataset.open(url, retry_seconds=60, notice=said.append) as database:
        run_id = database.start_run(info())
        pauses = flaky(monkeypatch, failures=3)
        assert database.add(run_id, ROWS) == 4
        assert len(pauses) == 3
        assert database.finish_run(run_id, "finished").images == 4
    assert said[0] == (f"Database {url}: the store cannot be reached. Trying again for 60 seconds.")
    assert said[1].startswith("The database is back after ")


def test_without_waiting(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that failed may be added again."""
    with ParquetDataset.open(f"parquet:{bucket.url}", retry_seconds=60) as database:
        run_id = database.start_run(info())
        pauses = flaky(monkeypatch, failures=1)
        with pytest.raises(DatabaseError, match="the store cannot be reached"):
            database.finish_run(run_id, "failed", wait=False)
        assert pauses == []
    with ParquetDataset.open(f"parquet:{bucket.url}") as database:
        flaky(monkeypatch, failures=1)
        with pytest.raises(DatabaseError, match="the store cannot be reached"):
            database.add(run_id, ROWS)
        assert database.add(run_id, ROWS) == 4


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    with ParquetDataset.open(f"parquet:{tmp_path}") as database:
        tmp_path.chmod(0o500)
        with pytest.raises(DatabaseError, match="Permission denied; correct the URL or the"):
            database.start_run(info())


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with ParquetDataset.open(f"parquet:{tmp_path}") as database:
        run_id = database.start_run(info())
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(DatabaseError, match=r"No space left on device; .* room on the disk"):
            database.add(run_id, ROWS)
        assert os.listdir(tmp_path / f"run_id={run_id}") == ["_run.json"]


def test_a_folder_in_the_settings_is_relative_to_them(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    for url, expected in (
        ("parquet:results", f"parquet:{(tmp_path / 'results').as_posix()}"),
        ("parquet:s3://bucket/results", "parquet:s3://bucket/results"),
    ):
        config.write_text(f"database: {{url: '{url}'}}")
        assert load_settings(config=config, environment={}).database.url == expected
