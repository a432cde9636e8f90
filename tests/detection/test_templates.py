"""Forms that return, from the command line: templates made, used, stored and refused.

The cards are those of docs/forms.md, and what reads them is real.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from openpyxl import load_workbook
from PIL import Image

import digit_classification_detector as detector
from digit_classification.config import SettingsError, load_settings
from digit_classification.pictures.forms.template import TemplateError, read_template
from tests.conftest import execute_on_mysql, mysql_database
from tests.documents import ROOT
from tests.interrupting import stopped_at_batch
from tests.results.test_results import execute, open_database

Detect = Callable[..., int]
CARDS = ROOT / "docs" / "cards"
FIELDS = ["flat", "day", "month", "water", "power", "persons"]
TABLE = """\
path,flat,day,month,water,power,persons
cards/flat-12.jpg,12,3,10,4187,20965,3
cards/flat-7.jpg,7,30,9,860,13742,
"""
OTHER_FORM = "does not match the template: found 0 of its 6 cells"


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two cards in `cards`, a blank one, another form, and the template."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cards").mkdir()
    for name in ("flat-12.jpg", "flat-7.jpg"):
        shutil.copy(CARDS / name, tmp_path / "cards")
    shutil.copy(CARDS / "blank.jpg", tmp_path)
    shutil.copy(CARDS / "card.yaml", tmp_path)
    shutil.copy(ROOT / "docs/forms/marks.png", tmp_path)
    return tmp_path


@pytest.fixture
def detect(trained: Path, office: Path, monkeypatch: pytest.MonkeyPatch) -> Detect:
    """Run the detector on one process."""
    monkeypatch.setenv("DIGITS_DETECTION_WORKERS", "1")

    def detect(*arguments: object, database: str = "none") -> int:
        words = [*arguments, "--model", trained, "--database", database]
        return detector.main([*map(str, words)])

    return detect


# --------------------------------------------------------------------------------- made of a form


def test_a_template_is_made(
    detect: Detect, office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # the second takes the place of the first
        assert detect("--make-template", "blank.jpg", "--output", "new.yaml") == 0
    out, err = capsys.readouterr()
    assert out == ""
    script = ROOT / "digit_classification_detector.py"
    said = (
        "new.yaml has 6 fields, and new-cells.png shows which they are: rename those that you want,"
        " delete the others, and read forms with\n"
        f"{sys.executable} {script} --template new.yaml scans/\n"
    )
    assert err == 2 * said
    made, worked_on = read_template(office / "new.yaml"), read_template(office / "card.yaml")
    assert made.names == ["r1c1", "r1c2", "r1c3", "r2c1", "r3c1", "r3c2"]
    assert made.page == worked_on.page
    assert [field.box for field in made.fields] == [*made.page.cells]
    assert {(field.read, field.constraint) for field in made.fields} == {("number", None)}
    with Image.open(office / "new-cells.png") as picture:
        assert picture.width / picture.height == pytest.approx(made.page.aspect, abs=0.01)
    assert not [*office.glob(".*")]


def test_a_template_is_called_like_the_picture(detect: Detect, office: Path) -> None:
    shutil.move(office / "blank.jpg", office / "cards")
    assert detect("--make-template", "cards/blank.jpg", "--quiet") == 0
    assert {path.name for path in office.glob("blank*")} == {"blank.yaml", "blank-cells.png"}


def test_a_dry_run_makes_no_template(
    detect: Detect, office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("--make-template", "blank.jpg", "--dry-run") == 0
    assert capsys.readouterr().out == (
        "Would write blank.yaml, with 6 fields, and blank-cells.png.\nNothing was written.\n"
    )
    assert [*office.glob("blank.*")] == [office / "blank.jpg"]


def test_a_form_without_lines_has_marks_in_its_corners(
    detect: Detect, office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("blank.png", "anna.jpg", "ben.jpg", "slip.yaml"):
        shutil.copy(ROOT / "docs/slips" / name, office)
    assert detect("--make-template", "blank.png", "--output", "new.yaml", "--dry-run") == 0
    assert "Would write new.yaml, with one field, and new-cells.png." in capsys.readouterr().out
    for _ in range(2):  # the second takes the place of the first
        assert detect("--make-template", "blank.png", "--output", "new.yaml") == 0
    said = capsys.readouterr().err
    assert said.startswith(
        "new.yaml has one field, and new-cells.png shows where it is, and all else: copy it for"
        " each field that you want, with its name and its box, and read forms with\n"
    )
    made, worked_on = read_template(office / "new.yaml"), read_template(office / "slip.yaml")
    assert (made.names, made.page) == (["field"], worked_on.page)
    text = (office / "new.yaml").read_text()
    (office / "new.yaml").write_text(text.replace("name: field", "name: total"))
    assert detect("--make-template", "blank.png", "--output", "new.yaml") == 2
    assert NOT_OURS.format("new.yaml") in capsys.readouterr().err
    # A slip askew, one on a desk, an empty one, and one of which a corner is torn off.
    with Image.open(office / "blank.png") as slip:
        torn = slip.copy()
    torn.paste(250, (0, 0, 80, 80))
    torn.save(office / "torn.png")
    names = ("anna.jpg", "ben.jpg", "blank.png", "torn.png")
    assert detect(*names, "--template", "slip.yaml", "--format", "table") == 1
    assert capsys.readouterr().out == (
        "path,class,points,grade\nanna.jpg,8,47,2\nben.jpg,8,39,3\nblank.png,,,\ntorn.png,,,\n"
    )
    assert detect("torn.png", "--template", "slip.yaml") == 1
    assert capsys.readouterr().out == (
        "rejected: does not match the template: found 3 of its 4 marks\n"
    )


NOT_OURS = (
    "'{}' is there already, and not as --make-template writes it: name another file with --output,"
    " or move that one away."
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["blank.jpg", "--output", "card.yaml"], NOT_OURS.format("card.yaml")),  # worked on
        (["blank.jpg", "--output", "notes.yaml"], NOT_OURS.format("notes.yaml")),
        (["blank.jpg", "--output", "photo.yaml"], NOT_OURS.format("photo-cells.png")),
        (
            ["blank.jpg", "--output", "form.csv"],
            "--output 'form.csv' is no name for a template: name a file that ends in .yaml.",
        ),
        (
            ["white.png"],
            "No table is found in 'white.png', nor marks in its four corners: take the picture"
            " from straight above, with all lines of the form in view, and name it with"
            " --make-template.",
        ),
        (
            ["card.yaml", "--output", "new.yaml"],
            "'card.yaml' cannot be read, not an image, or of an unknown format: name a picture of a"
            " form with --make-template.",
        ),
        (
            ["squares.png"],
            "'squares.png' shows 529 cells, and a template has up to 500 fields: name a picture of"
            " a form with --make-template.",
        ),
        (
            ["blank.jpg", "cards"],
            "--make-template looks at one form, and reads nothing: leave the paths out.",
        ),
        (
            ["blank.jpg", "--resume"],
            "--make-template looks at one form, and reads nothing: leave --resume out.",
        ),
    ],
)
def test_what_makes_no_template(
    arguments: list[str],
    message: str,
    detect: Detect,
    office: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (office / "notes.yaml").write_text("fields: our meadows\n")
    Image.new("L", (300, 400), 255).save(office / "photo-cells.png")
    Image.new("L", (300, 400), 255).save(office / "white.png")
    squares = Image.new("L", (1010, 1010), 255)
    for line in range(50, 967, 40):
        squares.paste(0, (line, 50, line + 3, 973))
        squares.paste(0, (50, line, 973, line + 3))
    squares.paste(0, (970, 50, 973, 973))
    squares.paste(0, (50, 970, 973, 973))
    squares.save(office / "squares.png")
    before = {path: path.read_bytes() for path in office.iterdir() if path.is_file()}
    assert detect("--make-template", *arguments) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"
    assert {path: path.read_bytes() for path in office.iterdir() if path.is_file()} == before


# ------------------------------------------------------------------------------------ read with it


def test_forms_are_read_into_a_table(
    detect: Detect, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--template", "card.yaml", "--format", "table")
    assert detect("cards", *options, database=database_url) == 0
    assert capsys.readouterr().out == TABLE
    # Again, of the stored run, which knows its fields.
    assert detect("--show", "latest", "--format", "table", database=database_url) == 0
    assert capsys.readouterr().out == TABLE


@pytest.mark.parametrize("kind", ["scanned", "photographed"])
def test_a_page_may_lie_in_any_direction(
    kind: str, detect: Detect, office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, line = {"scanned": ("flat-12.jpg", 1), "photographed": ("flat-7.jpg", 2)}[kind]
    (office / "lying").mkdir()
    with Image.open(office / "cards" / name) as card:
        for quarters in (1, 2, 3):
            card.rotate(90 * quarters, expand=True).save(office / "lying" / f"{quarters}.png")
    assert detect("lying", "--template", "card.yaml", "--format", "table") == 0
    _, *rows = capsys.readouterr().out.splitlines()
    read = TABLE.splitlines()[line].partition(",")[2]
    assert rows == [f"lying/{quarters}.png,{read}" for quarters in (1, 2, 3)]


def test_each_field_is_printed_under_its_name(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("cards/flat-7.jpg", "--template", "card.yaml") == 0
    lines = re.sub(r"\d+\.\d%.*", "…", capsys.readouterr().out).splitlines()
    assert lines == [
        *("flat: 7 …", "day: 30 …", "month: 9 …", "water: 860 …", "power: 13742 …"),
        "persons: rejected: blank image",
    ]
    assert detect("cards", "--template", "card.yaml", "--format", "csv") == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.endswith(",number,page,row,column,left,top,width,height,field")
    assert [row.rpartition(",")[2] for row in rows] == 2 * FIELDS
    assert detect("cards", "--template", "card.yaml", "--format", "jsonl") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["field"] for each in found] == 2 * FIELDS
    assert [(each["row"], each["column"]) for each in found[:6]] == [
        *((1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2)),
    ]
    assert [each["number"] for each in found[:6]] == ["12", "3", "10", "4187", "20965", "3"]
    assert found[5]["digit"] == 3  # where one alone is read


def test_a_page_of_another_form_is_rejected(
    detect: Detect, database_url: str, office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ("cards/flat-7.jpg", "marks.png")
    options = ("--template", "card.yaml", "--output", "forms.csv")
    assert detect(*paths, *options, "--format", "table", database=database_url) == 1
    assert (office / "forms.csv").read_text().splitlines()[1:] == [
        "cards/flat-7.jpg,7,30,9,860,13742,",
        "marks.png,,,,,,",
    ]
    capsys.readouterr()
    assert detect("--show", "latest", database=database_url) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.sub("found . of", "found 0 of", last) == f"marks.png: rejected: {OTHER_FORM}"


def test_a_workbook_has_a_row_for_each_form(detect: Detect, office: Path) -> None:
    paths = ("cards", "marks.png")
    for _ in range(2):  # the second replaces the first
        assert detect(*paths, "--template", "card.yaml", "--output", "forms.xlsx") == 1
    book = load_workbook(office / "forms.xlsx")
    assert book.sheetnames == ["forms"]
    assert [[cell.value for cell in row] for row in book["forms"].iter_rows()] == [
        ["path", *FIELDS],
        ["cards/flat-12.jpg", 12, 3, 10, 4187, 20965, 3],
        ["cards/flat-7.jpg", 7, 30, 9, 860, 13742, None],
        ["marks.png", *[None] * 6],
    ]
    assert book["forms"]["A4"].fill.fgColor.rgb.endswith("F8CBAD")
    assert book["forms"]["A4"].comment.text.startswith("does not match the template: found ")
    assert book["forms"]["G3"].fill.fgColor.rgb == "00000000"  # empty, as it may be


# ----------------------------------------------------------------------------------- the database


def as_view(url: str, columns: str = "*") -> list[Any]:
    return execute(url, f"SELECT {columns} FROM forms ORDER BY path")


def test_a_view_has_a_row_for_each_form(detect: Detect, database_url: str) -> None:
    assert detect("cards", "marks.png", "--template", "card.yaml", database=database_url) == 1
    rows = as_view(database_url)
    assert [row[1:] for row in rows] == [
        ("cards/flat-12.jpg", 1, "12", "3", "10", "4187", "20965", "3"),
        ("cards/flat-7.jpg", 1, "7", "30", "9", "860", "13742", None),
    ]
    # What a person corrected stands there corrected.
    execute(database_url, "UPDATE classified_images SET number = '8600' WHERE number = '860'")
    assert as_view(database_url, "flat, water") == [("12", "4187"), ("7", "8600")]


def test_the_view_has_the_fields_of_the_last_run(
    detect: Detect, database_url: str, office: Path
) -> None:
    assert detect("cards", "--template", "card.yaml", database=database_url) == 0
    content = yaml.safe_load((office / "card.yaml").read_text())
    content["fields"] = [content["fields"][0], {**content["fields"][4], "name": "Größe in kWh"}]
    (office / "other.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
    assert detect("cards/flat-7.jpg", "--template", "other.yaml", database=database_url) == 0
    quote = "`" if database_url.startswith("mysql") else '"'
    found = as_view(database_url, f"path, flat, {quote}Größe in kWh{quote}")
    assert sorted(found, key=str) == [
        ("cards/flat-12.jpg", "12", None),
        ("cards/flat-7.jpg", "7", "13742"),
        ("cards/flat-7.jpg", "7", None),
    ]


@pytest.mark.parametrize("kind", ["TABLE forms (a INT)", "VIEW forms AS SELECT 1 AS a"])
def test_a_view_of_others_stays(
    kind: str, detect: Detect, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    open_database(database_url).close()
    execute(database_url, f"CREATE {kind}")
    assert detect("cards/flat-7.jpg", "--template", "card.yaml", database=database_url) == 0
    assert (
        f"The view forms is not made, and all else goes on: Database {database_url}: its table or"
        " view forms was not made by this program; rename it, and the next run with a template"
        " makes the view.\n"
    ) in capsys.readouterr().err
    assert len(execute(database_url, "SELECT a FROM forms")) <= 1
    assert len(execute(database_url, "SELECT 1 FROM classified_images")) == 6


def test_who_may_make_no_view_stores_all_the_same(
    detect: Detect,
    mysql_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = mysql_database(mysql_url)
    execute_on_mysql(mysql_url, f"CREATE DATABASE {name}", use_database=False)
    try:
        execute_on_mysql(
            mysql_url,
            "CREATE USER 'clerk'@'%' IDENTIFIED BY 'secret'",
            f"GRANT SELECT, INSERT, UPDATE, CREATE, ALTER ON {name}.* TO 'clerk'@'%'",
        )
        url = re.sub("//[^@]*@", "//clerk@", mysql_url)
        with monkeypatch.context() as patch:
            patch.setenv("DIGITS_DATABASE_PASSWORD", "secret")
            assert detect("cards", "--template", "card.yaml", database=url) == 0
            said = capsys.readouterr().err
            assert f"The view forms is not made, and all else goes on: Database {url}: user" in said
            assert (
                "have an administrator GRANT CREATE, CREATE VIEW, DROP ON"
                f" `{name}`.forms TO 'clerk'.\n"
            ) in said
        execute_on_mysql(
            mysql_url, f"GRANT CREATE, CREATE VIEW, DROP ON {name}.forms TO 'clerk'@'%'"
        )
        with monkeypatch.context() as patch:
            patch.setenv("DIGITS_DATABASE_PASSWORD", "secret")
            for _ in range(2):
                assert detect("cards/flat-7.jpg", "--template", "card.yaml", database=url) == 0
            assert "The view forms" not in capsys.readouterr().err
        assert len(as_view(mysql_url)) == 4
    finally:
        execute_on_mysql(mysql_url, "DROP USER IF EXISTS 'clerk'@'%'")


def test_a_resumed_run_keeps_its_template(
    detect: Detect,
    database_url: str,
    office: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DIGITS_DETECTION_BATCH_SIZE", "1")
    with stopped_at_batch(2, KeyboardInterrupt()):
        assert detect("cards", "--template", "card.yaml", database=database_url) == 130
    assert "--template card.yaml" in capsys.readouterr().err.replace("\n", " ")
    template = read_template(office / "card.yaml")
    this = f"the template of SHA-256 {template.sha256[:12]}…"
    text = (office / "card.yaml").read_text()
    (office / "other.yaml").write_text(text.replace("name: day", "name: date"))
    other = f"the template of SHA-256 {read_template(office / 'other.yaml').sha256[:12]}…"
    for options, named in (([], "no template"), (["--template", "other.yaml"], other)):
        assert detect("--resume", *options, database=database_url) == 2
        assert re.sub(r"Run \S+", "Run R", capsys.readouterr().err.replace("\n", " ")) == (
            f"Error: Run R was started with {this}, and not with {named}: set it back, or start a"
            " new run without --resume. "
        )
    # What counts is what it says, not how it is called.
    (office / "card.yaml").rename(office / "moved.yaml")
    options = ["--resume", "--template", "moved.yaml", "--format", "table"]
    assert detect(*options, database=database_url) == 0
    assert capsys.readouterr().out == TABLE
    assert [row[3] for row in as_view(database_url)] == ["12", "7"]


def test_a_dataset_has_the_fields(detect: Detect, office: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert detect("cards/flat-7.jpg", "--template", "card.yaml", database="parquet:results") == 0
    (part,) = office.glob("results/run_id=*/part-*.parquet")
    assert parquet.read_table(part)["field"].to_pylist() == FIELDS
    assert detect("--show", "latest", "--format", "table", database="parquet:results") == 0


# --------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            (
                ["--read", read],
                "detection.template = card.yaml (from the command line) is not valid: it is for"
                " forms; add `--read form`, or leave it out.",
            )
            for read in ("digit", "number")
        ),
        (
            ["--constraint", r"\d"],
            "detection.template = card.yaml (from the command line) is not valid: its fields have"
            " constraints of their own; leave out `--constraint`.",
        ),
        (
            ["--output", "card.yaml"],
            "--template and --output both name 'card.yaml': give each a place of its own.",
        ),
        (
            ["--serve"],
            "--serve shows pictures of one digit or number, and not forms: leave out --read form"
            " or --template.",
        ),
    ],
)
def test_what_does_not_go_with_a_template(
    options: list[str], message: str, detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [] if "--serve" in options else ["cards"]
    assert detect(*paths, "--template", "card.yaml", *options) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"


def test_a_dry_run_says_which_fields_are_read(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("cards", "--template", "card.yaml", "--dry-run") == 0
    assert "\n  read 6 fields of each form, as card.yaml says\n" in capsys.readouterr().out


GOOD = """\
fields:
  - name: total
    box: [0.1, 0.1, 0.2, 0.1]
