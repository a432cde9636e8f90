"""The pages in docs/ are tried, not believed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import pkgutil
import re
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import digit_classification_detector as detector
import digit_classification_model_trainer as trainer
from benchmarks import accuracy, speed
from digit_classification.commands.train import options
from digit_classification.config import load_settings
from digit_classification.results.corrections import Correction
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.records import Result, RunInfo, StoredCell, StoredDigit
from digit_classification.settings import FIELDS, config_text
from tests.conftest import PASSWORD_VARIABLE, execute_on_mysql, mysql_database
from tests.documents import (
    PAGES,
    README,
    ROOT,
    SCRIPTS,
    anchors,
    blocks,
    commands,
    flags,
    masked,
    named_flags,
    run,
)
from tests.drawing import draw_digit, png, write_dataset
from tests.faults import hostile
from tests.faults.test_hostile_mutations import COUNTS
from tests.interrupting import during_epoch, press_ctrl_c
from tests.sentences import collect, not_understood, plain
from tests.serving.running import running

MODEL = "digit_classification.keras"
SCENES = 20  # pictures that a page's judge learns from: more take a minute
OTHER_PAGES = ("CONTRIBUTING.md", "benchmarks/*.md", "dataset/*.md")
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}


# ------------------------------------------------------------------------------------- commands


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """What the readers of all pages have: samples, datasets of their own, a model, corrections."""
    office = tmp_path_factory.mktemp("office")
    shutil.copytree(ROOT / "samples", office / "samples")
    for script in (*SCRIPTS, "config.yaml"):
        shutil.copy(ROOT / script, office)
    (office / "docs").mkdir()
    shutil.copy(ROOT / "docs/draw_photos.py", office / "docs")
    for pictures in ("cards", "forms", "numbers", "slips"):
        shutil.copytree(ROOT / "docs" / pictures, office / "docs" / pictures)
    write_dataset(office / "scans", per_class=1, first_seed=900)
    write_dataset(office / "others_digits", per_class=3, first_seed=800)
    mine = write_dataset(office / "my_digits", per_class=12)
    (mine / "4/cut-off.png").write_bytes(png(draw_digit(4, 99))[:100])
    shutil.copy(mine / "7/003.png", mine / "7/copy of 003.png")
    shutil.copy(office / "samples/blank-page.jpg", mine / "9")
    (mine / "notes.txt").write_text("Collected in October.\n")
    (office / "corrections.csv").write_text("path,digit\nsamples/two-digits.png,2\n")
    rows = "".join(f"scans/{digit}/000.png,{digit}\n" for digit in range(10))
    (office / "truth.csv").write_text(f"path,digit\n{rows}")
    shutil.copy(trained, office / MODEL)
    return office


@pytest.fixture
def desk(office: Path, tmp_path: Path, undrawn: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the office for one page, with settings that make a training short."""
    desk = tmp_path / "desk"
    shutil.copytree(office, desk)
    monkeypatch.chdir(desk)
    settings = {
        "DATASET_PATH": "my_digits",
        "DATASET_CACHE": "false",
        "DATABASE_URL": "sqlite:///digit_classification.db",
        # Whether the hardest sample is above the default differs from training to training.
        "DETECTION_MIN_CONFIDENCE": "0.02",
        "MODEL_PATH": MODEL,
        "TRAINING_EPOCHS": "1",
        "TRAINING_BATCH_SIZE": "16",
        "TRAINING_HIDDEN_UNITS": "64",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"DIGITS_{name}", value)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # No processes, which take longer to start than to do so little.
    monkeypatch.setattr("digit_classification.parallel.default_workers", lambda: 1)
    monkeypatch.setattr("digit_classification.training.fine_tuning.tuning.SCENES", SCENES)
    monkeypatch.setattr("digit_classification.training.fine_tuning.tuning.DRAWN", 100)
    monkeypatch.setattr("digit_classification.training.fine_tuning.network.STEPS", 20)
    return desk


def prepare(command: str) -> None:
    """Leave behind what a command goes on with: a stopped run or training, or corrections."""
    if command.startswith("cut ") and "corrections.csv" in command:
        correct_on_the_page()
    elif "--apply-corrections" in command:
        correct_a_sample()
    elif "--resume-training" in command:
        dataset = ["--dataset", "my_digits"] if "--dataset my_digits" in command else []
        settings = load_settings(options.build_parser().parse(dataset))
        with during_epoch(1, press_ctrl_c):
            trainer.DigitClassifier(settings, quiet=True).train()
    elif "--resume" in command:
        assert detector.main(["scans", "--quiet"]) == 0
        with ResultsDatabase.open("sqlite:///digit_classification.db") as database:
            database.finish_run(database.runs()[0].info.id, "interrupted")


