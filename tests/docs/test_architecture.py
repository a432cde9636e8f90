"""docs/architecture.md describes the code as it is."""

from __future__ import annotations

import ast
import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.documents import ROOT

PACKAGE = ROOT / "digit_classification"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(ROOT.glob("digit_classification_*.py"))
DRAWING = runpy.run_path(str(ROOT / "docs/draw_architecture.py"))


def named() -> Iterator[tuple[str, str]]:
    """Yield each name in backquotes with the file that was named before it in its line or step."""
    for paragraph in re.split(r"\n(?=\d\. |\||\n)", PAGE):
        file = None
        for word in re.findall(r"`([^`\n]+)`", paragraph):
            if word.endswith(".py"):
                file = word
            elif file is not None and re.fullmatch(r"[A-Za-z_]+(\.[a-z_]+)?", word):
                yield file, word


def path_of(file: str) -> Path:
    return ROOT / file if (ROOT / file).exists() else PACKAGE / file


def names_in(code: ast.AST, before: str = "") -> Iterator[str]:
    """Yield what a module defines: functions, classes, their methods and fields, constants."""
    for node in ast.iter_child_nodes(code):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield before + node.name
            yield node.name
            if isinstance(node, ast.ClassDef):
                yield from names_in(node, f"{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_each_file_that_the_page_names_is_there() -> None:
    files = set(re.findall(r"`([a-z_/]+\.py)`", PAGE))
    assert len(files) > 20
    assert [file for file in sorted(files) if not path_of(file).is_file()] == []


def test_each_name_is_defined_in_the_file_that_it_is_said_to_be_in() -> None:
    places = sorted(set(named()))
    assert len(places) > 30
    elsewhere = {"Result"}  # of results/records.py, mentioned wherever one is made
    missing = [
        (file, name)
        for file, name in places
        if name not in elsewhere
        and name not in set(names_in(ast.parse(path_of(file).read_text(encoding="utf-8"))))
    ]
    assert missing == []


def test_each_room_has_its_line() -> None:
    table = re.findall(r"^\| `([a-z]+)/` \|", PAGE, re.MULTILINE)
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert set(table) == folders - {"cli", "parallel"}  # of the ground
    ground = next(line for line in PAGE.splitlines() if line.startswith("| the ground |"))
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert modules | {"cli/"} <= set(re.findall(r"`([a-z_/]+)`", ground))


def test_the_picture_is_of_the_imports_as_they_are() -> None:
    with Image.open(ROOT / "docs/architecture.png") as picture:
        drawn = json.loads(picture.info["Description"])
    found = {"rooms": DRAWING["find_rooms"](), "imports": DRAWING["find_imports"]()}
    assert drawn == found, "draw it again: python docs/draw_architecture.py"


def test_no_arrow_goes_up() -> None:
    order = DRAWING["ROOMS"]
    arrows = [arrow.split(" -> ") for arrow in DRAWING["find_imports"]()]
    assert [arrow for arrow in arrows if order.index(arrow[0]) > order.index(arrow[1])] == []


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda f: f.name)
def test_a_folder_holds_ten_modules_at_most(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if path.stem != "__init__"]) <= 10


def test_no_module_is_longer_than_one_sitting() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert [str(path.relative_to(PACKAGE)) for path in MODULES if lines[path] > 400] == []
    assert [path.name for path in SCRIPTS if len(path.read_text().splitlines()) > 350] == []
