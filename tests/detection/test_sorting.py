"""Copies of pictures in a folder for each digit: never over another file, never two."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import digit_classification_detector as detector
from digit_classification.detection.sorting import Sorter, SortingError
from digit_classification.pictures.sources import Source
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.records import Result, StoredResult
from tests.conftest import PASSWORD_VARIABLE
from tests.drawing import draw_digit, png, write_dataset, zip_folder
from tests.trainer import train_model

Detect = Callable[..., int]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_model(tmp_path_factory.mktemp("model"), "--epochs", 4, "--hidden-units", 32)


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
    assert detect("scans", "--sort-into", "sorted", database=sqlite_url) == 1
    after = contents(tmp_path / "sorted")
    assert {name: after[name] for name in mine} == mine
    assert len(after) == len(mine) + 21
    names = {Path(str(row.sorted_to)).name for row in read(sqlite_url) if row.sorted_to}
    assert "000.png" not in names
    assert names >= {"000-2.png", "001.png", "blank.png"}


@pytest.mark.parametrize("database", ["none", "sqlite"])
def test_sorting_again_makes_no_second_copy(
    database: str, detect: Detect, tmp_path: Path, sqlite_url: str
) -> None:
    """Neither beside the copy, nor beside one that has a number for what was there before."""
    url = sqlite_url if database == "sqlite" else "none"
    (tmp_path / "sorted/rejected").mkdir(parents=True)
    (tmp_path / "sorted/rejected/blank.png").write_bytes(b"mine")
    assert detect("scans", "--sort-into", "sorted", database=url) == 1
    before = {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "sorted").rglob("*"))}
    assert detect("scans", "--sort-into", "sorted", database=url) == 1
    after = {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "sorted").rglob("*"))}
    assert after == before
    if database == "sqlite":
        named = {row.sorted_to for row in read(url) if row.sorted_to}
        assert len(named) == 21
        assert "sorted/rejected/blank-2.png" in named


def test_a_changed_picture_is_sorted_again(detect: Detect, tmp_path: Path) -> None:
    assert detect("scans/blank.png", "--sort-into", "sorted") == 1
    changed = png(draw_digit(1) * 0 + 231)
    (tmp_path / "scans/blank.png").write_bytes(changed)
    assert detect("scans/blank.png", "--sort-into", "sorted") == 1
    assert set(contents(tmp_path / "sorted")) == {"rejected/blank.png", "rejected/blank-2.png"}
    assert (tmp_path / "sorted/rejected/blank-2.png").read_bytes() == changed


def test_what_was_copied_before_can_be_moved(detect: Detect, tmp_path: Path) -> None:
    """The picture goes, for its place has the same content."""
    assert detect("scans", "--sort-into", "sorted") == 1
    before = contents(tmp_path / "sorted")
    assert detect("scans", "--sort-into", "sorted", "--move") == 1
    assert contents(tmp_path / "sorted") == before
    assert contents(tmp_path / "scans") == {"broken.png": b""}


@pytest.mark.parametrize("words", [[], ["--move"], ["--hard-links"]])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_twins_have_one_place(
    batch_size: int,
    words: list[str],
    detect: Detect,
    tmp_path: Path,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pictures of one name and one content, whether or not they are read in one batch."""
    monkeypatch.setenv("DIGITS_DETECTION_BATCH_SIZE", str(batch_size))
    twin = png(draw_digit(7))
    for name in ("a/7.png", "b/7.png", "c/7.png"):
        (tmp_path / "twins" / name).parent.mkdir(parents=True)
        (tmp_path / "twins" / name).write_bytes(twin)
    other = png(draw_digit(7, seed=3))
    (tmp_path / "twins/c/7.png").write_bytes(other)
    detect("twins", "--sort-into", "sorted", *words, database=sqlite_url)
    sorted_files = contents(tmp_path / "sorted")
    assert sorted(sorted_files.values()) == sorted([twin, other])
    assert contents(tmp_path / "twins") == (
        {} if "--move" in words else {"a/7.png": twin, "b/7.png": twin, "c/7.png": other}
    )
    for row in read(sqlite_url):
        place = tmp_path / str(row.sorted_to)
        assert hashlib.sha256(place.read_bytes()).hexdigest() == row.image_sha256


@pytest.mark.parametrize("words", [[], ["--move"]])
def test_the_sorted_folder_can_be_sorted_again(
    words: list[str], detect: Detect, tmp_path: Path
) -> None:
    """A picture that is at its place already is neither copied nor, above all, removed."""
    assert detect("scans", "--sort-into", "sorted") == 1
    before = contents(tmp_path / "sorted")
    kinds = sorted(str(path) for path in Path("sorted").iterdir())
    assert detect(*kinds, "--sort-into", "sorted", *words) == 1
    assert contents(tmp_path / "sorted") == before