def correct_on_the_page() -> None:
    """Do as the tutorial's reader does on the review page, for the digits with a habit."""
    with ResultsDatabase.open("sqlite:///digit_classification.db", read_only=True) as database:
        rows = [row.as_result() for row in database.rows(database.runs()[0].info.id)]
    habits = [row for row in rows if Path(row.path).name[0] in "019"]
    lines = [f"{row.path},{Path(row.path).name[0]},{row.image_sha256}\n" for row in habits]
    Path("corrections.csv").write_text("".join(["path,digit,sha256\n", *lines]))


def correct_a_sample() -> None:
    """Leave the file of a review page on which somebody said which digit one of the samples is."""
    with ResultsDatabase.open("sqlite:///digit_classification.db", read_only=True) as database:
        run_id = database.runs()[0].info.id
        (row,) = database.find(run_id, ["samples/two-digits.png"]).values()
    line = f"{row.path},2,{row.image_sha256},{run_id}"
    Path("corrections.csv").write_text(f"path,digit,sha256,run\n{line}\n")


def expected_code(command: str) -> int:
    """The folder samples/ holds a blank page and a file that is no picture."""
    words = shlex.split(command)
    reads_samples = "samples" in words and words[0] == "python" and "|" not in words
    return 1 if reads_samples and "echo" not in words and "--dry-run" not in words else 0


def is_as_shown(output: str, on_the_page: str, *, readings: bool = True) -> bool:
    """Whether an output is as a page shows it; a line … there stands for any lines."""
    shown = masked(on_the_page, readings=readings)
    seen = masked(output, readings=readings)
    return set(shown) - {"…"} <= set(seen) if "…" in shown else shown == seen


def can_run(command: str) -> bool:
    program = shlex.split(command)[0]
    if program in ("export", "pip") or "mysql:" in command or "s3:" in command:
        return False  # tests of their own try what needs a server
    if "--cluster" in command and importlib.util.find_spec("ray") is None:
        return False
    return program in ("python", "make") or "=" in program or shutil.which(program) is not None


SERVED_AT = "http://127.0.0.1:8000/"  # on the pages; here at a port that is free


@contextlib.contextmanager
def served(command: str) -> Iterator[tuple[str, str]]:
    """Run a command that serves; yield its address, and what the terminal shows of it."""
    options = re.sub(r"--serve( \d+)?", "", command.partition(".py")[2])
    with running(Path(MODEL), Path.cwd(), *shlex.split(options)) as server:
        assert server.process.stderr is not None
        said = f"{SERVED_AT}\n{server.process.stderr.readline()}"
        yield server.url, said
        assert server.stop()[0] == 130


def is_tried_before(page: str, command: str) -> bool:
    """Whether this is a training, which takes seconds, that an earlier page shows as well."""
    earlier = [text for name, text in TEXTS.items() if name < page]
    shown = {pair[0] for text in earlier for pair in commands(text)}
    return "model_trainer.py" in command and command in shown


@pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell")
@pytest.mark.parametrize("page", [name for name, text in TEXTS.items() if commands(text)])
def test_the_commands_of_a_page_do_what_it_says(page: str, desk: Path, trained: Path) -> None:
    server, url = contextlib.ExitStack(), SERVED_AT
    for command, on_the_page in commands(TEXTS[page]):
        if not can_run(command) or is_tried_before(page, command):
            continue
        prepare(command)
        if "--serve" in command:  # until the next one, or the end of the page
            server.close()
            url, output = server.enter_context(served(command))
            assert is_as_shown(output, on_the_page)
            continue
        command = command.replace(SERVED_AT, url)
        code, output = run(re.sub(r"--scenes \d+", f"--scenes {SCENES}", command))
        assert code == expected_code(command), f"{command}\n{output}"
        # The tutorial's photos are hard on purpose, and its reader trains for minutes.
        as_shown = is_as_shown(output, on_the_page, readings=page != "tutorial.md")
        assert not on_the_page or as_shown, f"{command}\n{output}"
        if "model_trainer.py" in command:  # briefly: what follows is read by one that has learned
            shutil.copy(trained, desk / MODEL)
        for written in re.findall(r"--(?:report|output|sort-into) (\S+)", command):
            assert Path(written).exists() or "--dry-run" in command
    server.close()