page:
  aspect: 0.7
  cells:
    - [0.1, 0.1, 0.2, 0.1]
    - [0.1, 0.2, 0.2, 0.1]
"""
SECOND = "  - name: {}\n    box: [0.1, 0.2, 0.2, 0.1]\npage"
ON_THE_PAGE = "a box is left, top, width and height, in shares of the page from 0 to 1"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (GOOD, "", "line 1: it should hold keys and values"),
        (GOOD, "[" * 5_000, "line 1: it is nested too deeply"),
        (GOOD, "a: \x07", "line 1: unacceptable character #x0007: special characters are not al"),
        ("box: [", "box: [[", "line 4: expected ',' or ']', but got '<scalar>'"),
        ("total", "*total", "line 2: aliases are not read"),
        ("page:", "pages:", "line 1: page: it is missing"),
        ("  - name: total", "  - nane: total", "line 2: name: it is missing"),
        ("total", "no", "line 2: name = False: it should be text: put it in quotes"),
        ("total", "=1+1", "line 2: name = =1+1: a name has letters, digits, _, and between them"),
        ("total", "x" * 65, f"line 2: name = {'x' * 60}: string should have at most 64 characters"),
        ("total", "Page", "line 2: name = Page: a column beside the fields is called so; choose"),
        (
            "page",
            SECOND.format("Tótal"),
            "line 2: fields: 'total' and 'Tótal' are one name to a database; rename one of them",
        ),
        (
            "page",
            SECOND.replace("0.2, 0.2", "0.12, 0.2").format("sum"),
            "line 1: the fields 'total' and 'sum' lie on each other; move one away",
        ),
        (
            "0.2, 0.1]\npage",
            "0.95, 0.1]\npage",
            f"line 3: field 'total', box: {ON_THE_PAGE}",
        ),
        ("0.2, 0.1]\npage", "0, 0.1]\npage", "line 3: field 'total', box: a box has a width and a"),
        ("0.2, 0.1]\npage", "0.2]\npage", "line 3: field 'total', box.3: it is missing"),
        ("0.2, 0.1]\npage", "0.2, a]\npage", "line 3: field 'total', box.3 = a: it should be a nu"),
        ("page", "    read: letter\npage", "line 4: field 'total', read = letter: input should be"),
        (
            "page",
            "    constraint: '('\npage",
            "line 4: field 'total', constraint = (: it is no regular expression: missing ),"
            " unterminated subpattern at position 0",
        ),
        (
            "page",
            "    constraint: 12\npage",
            "line 4: field 'total', constraint = 12: it should be",
        ),
        ("page", "    colour: red\npage", "line 4: field 'total', colour = red: this is no part"),
        ("aspect: 0.7", "aspect: wide", "line 5: aspect = wide: it should be a number"),
        ("\n    - [0.1, 0.2, 0.2, 0.1]", "", "line 5: page: a page has at least 2 cells, or"),
    ],
)
def test_a_template_that_cannot_be_used(
    old: str,
    new: str,
    problem: str,
    detect: Detect,
    office: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert old in GOOD
    (office / "bad.yaml").write_text(GOOD.replace(old, new, 1))
    assert detect("cards", "--template", "bad.yaml", database="sqlite:///new.db") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"Error: The template 'bad.yaml' cannot be used, {problem}")
    assert said.endswith(": correct it, or make one with --make-template.\n")
    assert len(said) < 320
    assert not (office / "new.db").exists()


def test_a_template_that_is_not_there_or_too_large(
    detect: Detect, office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("cards", "--template", "gone.yaml") == 2
    assert capsys.readouterr().err == (
        "Error: The template 'gone.yaml' cannot be read: No such file or directory: check"
        " --template, or make one with --make-template.\n"
    )
    (office / "large.yaml").write_text(GOOD + "#" * 2**18)
    assert detect("cards", "--template", "large.yaml") == 2
    assert capsys.readouterr().err == (
        "Error: The template 'large.yaml' is larger than 262,144 bytes: make one with"
        " --make-template.\n"
    )


def test_a_small_file_that_stands_for_a_huge_one_is_refused(office: Path) -> None:
    bomb = "a0: &a0 [0.1, 0.1]\n" + "".join(
        f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]\n" for number in range(1, 30)
    )
    (office / "bomb.yaml").write_text(bomb)
    with pytest.raises(TemplateError, match="line 2: aliases are not read"):
        read_template(office / "bomb.yaml")


def test_settings_may_name_a_template(office: Path) -> None:
    """Whichever place names it says that forms are read, unless it says otherwise itself."""
    (office / "config.yaml").write_text("detection: {read: digit, constraint: null}\n")
    settings = load_settings(None, None, {"DIGITS_DETECTION_TEMPLATE": "card.yaml"})
    assert (settings.detection.read, settings.detection.template) == ("form", Path("card.yaml"))
    (office / "config.yaml").write_text("detection: {template: forms/card.yaml}\n")
    settings = load_settings(None, None, {})
    assert (settings.detection.read, settings.detection.template) == (
        "form",
        Path("forms/card.yaml"),
    )
    with pytest.raises(SettingsError, match="it is for forms"):
        load_settings(None, None, {"DIGITS_DETECTION_READ": "number"})


# ------------------------------------------------------------------------------------- as library


def test_a_library_reads_fields(trained: Path, office: Path) -> None:
    predictor = detector.DigitPredictor(trained, template="card.yaml")
    cells = predictor.read_form("cards/flat-12.jpg")
    assert {cell.field: cell.reading.text for cell in cells} == {
        **dict(zip(FIELDS, ("12", "3", "10", "4187", "20965", "3"), strict=True))
    }
    with pytest.raises(TemplateError) as error:
        predictor.read_form("marks.png")
    assert re.sub(r"it has \d", "it has 0", str(error.value)) == (
        "The picture does not match the template 'card.yaml', of whose 6 cells it has 0: name"
        " another template, or take the picture again."
    )
    with pytest.raises(ValueError, match="have their own constraints: leave this one out"):
        predictor.read_form("cards/flat-12.jpg", constraint=r"\d")
    results = predictor.classify_images(["cards/flat-7.jpg"])
    assert [result.cell and result.cell.field for result in results] == FIELDS
