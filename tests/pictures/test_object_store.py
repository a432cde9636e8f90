"""Pictures in object stores: found, read, classified, sorted; on a private S3."""

from __future__ import annotations

import csv
import io
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import digit_classification_detector as detector
from digit_classification import parallel
from digit_classification.pictures import object_store
from digit_classification.pictures.object_store import split_url
from digit_classification.pictures.prepare import FETCHERS, prepare, prepare_all, prepare_many
from digit_classification.pictures.sources import (
    Source,
    SourceError,
    SourceUnavailable,
    expand,
    find_named,
    find_sources,
)
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.records import StoredResult
from digit_classification.training.datasets.dataset import DatasetError
from digit_classification.training.datasets.reading import read_dataset
from digit_classification.urls import in_object_store
from tests.conftest import Bucket
from tests.documents import ROOT
from tests.drawing import draw_digit, png

SCRIPT = ROOT / "digit_classification_detector.py"
SEVEN = png(draw_digit(7))
# Characters that mean something in URLs, XML, patterns or file names are plain ones in a key.
ODD_KEYS = (
    "scans/a b#?&+%25=;@.png",
    "scans/[1]*.png",
    "scans/\"<>'`{|}^~.png",
    "scans/é漢字😀.png",
    "scans/back\\slash.png",
)

Detect = Callable[..., int]


