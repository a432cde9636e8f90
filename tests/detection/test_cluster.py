"""The detector on a cluster: the same results as on one machine, wherever they are stored."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import digit_classification_detector as detector
import digit_classification_model_trainer as trainer
from digit_classification.detection.reading import ReadingOptions
from digit_classification.pictures.decode import DEFAULT_LIMITS
from digit_classification.pictures.sources import MAX_FILE_BYTES, Source
from tests.drawing import draw_digit, png, write_dataset
from tests.faults.conftest import Detector, comparable, stored_rows, stored_runs
from tests.ray_nodes import Nodes

needs_ray = pytest.mark.usefixtures("ray")


@pytest.fixture(scope="session")
def ray() -> None:
    pytest.importorskip("ray")


@pytest.fixture(scope="module")
def nodes(ray: None) -> Iterator[Nodes]:
    nodes = Nodes(2)
    yield nodes
    nodes.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, and a folder `scans` of 260 digits, a broken file and a blank one."""
    desk = tmp_path_factory.mktemp("desk")
    dataset = write_dataset(desk / "digits", per_class=12)
    options = ["--hidden-units", "32", "--epochs", "4", "--batch-size", "16", "--quiet"]
    assert (
        trainer.main(["--dataset", str(dataset), "--model", str(desk / "m.keras"), *options]) == 0
    )
    scans = desk / "scans"
    scans.mkdir()
    for number in range(260):
        (scans / f"{number:03}.png").write_bytes(png(draw_digit(number % 10, seed=number)))
    (scans / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (scans / "notes.txt").write_text("no picture")
    (scans / "ünïcode \U0001f58a.png").write_bytes(png(draw_digit(7)))
    return desk


@pytest.fixture
def here(desk: Path) -> Detector:
    return Detector(desk, desk / "m.keras", {"DIGITS_DETECTION_BATCH_SIZE": "8"})


@pytest.mark.same_results
@needs_ray
def test_results_are_those_of_one_machine(here: Detector, nodes: Nodes, tmp_path: Path) -> None:
    options = ["scans", "--format", "jsonl", "--output"]
    url = f"sqlite:///{tmp_path / 'digits.db'}"
    alone = here.run(*options, tmp_path / "alone.jsonl", database="none")
    together = here.run(
        *options, tmp_path / "together.jsonl", "--cluster", nodes.address, database=url
    )
    assert (alone.returncode, together.returncode) == (1, 1), together.stderr
    expected = (tmp_path / "alone.jsonl").read_text(encoding="utf-8")
    assert (tmp_path / "together.jsonl").read_text(encoding="utf-8") == expected
    assert expected.count("\n") == len(stored_rows(url)) == 262
    assert "scans/broken.png: error: " in together.stderr
    assert "ignored, no pictures: scans/notes.txt" in together.stderr
    assert "a second and core" in together.stderr  # the table of the nodes


@needs_ray
def test_nodes_store_in_mysql(here: Detector, nodes: Nodes, mysql_url: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'digits.db'}"
    alone = here.run("scans", database=url)
    together = here.run("scans", "--cluster", nodes.address, database=mysql_url)
    assert (alone.returncode, together.returncode) == (1, 1), together.stderr
    rows = stored_rows(mysql_url)
    assert comparable(rows) == comparable(stored_rows(url))
    assert len(rows) == 262
    (run,) = stored_runs(mysql_url)
    assert run.state == "finished"
    assert run.counts is not None
    assert (run.counts.images, run.counts.errors) == (262, 1)
    for line in ("error: 1", "scans/broken.png: error: ", "no pictures: scans/notes.txt"):
        assert line in together.stderr


@needs_ray
def test_begun_on_a_cluster_and_finished_on_one_machine(
    here: Detector, nodes: Nodes, mysql_url: str
) -> None:
    """Ctrl-C ends a run on a cluster in good order, and any machine may go on with it."""
    here.settings["DIGITS_DETECTION_BATCH_SIZE"] = "2"
    with here.start("scans", "--cluster", nodes.address, database=mysql_url) as process:
        while process.poll() is None and not any(
            stored_rows(mysql_url, run.info.id) for run in stored_runs(mysql_url)
        ):
            pass
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    assert "Interrupted: what was classified until then is stored." in messages
    (run,) = stored_runs(mysql_url)
    assert run.state == "interrupted"
    assert run.counts is not None
    stored = len(stored_rows(mysql_url))
    assert 0 < stored < 262
    assert run.counts.images == stored
    done = here.run("--resume", database=mysql_url)
    assert done.returncode == 1, done.stderr
    assert len(stored_rows(mysql_url)) == 262
    assert f"and {stored:,} before" in done.stderr


@dataclass(frozen=True)
class Deadly(Source):
    """A file that ends whichever process reads it."""

    def read(self, at_most: int = MAX_FILE_BYTES) -> bytes:
        os._exit(1)


@needs_ray
def test_a_picture_that_crashes_what_reads_it_is_an_error(desk: Path, nodes: Nodes) -> None:
    from digit_classification.detection.cluster.connection import Cluster
    from digit_classification.network.model_file import load_model

    paths = [desk / "scans" / f"{number:03}.png" for number in range(8)]
    sources = [Source(name=path.name, path=str(path)) for path in paths]
    sources[3] = Deadly(name="deadly.png", path=str(paths[3]))
    model = load_model(desk / "m.keras")
    options = ReadingOptions("auto", DEFAULT_LIMITS, 0.6, batch_size=4)
    notices: list[str] = []
    with Cluster.connect(nodes.address, notices.append) as cluster:
        batches = list(cluster.read(sources, model, options))
    results = [result for batch in batches for result in batch.results]
    assert [result.path for result in results] == [source.name for source in sources]
    assert [result.path for result in results if result.status == "error"] == ["deadly.png"]
    assert results[3].reason == "crashed what reads it 2 times"


@needs_ray
@pytest.mark.parametrize(
    ("address", "error"),
    [
        (
            "127.0.0.1:1",
            "No cluster can be used at '127.0.0.1:1' (connection refused): check --cluster, or"
            " start one with `ray start --head`.",
        ),
        (
            "nowhere",
            "'nowhere' is no address of a cluster: name the head of one, such as 10.0.0.1:6379,"
            " or `local` to start one here.",
        ),
    ],
)
def test_an_address_where_there_is_no_cluster(
    address: str,
    error: str,
    desk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(desk)
    options = ["scans", "--model", "m.keras", "--database", "none", "--cluster", address]
    assert detector.main(options) == 2
    assert capsys.readouterr().err == f"Error: {error}\n"


def test_without_ray(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setitem(sys.modules, "ray", None)
    options = ["scans", "--model", "m.keras", "--database", "none"]
    assert detector.main([*options, "--cluster", "local"]) == 2
    assert capsys.readouterr().err == (
        "Error: --cluster needs Ray: pip install -r requirements-cluster.txt, here and on each"
        " node.\n"
    )


def test_nobody_else_imports_ray(desk: Path, here: Detector) -> None:
    code = (
        "import sys, digit_classification_detector as d;"
        "d.main(['scans/001.png', '--model', 'm.keras', '--database', 'none']);"
        "print([m for m in ('ray', 'pyarrow', 'obstore') if m in sys.modules])"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=desk,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(detector.__file__).parent)},
    )
    assert done.stdout.endswith("[]\n")


@needs_ray
def test_what_sigterm_does_stays_so() -> None:
    """Ray has a handler of its own, which would end a run without a word of how to go on."""
    from digit_classification.detection.cluster.connection import Cluster

    before = signal.getsignal(signal.SIGTERM)
    with Cluster.connect("local", lambda notice: None):
        assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getsignal(signal.SIGTERM) is before