@pytest.mark.skipif(os.name == "nt", reason="needs a right to make links there")
def test_a_link_to_the_picture_at_its_place_is_no_copy(detect: Detect, tmp_path: Path) -> None:
    (tmp_path / "sorted/rejected").mkdir(parents=True)
    (tmp_path / "sorted/rejected/blank.png").symlink_to(tmp_path / "scans/blank.png")
    blank = (tmp_path / "scans/blank.png").read_bytes()
    assert detect("scans/blank.png", "--sort-into", "sorted", "--move") == 1
    assert (tmp_path / "sorted/rejected/blank-2.png").read_bytes() == blank


def test_a_copy_is_a_file_of_its_own(detect: Detect, tmp_path: Path) -> None:
    """To edit it leaves the picture as it is; unless hard links are asked for."""
    blank = tmp_path / "scans/blank.png"
    before = blank.read_bytes()
    assert detect("scans", "--sort-into", "sorted") == 1
    assert not any(os.path.samefile(blank, copy) for copy in (tmp_path / "sorted").rglob("*.png"))
    with open(tmp_path / "sorted/rejected/blank.png", "ab") as copy:
        copy.write(b"edited")
    assert blank.read_bytes() == before
    assert detect("scans", "--sort-into", "linked", "--hard-links") == 1
    assert os.path.samefile(blank, tmp_path / "linked/rejected/blank.png")


@pytest.mark.parametrize("support", ["none", "fails", "stops short"])
def test_where_the_system_cannot_copy_by_itself(
    support: str, detect: Detect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_file_range(source: int, target: int, count: int) -> int:
        if support == "fails":
            raise OSError("another file system")
        return os.write(target, os.read(source, 5)) if os.fstat(target).st_size == 0 else 0

    if support == "none":
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    else:
        monkeypatch.setattr(os, "copy_file_range", copy_file_range, raising=False)
    before = contents(tmp_path / "scans")
    assert detect("scans", "--sort-into", "sorted") == 1
    assert sorted(contents(tmp_path / "sorted").values()) == sorted(filter(None, before.values()))


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


def part_of(place: Path) -> Path:
    """The temporary file from which a file appears at `place`."""
    number = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:16]
    return place.with_name(f".run-{number}.part")


def settle(
    sorter: Sorter,
    result: Result,
    source: Source,
    record: Callable[[str | None], None],
    *,
    resumed: bool = False,
) -> None:
    """Settle one picture."""
    sorter.settle([result], [source], lambda _, place: record(place), resumed=resumed)


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

    settle(sorter, result, source, record, resumed=resumed)
    assert recorded == [str(taken.with_name("7-2.png"))]
    assert taken.read_bytes() == b"somebody else's"
    assert Path(recorded[0]).read_bytes() == b"seven"


def test_another_detector_has_made_the_same_copy(
    tmp_path: Path, picture: tuple[Result, Source]
) -> None:
    """Two detectors may sort one picture into one folder."""
    result, source = picture
    sorter = make_sorter(tmp_path)
    (result,) = sorter.choose([result], [source])
    place = Path(str(result.sorted_to))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"seven")
    recorded: list[str | None] = []
    for resumed in (True, False):
        settle(sorter, result, source, recorded.append, resumed=resumed)
    assert recorded == []
    assert list(place.parent.iterdir()) == [place]


def test_a_picture_that_has_changed_is_not_removed(
    tmp_path: Path, picture: tuple[Result, Source]
) -> None:
    """With --move, while the place has what it was when it was read."""
    result, source = picture
    sorter = make_sorter(tmp_path, move=True)
    (result,) = sorter.choose([result], [source])
    place = Path(str(result.sorted_to))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"seven")
    Path(source.path).write_bytes(b"changed")
    recorded: list[str | None] = []
    settle(sorter, result, source, recorded.append, resumed=True)
    assert recorded == [str(place.with_name("7-2.png"))]
    assert place.read_bytes() == b"seven"
    assert place.with_name("7-2.png").read_bytes() == b"changed"


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
    os.link(place, part_of(place))
    written = place.stat()

    def other_file_system(*_: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", other_file_system)
    recorded: list[str | None] = []
    settle(sorter, result, source, recorded.append, resumed=True)
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
    part_of(place).write_bytes(torn)
    place.touch()

    def no_links(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    recorded: list[str | None] = []
    settle(sorter, result, source, recorded.append, resumed=True)
    assert recorded == []
    assert list(place.parent.iterdir()) == [place]
    assert place.read_bytes() == b"seven"


def test_a_picture_that_vanished(tmp_path: Path, picture: tuple[Result, Source]) -> None:
    result, source = picture
    sorter = make_sorter(tmp_path)
    (result,) = sorter.choose([result], [source])
    os.unlink(source.path)
    recorded: list[str | None] = []
    settle(sorter, result, source, recorded.append)
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
    pictures = [replace(result, image_sha256=f"{number:064x}") for number in range(1_000)]
    results = make_sorter(tmp_path).choose(pictures, [source] * 1_000)
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
        settle(sorter, result, source, print)
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
