"""Copies of pictures in a folder for each digit: never over another file, never two."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import digit_classification_detector as detector
import digit_classification_model_trainer as trainer
from digit_classification.detection.sorting import Sorter, SortingError
from digit_classification.pictures.sources import Source
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.records import Result, StoredResult
from tests.conftest import PASSWORD_VARIABLE
from tests.drawing import draw_digit, png, write_dataset, zip_folder

Detect = Callable[..., int]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    dataset, path = write_dataset(folder / "digits", per_class=12), folder / "digits.keras"
    options = ["--epochs", "4", "--hidden-units", "32", "--batch-size", "16", "--quiet"]
    assert trainer.main(["--dataset", str(dataset), "--model", str(path), *options]) == 0
    return path


@pytest.fixture
def detect(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Detect:
    """Run the detector in a folder with `scans`: 20 digits, a blank page, one that is no picture.

    Pictures of different digits have the same names.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITS_DETECTION_BATCH_SIZE", "7")
    write_dataset(tmp_path / "scans", per_class=2, first_seed=500)
    blank = draw_digit(1) * 0 + 230
    (tmp_path / "scans/blank.png").write_bytes(png(blank))
    (tmp_path / "scans/broken.png").write_bytes(b"")

    def detect(*arguments: object, database: str = "none") -> int:
        words = [*arguments, "--quiet", "--model", model, "--database", database]
        return detector.main([str(word) for word in words])

    return detect


def read(url: str) -> list[StoredResult]:
    with ResultsDatabase.open(url, password=os.environ.get(PASSWORD_VARIABLE)) as database:
        return list(database.rows(database.runs()[0].info.id))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def kind(row: StoredResult) -> str:
    return str(row.digit) if row.status == "ok" else str(row.status)


def check(rows: list[StoredResult], folder: Path) -> None:
    """Each row names one file under the folder, in the right place, and each file has a row."""
    assert {row.status for row in rows} >= {"error", "rejected"}
    named = {str(row.sorted_to): row for row in rows if row.status != "error"}
    assert {row.sorted_to for row in rows if row.status == "error"} == {None}
    assert len(named) == len([row for row in rows if row.status != "error"])
    files = {str(file) for file in folder.rglob("*") if file.is_file()}
    assert files == named.keys()
    for place, row in named.items():
        assert Path(place).parent.name == kind(row)
        assert hashlib.sha256(Path(place).read_bytes()).hexdigest() == row.image_sha256


def test_copies(detect: Detect, tmp_path: Path, database_url: str) -> None:
    before = contents(tmp_path / "scans")
    assert detect("scans", "--sort-into", "sorted", database=database_url) == 1
    rows = read(database_url)
    check(rows, Path("sorted"))
    assert contents(tmp_path / "scans") == before
    seven = next(row for row in rows if row.path == "scans/blank.png")
    assert seven.sorted_to == "sorted/rejected/blank.png"


def test_moves(detect: Detect, tmp_path: Path, sqlite_url: str) -> None:
    before = contents(tmp_path / "scans")
    assert detect("scans", "--sort-into", "sorted", "--move", database=sqlite_url) == 1
    check(read(sqlite_url), Path("sorted"))
    assert contents(tmp_path / "scans") == {"broken.png": b""}
    assert sorted(contents(tmp_path / "sorted").values()) == sorted(filter(None, before.values()))


def test_nothing_is_sorted_unless_asked(detect: Detect, tmp_path: Path, sqlite_url: str) -> None:
    before = contents(tmp_path / "scans")
    assert detect("scans", database=sqlite_url) == 1
    assert contents(tmp_path / "scans") == before
    assert {row.sorted_to for row in read(sqlite_url)} == {None}
    assert {path.name for path in tmp_path.iterdir()} >= {"scans", "digits.db"}
    assert not (tmp_path / "sorted").exists()


def test_without_a_database(detect: Detect, tmp_path: Path) -> None:
    assert detect("scans", "--sort-into", "sorted") == 1
    assert len(contents(tmp_path / "sorted")) == 21


def test_no_file_is_overwritten(detect: Detect, tmp_path: Path, sqlite_url: str) -> None:
    """Neither what was there, nor the copies of an earlier run, nor of the same run."""
    mine = {f"{folder}/000.png": b"mine" for folder in [*map(str, range(10)), "uncertain"]}
    for name, content in mine.items():
        (tmp_path / "sorted" / name).parent.mkdir(parents=True)
        (tmp_path / "sorted" / name).write_bytes(content)
    for _ in range(2):
        assert detect("scans", "--sort-into", "sorted", database=sqlite_url) == 1
    after = contents(tmp_path / "sorted")
    assert {name: after[name] for name in mine} == mine
    assert len(after) == len(mine) + 2 * 21
    names = {Path(str(row.sorted_to)).name for row in read(sqlite_url) if row.sorted_to}
    assert "000.png" not in names
    assert names >= {"000-3.png", "001-2.png", "blank-2.png"}