def test_the_mysql_command_works(
    desk: Path, mysql_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = [command for command, _ in commands(TEXTS["databases.md"]) if "mysql:" in command]
    words = shlex.split(re.sub(r"mysql://\S+", mysql_url, command))
    assert detector.main(words[2:]) == 0
    assert f"Stored in {mysql_url}, run " in capsys.readouterr().err


@pytest.mark.parametrize("page", [name for name, text in TEXTS.items() if blocks(text, "python")])
def test_the_python_examples_of_a_page_print_what_it_shows(page: str, desk: Path) -> None:
    examples = re.findall(
        r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", TEXTS[page], re.DOTALL | re.MULTILINE
    )
    assert len(examples) == len(blocks(TEXTS[page], "python"))
    for example, output in examples:
        # Settings of a program's own do not look at the environment: a judge would take minutes.
        example = example.replace("TrainingSettings(", "TrainingSettings(scenes=0, ")
        with contextlib.ExitStack() as stack:
            if SERVED_AT in example:
                url, _ = stack.enter_context(served(".py --serve"))
                example = example.replace(SERVED_AT, url)
            printed = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            exec(compile(example, page, "exec"), {"__name__": "__main__"})
        assert masked(printed.getvalue()) == masked(output), example


def test_the_names_on_the_page_for_python_can_be_imported() -> None:
    names = set(re.findall(r"digit_classification\.[\w.]+\w", TEXTS["python.md"]))
    exceptions = [name for name in names if name.endswith("Error")]
    assert len(exceptions) > 4
    for name in names - {"digit_classification.keras"}:
        assert pkgutil.resolve_name(name)


# ------------------------------------------------------------------------------------- databases


RUNS = ["20261122-185500-a3f9cd21b", "20261122-185501-a3f9cd21b"]
NUMBERS = "20261122-185459-a3f9cd21b"  # a run of them, before the others
FORMS = "20261122-185458-a3f9cd21b"  # likewise


@pytest.fixture
def filled(database_url: str) -> str:
    """A database with all that the questions of the page ask for, and rows of the ancestor."""
    ten = (0.0, 0.25, *[0.0] * 5, 0.75, 0.0, 0.0)
    rows = [
        Result("a/7.png", "ok", 7, 0.75, None, ten, "a" * 64),
        Result("a/copy.png", "ok", 7, 0.875, None, ten, "a" * 64),
        Result("a/1.png", "uncertain", 1, 0.5, None, ten, "b" * 64),
        Result("a/blank.png", "rejected", reason="blank image", probabilities=ten),
        # Unread: without a checksum, as the other unread one, whose copy it is not.
        Result("a/gone.png", "error", reason="the file is empty"),
        Result("a/none.png", "error", reason="the file is empty"),
        Result("a/4.png", "uncertain", 4, 0.5),
    ]
    other = Result("a/7.png", "ok", 1, 0.75, None, ten, "a" * 64)
    sure = (0.0, 0.875, *[0.0] * 5, 0.125, 0.0, 0.0)
    signs = [
        StoredDigit(1, "1", 0.25, 0.25, 0.125, 0.5, 0.875, sure),
        StoredDigit(2, "7", 0.5, 0.25, 0.125, 0.5, 0.5, ten),
    ]
    numbers = [
        Result("n/17.png", "uncertain", None, 0.25, number="17", digits=tuple(signs)),
        Result("n/1.png", "ok", 1, 0.875, None, sure, number="1", digits=(signs[0],)),
    ]
    form = [
        Result("f/1.png", "ok", None, 0.875, number=number, cell=StoredCell(1, *place, *box, field))
        for number, place, box, field in (
            ("1984", (1, 1, 1), (0.25, 0.25, 0.5, 0.125), "water"),
            ("2001", (2, 2, 1), (0.25, 0.5, 0.5, 0.125), "power"),
        )
    ]
    password = os.environ.get(PASSWORD_VARIABLE)
    with ResultsDatabase.open(database_url, password=password) as database:
        database.show_forms(["water", "power"])
        batches = [form, numbers, rows, [other]]
        for run_id, batch in zip((FORMS, NUMBERS, *RUNS), batches, strict=True):
            info = RunInfo(["a"], "m.keras", id=run_id)
            database.add(database.start_run(info), batch)
            database.finish_run(info.id, "finished")
        database.correct([Correction("a/4.png", "9", None, RUNS[0])], "anna")
    for digit in (7, 7, 1):  # alike, as the ancestor leaves them: under no path, and with a logit
        write(
            database_url,
            "INSERT INTO classified_images (digit, confidence, folder_name, file_name)"
            f" VALUES ({digit}, 16.25, 'scans', '7.png')",
        )
    return database_url


def write(url: str, statement: str) -> None:
    if url.startswith("mysql"):
        execute_on_mysql(url, statement)
        return
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(statement)
        connection.commit()


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    if url.startswith("mysql"):
        return execute_on_mysql(url, statement)
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute(statement).fetchall()


# The answers of `filled` to the questions, in the order of the page.
ANSWERS: dict[str, list[tuple[object, ...]]] = {
    "What are the totals of the last run?": [(RUNS[1], "finished", 1, 1, 0, 0, 0)],
    "How many of each digit did each run find?": [
        (NUMBERS, 1, 1, 0.875),
        (RUNS[0], 7, 2, 0.75),
        (RUNS[0], 9, 1, None),
        (RUNS[1], 1, 1, 0.75),
    ],
    "Which pictures should a person look at, the least certain first?": [
        ("n/17.png", None, "17", 0.25),
        ("a/1.png", 1, None, 0.5),
    ],
    "What was not read, and why?": [
        ("error", "the file is empty", 2),
        ("rejected", "blank image", 1),
    ],
    "Which pictures could be a one or a seven?": [
        (path, 0.25, 0.75)
        for path in ("a/7.png", "a/copy.png", "a/1.png", "a/blank.png", "a/7.png")
    ],
    "Which pictures are in a run more than once, under several names?": [
        ("a" * 64, 2, "a/7.png"),
    ],
    "Which pictures did two runs read differently, say with two models?": [
        ("a/7.png", 7, 1),
        ("a/copy.png", 7, 1),
    ],
    "Which numbers were read, and how sure is their least sure sign?": [
        ("n/17.png", "17", 0.25, 0.5),
        ("n/1.png", "1", 0.875, 0.875),
    ],
    "Which digits of numbers could be a one or a seven, and where are they?": [
        ("n/17.png", "17", 2, 0.5, 0.25, 0.75),
    ],
    "What was corrected, by whom, and what did the network read?": [
        ("a/4.png", 1, 4, None, 9, None, "anna"),
    ],
    "Which digits does the network take for which?": [(4, 9, 1)],
    "Which numbers are not of four digits, as they should be?": [
        ("n/17.png", "17"),
        ("n/1.png", "1"),
    ],
    "What stands in the fields `water` and `power` of each form?": [("f/1.png", 1, "1984", "2001")],
    "Only the newest result of each picture:": [
        ("f/1.png", None, 0.875, "ok"),
        ("f/1.png", None, 0.875, "ok"),
        ("n/17.png", None, 0.25, "uncertain"),
        ("n/1.png", 1, 0.875, "ok"),
        ("a/copy.png", 7, 0.875, "ok"),
        ("a/1.png", 1, 0.5, "uncertain"),
        ("a/blank.png", None, None, "rejected"),
        ("a/gone.png", None, None, "error"),
        ("a/none.png", None, None, "error"),
        ("a/4.png", 9, None, "ok"),
        ("a/7.png", 1, 0.75, "ok"),
    ],
    "Which rows are the ancestor's?": [(3,)],
}


def test_the_questions_to_a_database_have_these_answers(filled: str) -> None:
    page = TEXTS["databases.md"]
    asked = re.findall(r"^(\S.*)\n\n```sql\n((?:.*\n)*?)```", page, re.MULTILINE)
    assert len(asked) == len(blocks(page, "sql"))
    assert [question for question, _ in asked] == [*ANSWERS]
    for question, statement in asked:
        answer = [tuple(row) for row in execute(filled, statement)]
        if "ORDER BY" not in statement:
            answer, expected = sorted(answer, key=str), sorted(ANSWERS[question], key=str)
        else:
            expected = ANSWERS[question]
        assert answer == expected, question


def columns_on_the_page() -> Iterator[tuple[str, str, str]]:
    """Yield each column in the order of the page: its name, its SQLite and its MySQL type."""
    row = r"^\| (`[^|]+`) \| `([^|`]+)` \| `([^|`]+)` \|"
    for names, sqlite_type, mysql_type in re.findall(row, TEXTS["databases.md"], re.MULTILINE):
        first, *last = re.findall("`([^`]+)`", names)
        each = [f"p{digit}" for digit in range(10)] if last == ["p9"] else [first]
        for name in each:
            yield name, sqlite_type, mysql_type


def test_the_page_has_every_column_with_its_type(filled: str) -> None:
    tables = ("classified_images", "classification_runs", "classified_digits", "corrected_images")
    found = []
    for table in tables:
        if filled.startswith("sqlite"):
            found += [row[1:3] for row in execute(filled, f"PRAGMA table_info({table})")]
        else:
            found += execute(
                filled,
                "SELECT column_name, CAST(column_type AS CHAR) FROM information_schema.columns"
                f" WHERE table_schema = '{mysql_database(filled)}' AND table_name = '{table}'"
                " ORDER BY ordinal_position",
            )
    kind = 1 if filled.startswith("sqlite") else 2
    # MariaDB says int(11), MySQL int.
    without_width = [(name, re.sub(r"^int\(\d+\)", "int", str(type_))) for name, type_ in found]
    assert without_width == [(column[0], column[kind]) for column in columns_on_the_page()]


# ------------------------------------------------------------------------- links, flags, figures


@pytest.mark.parametrize(
    "page",
    [README, *PAGES, *(path for place in OTHER_PAGES for path in sorted(ROOT.glob(place)))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(\s*([^)\s]+)\s*\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


def test_every_page_is_linked_from_the_readme() -> None:
    readme = README.read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"](docs/{page.name}" not in readme] == []


@pytest.mark.parametrize("page", TEXTS)
def test_a_page_names_no_flag_and_no_setting_that_does_not_exist(page: str) -> None:
    parsers = [module.build_parser() for module in (detector, trainer, accuracy, speed)]
    known = set().union(*map(flags, parsers)) | {"--upgrade", "--require-hashes"}  # pip's
    known |= {"--head", "--port", "--address"}  # Ray's
    known |= {"--dest"}  # argcomplete's
    known |= {"--data-binary"}  # curl's
    assert named_flags(TEXTS[page]) <= known
    sections = "|".join({key.split(".")[0] for key in FIELDS})
    assert set(re.findall(rf"`((?:{sections})\.[a-z_]+)`", TEXTS[page])) <= set(FIELDS)


@pytest.mark.parametrize("script", [trainer, detector])
def test_each_script_s_section_of_the_options_has_all_of_its_flags(script: ModuleType) -> None:
    _, of_the_trainer, of_the_detector, of_both = TEXTS["options.md"].split("\n## ")[:4]
    its_own = of_the_trainer if script is trainer else of_the_detector
    assert its_own.startswith("The trainer\n\n" if script is trainer else "The detector\n\n")
    assert of_both.startswith("Both\n\n")
    table = "\n".join(line for line in its_own.splitlines() if line.startswith("| `"))
    assert named_flags(table) | named_flags(of_both) == flags(script.build_parser())
    assert named_flags(table).isdisjoint(named_flags(of_both))


def test_every_setting_is_on_its_page() -> None:
    assert blocks(TEXTS["settings.md"], "yaml") == [config_text()]


@pytest.mark.parametrize("page", TEXTS)
def test_what_a_page_names_of_the_package_is_there(page: str) -> None:
    files = {".keras", ".checkpoint", ".onnx", ".tflite", ".db"}
    for name in re.findall(r"`(digit_classification(?:\.\w+)+)\b", TEXTS[page]):
        module, _, attribute = name.rpartition(".")
        if Path(name).suffix not in files:
            assert hasattr(importlib.import_module(module), attribute), name


# A figure, and then, not shown to readers, the cell of the benchmarks' tables that it is from.
FIGURE = re.compile(r"(\d+(?:\.\d+)? ± \d+(?:\.\d+)? (?:%|s))(?: ?<!-- (.+?) -->)?")


def tables(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield each cell of the tables of a page: its row, its column, what is in it."""
    heads: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = cells
        elif not line.startswith("| ---"):
            yield from ((cells[0], head, cell) for head, cell in zip(heads, cells, strict=True))


def figures_with_their_cells(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield each figure of a page with the row and the column of the benchmark that it names.

    In a table, the comment in the first cell names the row, and the column is the table's own;
    in a sentence, the comment behind the figure names both.
    """
    for row, column, cell in tables(text):
        named = re.search("<!-- (.+?) -->", row)
        for found in FIGURE.finditer(cell):
            yield found[1], named[1] if named else "", column
    sentences = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    for found in FIGURE.finditer(" ".join(sentences.split())):
        row, _, column = (found[2] or "").partition(": ")
        yield found[1], row, column


MEASURED = {
    (row, column): cell
    for row, column, cell in tables((ROOT / "benchmarks/README.md").read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_every_figure_with_a_deviation_is_what_its_cell_says(page: Path) -> None:
    found = list(figures_with_their_cells(page.read_text(encoding="utf-8")))
    wrong = [one for one in found if MEASURED.get(one[1:]) != one[0]]
    assert wrong == []
    assert len(found) >= 8 or page != README


def test_the_readme_says_what_each_set_was_used_for() -> None:
    used = [
        (re.findall("<!-- (.+?) -->", row), cell)
        for row, column, cell in tables(README.read_text(encoding="utf-8"))
        if column == "used to"
    ]
    assert len(used) >= 4
    assert [cell for _, cell in used] == [MEASURED[row, "used to"] for (row,), _ in used]


def test_the_counts_of_mutated_files_are_those_of_the_benchmark() -> None:
    page = " ".join(TEXTS["security.md"].split())
    measured = (ROOT / "benchmarks/reliability.md").read_text(encoding="utf-8")
    line = r"^- ([\d,]+) mutated (\w+): 0 crashes, 0 hangs, .*, (\d+) MiB at most$"
    found = {kind: (count, int(mib)) for count, kind, mib in re.findall(line, measured, re.M)}
    assert set(found) == {"images", "documents", "zips", "models", "foreign"}
    for kind, name in [*zip(found, found, strict=True)][:4]:
        assert f"{found[kind][0]} mutated {name}" in page
    assert f"{found['foreign'][0]} mutated `.keras` files" in page
    assert f"{len(hostile.pictures())} kinds" in page
    least = max(mib for kind, (_, mib) in found.items() if kind != "foreign")
    assert f"{least} MiB, and {found['foreign'][1]} MiB where Keras" in page
    assert f"some {round(sum(short for short, _ in COUNTS.values()), -2)} mutated" in page


def test_each_column_of_the_comparison_is_shown() -> None:
    compared, _, shown = TEXTS["comparison.md"].partition("\n## Shown\n")
    numbers = re.findall(r"^### (\d+)\n\n(?:.+\n+)*?```(?:console|python)\n", shown, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 13)]
    assert list(dict.fromkeys(re.findall(r"\[\d+\]\(#(\d+)\)", compared))) == numbers


def test_the_tables_of_the_comparison_can_be_read() -> None:
    themes: list[dict[str, dict[str, str]]] = []
    for theme in TEXTS["comparison.md"].split("\n## ")[1:]:
        rows: dict[str, dict[str, str]] = {}
        for program, column, cell in tables(theme):
            rows.setdefault(program, {})[column] = cell
        themes += [rows] if "this program" in rows else []
    assert len(themes) >= 5
    for rows in themes:
        assert list(rows) == list(themes[0]), "the same programs in the same order"
        assert len(rows["this program"]) <= 6, "too wide"
        assert all(rows["this program"].values())


# ------------------------------------------------------------------------------- troubleshooting


def test_no_sentence_is_overlooked() -> None:
    assert not_understood() == [], "teach tests/sentences.py where these get their words from"


def test_troubleshooting_has_every_sentence_of_the_program_and_no_other() -> None:
    # Code that begins a line and ends, with a backslash, the same or a later one.
    entries = re.findall(
        r"^[- ] (`{1,2}) ?((?:(?!\1).)+?) ?\1 \\$",
        TEXTS["troubleshooting.md"],
        re.DOTALL | re.MULTILINE,
    )
    shown = [plain(sentence) for _, sentence in entries]
    assert len(shown) == len(set(shown))
    said = collect()
    missing = [f"{place}: {sentence}" for sentence, place in said.items() if sentence not in shown]
    assert missing == [], "put them into docs/troubleshooting.md, each as the others are"
    assert set(shown) - set(said) == set(), "the program does not say this any more"