@pytest.fixture
def detect(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Detect:
    """Run the detector in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def detect(*arguments: object, database: str = "none") -> int:
        options = ["--model", model, "--database", database]
        return detector.main([str(argument) for argument in [*options, *arguments]])

    return detect


@pytest.fixture
def scans(bucket: Bucket) -> Bucket:
    """A picture of each digit, a broken one, a text, and what is not looked at."""
    for digit in range(10):
        bucket.put(f"scans/{digit}/{digit}.png", png(draw_digit(digit, 500)))
    bucket.put("scans/broken.png", SEVEN[:60])
    bucket.put("scans/notes.txt", b"no picture")
    bucket.put("scans/sub/", b"")  # what consoles make for an empty folder
    bucket.put("scans/.hidden/7.png", SEVEN)
    bucket.put("scans/Thumbs.db", b"x")
    bucket.put("scans-2/7.png", SEVEN)
    return bucket


def names(*urls: str) -> list[str]:
    return [source.name for source in find_sources(urls)]


def stored(url: str) -> list[StoredResult]:
    with ResultsDatabase.open(url) as database:
        return list(database.rows(database.runs()[0].info.id))


# ------------------------------------------------------------------------------------- listing


def test_what_is_a_url() -> None:
    assert in_object_store("s3://bucket/7.png")
    assert in_object_store("gs://bucket")
    assert in_object_store("az://container/scans/")
    assert not in_object_store("s3:/bucket")
    assert not in_object_store("scans/s3://")
    assert not in_object_store("C:\\scans")
    assert split_url("s3://bucket/scans/?a#b%20/") == ("s3://bucket", "scans/?a#b%20")


def test_everything_below_a_url(scans: Bucket) -> None:
    expected = [f"{scans.url}/scans/{digit}/{digit}.png" for digit in range(10)]
    expected += [f"{scans.url}/scans/broken.png", f"{scans.url}/scans/notes.txt"]
    assert sorted(names(f"{scans.url}/scans")) == expected
    assert sorted(names(f"{scans.url}/scans/")) == expected
    assert sorted(names(scans.url)) == sorted([f"{scans.url}/scans-2/7.png", *expected])
    assert names(f"{scans.url}/scans/.hidden") == [f"{scans.url}/scans/.hidden/7.png"]


def test_each_object_once(scans: Bucket) -> None:
    seven = f"{scans.url}/scans/7/7.png"
    assert names(seven, f"{scans.url}/scans/7/", seven, f"{scans.url}/scans-2") == [
        seven,
        f"{scans.url}/scans-2/7.png",
    ]


def test_keys_are_taken_literally(bucket: Bucket) -> None:
    for number, key in enumerate(ODD_KEYS):
        bucket.put(key, SEVEN + bytes([number]))
    found = {source.name: source for source in find_sources([bucket.url])}
    assert set(found) == {f"{bucket.url}/{key}" for key in ODD_KEYS}
    for number, key in enumerate(ODD_KEYS):
        url = f"{bucket.url}/{key}"
        assert found[url].read() == SEVEN + bytes([number])
        assert find_named(url).read() == SEVEN + bytes([number])
        assert expand(url) == [url]
        assert list(find_sources([url])) == [Source(url, url, explicit=True)]


def test_the_first_of_many_comes_before_the_listing_has_ended(bucket: Bucket) -> None:
    from moto.backends import get_backend

    backend = get_backend("s3")["123456789012"]["aws"]
    for number in range(5_500):
        backend.put_object(bucket.name, f"scans/{number:05}.png", b"x")
    sources = find_sources([f"{bucket.url}/scans"])
    first = next(sources)
    pages = [request for request in bucket.requests if "list-type=2" in request]
    assert first.name == f"{bucket.url}/scans/00000.png"
    assert 1 <= len(pages) < 5  # of six
    assert 1 + sum(1 for _ in sources) == 5_500


def test_a_named_picture_costs_no_request(bucket: Bucket) -> None:
    urls = [f"{bucket.url}/{number}.png" for number in range(100)]
    bucket.requests.clear()
    assert names(*urls) == urls
    assert bucket.requests == []


def test_a_zip_is_not_opened(bucket: Bucket) -> None:
    bucket.put("scans/many.zip", b"PK")
    for url in (bucket.url, f"{bucket.url}/scans/many.zip"):
        (prepared,) = prepare_many(list(find_sources([url])))
        assert prepared.error == "a zip in an object store is not opened: copy it to a disk"
        assert not prepared.stray


# --------------------------------------------------------------------------------- what is wrong


def test_nothing_there(bucket: Bucket) -> None:
    with pytest.raises(SourceError) as error:
        expand(f"{bucket.url}/nothing")
    assert str(error.value) == f"There is nothing at '{bucket.url}/nothing': check the URL."
    (prepared,) = prepare_many(list(find_sources([f"{bucket.url}/7.png"])))
    assert prepared.error == "no such object"


def test_no_such_bucket(bucket: Bucket) -> None:
    url = "s3://digits-nobody-has/scans"
    sentence = f"'{url}' cannot be read: no such bucket."
    with pytest.raises(SourceError) as error:
        expand(url)
    assert str(error.value) == sentence
    with pytest.raises(SourceError, match="cannot be listed: no such bucket"):
        list(find_sources([url]))


@pytest.mark.parametrize("url", ["s3://", "s3:///scans", "s3://user:s3cr3t@bucket/x"])
def test_a_url_without_a_bucket(bucket: Bucket, url: str) -> None:
    with pytest.raises(SourceError, match="should name a bucket, such as s3://bucket/scans"):
        expand(url)


def test_a_key_that_obstore_cannot_name(bucket: Bucket) -> None:
    bucket.put("scans//7.png", SEVEN)
    with pytest.raises(SourceError, match="cannot be listed: a key with an empty part"):
        names(f"{bucket.url}/scans")
    (prepared,) = prepare_many(list(find_sources([f"{bucket.url}/scans//7.png"])))
    assert prepared.error is not None
    assert prepared.error.startswith("a key with an empty part")


def test_too_large(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("large.png", bytes(3 * 2**20))
    source = find_named(f"{bucket.url}/large.png")
    assert len(source.read(3 * 2**20)) == 3 * 2**20
    with pytest.raises(SourceError) as error:
        source.read(2 * 2**20)
    assert str(error.value) == "larger than 2 MiB"
    # What is too large to be fetched ahead is read all the same.
    monkeypatch.setattr("digit_classification.pictures.prepare.FETCHED_BYTES", 2**20)
    (prepared,) = prepare_many([source])
    assert prepared.error == "not an image, or of an unknown format"


@pytest.fixture
def guarded(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Let the S3 look at credentials: call it with those to be used."""
    from moto import settings

    def use(key: str, secret: str) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
        object_store._open_bucket.cache_clear()

    return use


def test_access_denied(bucket: Bucket, guarded: Callable[[str, str], None]) -> None:
    import boto3

    bucket.put("scans/7.png", SEVEN)
    user = f"user-{bucket.name}"
    iam = boto3.client("iam", region_name="us-east-1")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    guarded(key["AccessKeyId"], key["SecretAccessKey"])
    with pytest.raises(SourceError, match="cannot be read: access denied") as error:
        expand(f"{bucket.url}/scans")
    assert key["AccessKeyId"] not in str(error.value)
    (prepared,) = prepare_many([find_named(f"{bucket.url}/scans/7.png")])
    assert prepared.error == "access denied"


def test_credentials_that_are_refused_end_the_run(
    bucket: Bucket, guarded: Callable[[str, str], None]
) -> None:
    bucket.put("scans/7.png", SEVEN)
    guarded("AKIANOBODY", "s3cr3t")
    with pytest.raises(SourceUnavailable) as error:
        prepare_many([find_named(f"{bucket.url}/scans/7.png")])
    assert str(error.value) == (
        f"'{bucket.url}/scans/7.png' cannot be read: the credentials are not accepted"
        " (InvalidAccessKeyId)."
    )


class Answer(BaseHTTPRequestHandler):
    """Answers every request with the status that the key names."""

    def do_GET(self) -> None:
        content = b"<Error><Code>SlowDown</Code><Message>s3cr3t</Message></Error>"
        self.send_response(int(self.path.rpartition("/")[2].partition(".")[0]))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def quick(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(object_store.RETRIES, "max_retries", 2)
    object_store._open_bucket.cache_clear()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_store_that_does_not_serve_ends_the_run(
    quick: None, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    with pytest.raises(SourceUnavailable) as error:
        prepare_many([find_named(f"s3://bucket/{status}.png")])
    sentence = f"'s3://bucket/{status}.png' cannot be read: the store answers {status} (SlowDown)."
    assert str(error.value) == sentence
    server.shutdown()
    server.server_close()


def test_a_dead_endpoint_ends_soon(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never answers, and one where nobody listens; tried for a second here."""
    shipped = object_store.RETRIES["retry_timeout"]
    assert isinstance(shipped, timedelta)
    assert shipped + timedelta(seconds=int(object_store.CLIENT["read_timeout"].rstrip("s"))) < (
        timedelta(seconds=30)
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setitem(object_store.CLIENT, "read_timeout", "1s")
        monkeypatch.setitem(object_store.RETRIES, "retry_timeout", timedelta(seconds=1))
        for _ in ("silent", "closed"):
            object_store._open_bucket.cache_clear()
            begin = time.monotonic()
            with pytest.raises(SourceError) as error:
                expand("s3://bucket/scans")
            assert "cannot be read: the store cannot be reached." in str(error.value)
            assert time.monotonic() - begin < 10
            silent.close()


def test_an_endpoint_that_is_none(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    object_store._open_bucket.cache_clear()
    with pytest.raises(SourceError, match="AWS_ENDPOINT_URL should begin with http:// or https://"):
        expand("s3://bucket/scans")


def test_without_obstore(
    detect: Detect, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    object_store._open_bucket.cache_clear()
    assert detect("s3://bucket/scans") == 2
    assert capsys.readouterr().err == (
        "Error: 's3://bucket/scans' cannot be read: it needs obstore"
        " (pip install -r requirements-cluster.txt).\n"
    )


def test_obstore_is_imported_for_urls_only() -> None:
    code = (
        "import sys, digit_classification_detector\n"
        "from digit_classification.pictures.sources import find_sources\n"
        "list(find_sources(['samples']))\n"
        "sys.exit(any(name.startswith(('obstore', 'pyarrow')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_trainer_reads_no_object_store() -> None:
    with pytest.raises(DatasetError, match="is in an object store, which the trainer does not"):
        read_dataset(Path("s3://bucket/digits"))


# --------------------------------------------------------------------------------- reading ahead


def test_objects_are_fetched_together_and_stay_in_order(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside files, which are not."""
    for number in range(100):
        bucket.put(f"{number:03}.png", png(draw_digit(number % 10, number)))
    read, waiting, most = object_store.read_url, itertools.count(), []
    running: set[int] = set()

    def slow(url: str, at_most: int) -> bytes:
        token = next(waiting)
        running.add(token)
        most.append(len(running))
        time.sleep(0.01)
        running.discard(token)
        return read(url, at_most)

    monkeypatch.setattr(object_store, "read_url", slow)
    sources = list(find_sources([bucket.url]))
    sources.insert(50, Source("samples/7-shadow.jpg", str(ROOT / "samples/7-shadow.jpg")))
    prepared = prepare_many(sources)
    assert [image.source for image in prepared] == sources
    assert all(image.digit is not None for image in prepared)
    assert 8 <= max(most) <= FETCHERS
    alone = [prepare(source).sha256 for source in sources]
    assert [image.sha256 for image in prepared] == alone


def test_few_and_lazily(bucket: Bucket) -> None:
    """The serial way looks no further ahead than a chunk."""
    bucket.put("7.png", SEVEN)
    taken = itertools.count()
    endless = (Source(f"{n}", f"{bucket.url}/7.png") for n in taken)
    next(prepare_all(endless, workers=1))
    assert next(taken) <= parallel.SMALL + 1


# ----------------------------------------------------------------------------- the command line


def test_the_command_line(
    scans: Bucket, detect: Detect, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{scans.url}/scans"
    assert detect(url, "--format", "csv", database=sqlite_url) == 1
    captured = capsys.readouterr()
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(captured.out))}
    assert rows[f"{url}/broken.png"]["status"] == "error"
    assert len(rows) == 11
    assert f"ignored, no pictures: {url}/notes.txt\n" in captured.err
    by_path = {row.path: row for row in stored(sqlite_url)}
    assert set(by_path) == set(rows)
    seven = by_path[f"{url}/7/7.png"]
    assert (seven.folder_name, seven.file_name) == ("7", "7.png")

    for digit in range(10):  # the same as from a folder
        Path(f"{digit}.png").write_bytes(png(draw_digit(digit, 500)))
    detect(*(f"{digit}.png" for digit in range(10)), "--format", "csv")
    local = [list(row.values())[1:] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert local == [list(rows[f"{url}/{digit}/{digit}.png"].values())[1:] for digit in range(10)]


def test_many_in_processes(scans: Bucket, model: Path, tmp_path: Path) -> None:
    for number in range(300):
        scans.put(f"many/{number:03}.png", png(draw_digit(number % 10, number)))
    options = ["--model", str(model), "--database", "none", "--workers", "2", "--format", "csv"]
    command = [sys.executable, str(SCRIPT), f"{scans.url}/many", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    paths = [row["path"] for row in csv.DictReader(io.StringIO(done.stdout))]
    assert paths == [f"{scans.url}/many/{number:03}.png" for number in range(300)]


def test_one_object(scans: Bucket, detect: Detect, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(f"{scans.url}/scans/7/7.png", "--format", "csv", "--quiet") == 0
    captured = capsys.readouterr()
    assert f"{scans.url}/scans/7/7.png,7," in captured.out
    assert captured.err == ""


def test_nothing_is_written_by_a_dry_run(
    scans: Bucket, detect: Detect, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert detect(f"{scans.url}/scans", "--dry-run") == 0
    plan = capsys.readouterr().out
    assert f"Would read 12 files in {scans.url}/scans, 1 of them no pictures by their names" in plan
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_the_store_stopped_is_resumed(
    scans: Bucket,
    detect: Detect,
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIGITS_DETECTION_BATCH_SIZE", "4")
    monkeypatch.setattr(parallel, "CHUNK", 4)
    read, asked = object_store.read_url, itertools.count()

    def fail(url: str, at_most: int) -> bytes:
        if next(asked) >= 6:
            raise object_store.StoreUnavailable("the store cannot be reached")
        return read(url, at_most)

    monkeypatch.setattr(object_store, "read_url", fail)
    assert detect(f"{scans.url}/scans", database=sqlite_url) == 2
    error = capsys.readouterr().err
    assert "cannot be read: the store cannot be reached." in error
    assert "To go on with the run:" in error
    before = [row.path for row in stored(sqlite_url)]
    assert 1 <= len(before) < 11

    monkeypatch.setattr(object_store, "read_url", read)
    scans.requests.clear()
    assert detect("--resume", database=sqlite_url) == 1
    rows = stored(sqlite_url)
    assert len(rows) == len({row.path for row in rows}) == 11
    assert [row.path for row in rows][: len(before)] == before
    again = [path for path in before if f"GET /{(path or '')[5:]}?" in " ".join(scans.requests)]
    assert again == []


@pytest.mark.parametrize("move", [False, True])
def test_sorting_copies_objects(
    scans: Bucket, detect: Detect, sqlite_url: str, tmp_path: Path, move: bool
) -> None:
    """Also with --move: what is in a store may belong to others, as the members of a zip do."""
    before = scans.keys()
    options = ["--sort-into", tmp_path / "sorted", *(["--move"] if move else [])]
    assert detect(f"{scans.url}/scans", *options, database=sqlite_url) == 1
    assert scans.keys() == before
    assert (tmp_path / "sorted/7/7.png").read_bytes() == png(draw_digit(7, 500))
    places = [row.sorted_to for row in stored(sqlite_url) if row.status != "error"]
    assert len(places) == 10
    assert all(os.path.isfile(place or "") for place in places)


def test_odd_keys_are_sorted_under_harmless_names(
    bucket: Bucket, detect: Detect, tmp_path: Path
) -> None:
    for key in ODD_KEYS:
        bucket.put(key, SEVEN)
    assert detect(bucket.url, "--sort-into", tmp_path / "sorted") == 0
    copies = list((tmp_path / "sorted").rglob("*.png"))
    assert len(copies) == len(ODD_KEYS)
    assert not any(set('<>:"/\\|?*') & set(copy.name) for copy in copies)


def test_the_review_page(scans: Bucket, detect: Detect, sqlite_url: str, tmp_path: Path) -> None:
    first, later = tmp_path / "first.html", tmp_path / "later.html"
    assert detect(f"{scans.url}/scans", "--report", first, database=sqlite_url) == 1
    assert detect("--show", "latest", "--report", later, database=sqlite_url) == 0
    for page in (first, later):
        text = page.read_text(encoding="utf-8")
        assert f"{scans.url}/scans/7/7.png" in text
        assert "not shown" not in text