def test_members_of_a_zip_are_copied(detect: Detect, tmp_path: Path, sqlite_url: str) -> None:
    """Also with --move: the zip stays whole. A member's name never leaves the folder."""
    zip_folder(tmp_path / "scans", tmp_path / "archive.zip")
    with zipfile.ZipFile(tmp_path / "archive.zip", "a") as archive:
        archive.writestr("a\\..\\C:evil?.png", png(draw_digit(7, seed=900)))
        archive.writestr("/up.png", png(draw_digit(7, seed=901)))
        archive.writestr(f"{'n' * 300}é😀.png", png(draw_digit(7, seed=902)))
    before = (tmp_path / "archive.zip").read_bytes()
    assert detect("archive.zip", "--sort-into", "sorted", "--move", database=sqlite_url) == 1
    check(read(sqlite_url), Path("sorted"))
    assert (tmp_path / "archive.zip").read_bytes() == before
    names = {Path(name).name for name in contents(tmp_path / "sorted")}
    assert names >= {"up.png", "n" * 200 + ".png"}
    assert any("C_evil_.png" in name for name in names)
    assert not Path("/up.png").exists()


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_no_text(detect: Detect, tmp_path: Path, sqlite_url: str) -> None:
    for number, name in enumerate(["raw \udcff.png", "it's -- 7.png", "a" * 251 + ".png"]):
        (tmp_path / "scans" / name).write_bytes(png(draw_digit(7, seed=900 + number)))
    assert detect("scans", "--sort-into", "sorted \udcfe", "--move", database=sqlite_url) == 1
    names = {Path(name).name for name in contents(tmp_path / "sorted \udcfe")}
    assert names >= {"raw \udcff.png", "it's -- 7.png", "a" * 200 + ".png"}
    places = [row.sorted_to for row in read(sqlite_url) if "raw" in str(row.path)]
    assert [str(place).partition("/")[0] for place in places] == ["sorted \\xfe"]
    assert str(places[0]).endswith("/raw \\xff.png")


@pytest.mark.skipif(os.name == "nt", reason="needs a right to make links there")
def test_a_symbolic_link_gives_its_picture(detect: Detect, tmp_path: Path) -> None:
    target = tmp_path / "far.png"
    target.write_bytes(png(draw_digit(7)))
    (tmp_path / "links").mkdir()
    (tmp_path / "links/7.png").symlink_to("../far.png")
    assert detect("links", "--sort-into", "sorted", "--move") == 0
    (name,) = contents(tmp_path / "sorted")
    assert not (tmp_path / "sorted" / name).is_symlink()
    assert (tmp_path / "sorted" / name).read_bytes() == target.read_bytes()
    assert list((tmp_path / "links").iterdir()) == []


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
@pytest.mark.parametrize("crash", range(1, 60, 6))
def test_a_crash_at_any_step(
    crash: int,
    move: bool,
    links: bool,
    detect: Detect,
    tmp_path: Path,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that ends before any operation on files goes on to the same end."""
    steps = [0]

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **options: object) -> object:
            steps[0] += 1
            if steps[0] == crash + 1:
                raise KeyboardInterrupt
            if function is link and not links:
                raise OSError("no hard links here")
            return function(*arguments, **options)

        return step

    link = os.link
    for name in ("link", "unlink", "replace", "fsync", "makedirs"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    words = ["--sort-into", "sorted", *(["--move"] if move else [])]
    code = detect("scans", *words, database=sqlite_url)
    if code == 130:
        code = detect("--resume", *words, database=sqlite_url)
    assert code == 1
    rows = read(sqlite_url)
    assert len(rows) == 22
    check(rows, Path("sorted"))
    assert len(contents(tmp_path / "scans")) == (1 if move else 22)


# ---------------------------------------------------------------------------------- by themselves


@pytest.fixture
def picture(tmp_path: Path) -> tuple[Result, Source]:
    path = tmp_path / "7.png"
    path.write_bytes(b"seven")
    sha256 = hashlib.sha256(b"seven").hexdigest()
    result = Result(str(path), "ok", 7, 0.9, image_sha256=sha256)
    return result, Source(name=str(path), path=str(path))


def make_sorter(tmp_path: Path, *, move: bool = False) -> Sorter:
    return Sorter(str(tmp_path / "sorted"), move=move, run_id="run")


@pytest.mark.parametrize("resumed", [False, True])
def test_a_place_that_somebody_takes_meanwhile(
    resumed: bool, tmp_path: Path, picture: tuple[Result, Source]
) -> None:
    """Another place is recorded, before the file is made there."""
    result, source = picture
    sorter = make_sorter(tmp_path)
    (result,) = sorter.choose([result], [source])
    taken = Path(str(result.sorted_to))
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"somebody else's")
    recorded = []

    def record(place: str | None) -> None:
        assert place is not None
        assert not os.path.exists(place)
        recorded.append(place)

    sorter.settle(result, source, record, resumed=resumed)
    assert recorded == [str(taken.with_name("7-2.png"))]
    assert taken.read_bytes() == b"somebody else's"
    assert Path(recorded[0]).read_bytes() == b"seven"


def test_the_same_content_is_another_picture_unless_resumed(
    tmp_path: Path, picture: tuple[Result, Source]
) -> None:
    """Two detectors may sort copies of one picture into one folder."""
    result, source = picture
    sorter = make_sorter(tmp_path)
    (result,) = sorter.choose([result], [source])
    place = Path(str(result.sorted_to))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"seven")
    recorded: list[str | None] = []
    sorter.settle(result, source, recorded.append, resumed=True)
    assert recorded == []
    sorter.settle(result, source, recorded.append)
    assert recorded == [str(place.with_name("7-2.png"))]


@pytest.mark.parametrize("move", [False, True])
def test_killed_before_the_temporary_name_is_gone(
    move: bool,
    tmp_path: Path,
    picture: tuple[Result, Source],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file has both names then; it is not written to again, and keeps the right one."""
    result, source = picture
    sorter = make_sorter(tmp_path, move=move)
    (result,) = sorter.choose([result], [source])
    place = Path(str(result.sorted_to))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"seven")
    os.link(place, place.parent / ".run.part")
    written = place.stat()

    def other_file_system(*_: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", other_file_system)
    recorded: list[str | None] = []
    sorter.settle(result, source, recorded.append, resumed=True)
    assert recorded == []
    assert list(place.parent.iterdir()) == [place]
    assert (place.stat().st_ino, place.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert os.path.exists(source.path) is not move


@pytest.mark.parametrize("torn", [b"", b"sev"])
def test_killed_while_the_temporary_file_is_written(
    torn: bytes, tmp_path: Path, picture: tuple[Result, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there are no hard links, and the place is reserved by an empty file."""
    result, source = picture
    sorter = make_sorter(tmp_path)
    (result,) = sorter.choose([result], [source])
    place = Path(str(result.sorted_to))
    place.parent.mkdir(parents=True)
    (place.parent / ".run.part").write_bytes(torn)
    place.touch()

    def no_links(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    recorded: list[str | None] = []
    sorter.settle(result, source, recorded.append, resumed=True)
    assert recorded == []
    assert list(place.parent.iterdir()) == [place]
    assert place.read_bytes() == b"seven"


def test_a_picture_that_vanished(tmp_path: Path, picture: tuple[Result, Source]) -> None:
    result, source = picture
    sorter = make_sorter(tmp_path)
    (result,) = sorter.choose([result], [source])
    os.unlink(source.path)
    recorded: list[str | None] = []
    sorter.settle(result, source, recorded.append)
    assert recorded == [None]
    assert not (tmp_path / "sorted").exists()


def test_many_of_one_name_are_numbered_quickly(
    tmp_path: Path, picture: tuple[Result, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    result, source = picture
    looks = [0]
    exists = os.path.lexists

    def counted(path: str) -> bool:
        looks[0] += 1
        return exists(path)

    monkeypatch.setattr(os.path, "lexists", counted)
    results = make_sorter(tmp_path).choose([result] * 1_000, [source] * 1_000)
    places = [Path(str(result.sorted_to)).name for result in results]
    assert places == ["7.png", *(f"7-{number}.png" for number in range(2, 1_001))]
    assert looks[0] < 15_000


def test_what_cannot_be_copied_is_named(tmp_path: Path, picture: tuple[Result, Source]) -> None:
    result, source = picture
    sorter = make_sorter(tmp_path)
    (tmp_path / "sorted").mkdir()
    (tmp_path / "sorted/7").write_text("a file")
    (result,) = sorter.choose([result], [source])
    with pytest.raises(SortingError) as caught:
        sorter.settle(result, source, print)
    assert str(caught.value) == (
        f"'{source.path}' cannot be copied to '{result.sorted_to}': File exists; see to the"
        " permissions and to room on the disk."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scans", "--move"], "--move says how to sort: name the folder with --sort-into."),
        (
            ["scans", "--sort-into", "scans/sorted"],
            "--sort-into 'scans/sorted' is in 'scans', which is read: name a folder elsewhere.",
        ),
        (
            [".", "--sort-into", "sorted"],
            "--sort-into 'sorted' is in '.', which is read: name a folder elsewhere.",
        ),
        (
            ["scans", "--sort-into", "scans/broken.png/sorted"],
            "--sort-into 'scans/broken.png/sorted' is in 'scans', which is read: name a folder"
            " elsewhere.",
        ),
        (
            ["scans", "--sort-into", "file"],
            "The folder 'file' cannot be made: File exists: name another.",
        ),
    ],
)
def test_user_errors(
    arguments: list[str],
    message: str,
    detect: Detect,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    assert detect(*arguments) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"
