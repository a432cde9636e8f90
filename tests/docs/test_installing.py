"""What is installed: the versions, the package, and the model that comes along."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from digit_classification.commands.train.options import TRAINING_PACKAGES
from digit_classification.network.default_model import DEFAULT_MODEL
from digit_classification.network.model_file import load_model
from digit_classification.pictures import images
from tests.documents import ROOT, SCRIPTS

PARTS = (
    "requirements-detector.txt",
    "requirements-mysql.txt",
    "requirements-formats.txt",
    "requirements-train.txt",
)
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def lines(name: str) -> list[str]:
    """Return the lines of a file of requirements without their comments."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for raw in text.splitlines() if (line := re.sub(r"(^|\s+)#.*", "", raw))]


def versions(requirements: list[str], python: str) -> dict[str, str]:
    """Return the version of each package that this Python gets."""
    found: dict[str, str] = {}
    environment = {"python_version": python, "python_full_version": f"{python}.1"}
    for each in map(Requirement, requirements):
        if each.marker is None or Marker(str(each.marker)).evaluate(environment):
            assert each.name.lower() not in found
            found[each.name.lower()] = str(each.specifier)
    return found


def test_the_whole_is_its_parts_and_every_version_is_exact() -> None:
    assert lines("requirements.txt") == [f"-r {name}" for name in PARTS]
    for name in PARTS:
        for each in map(Requirement, lines(name)):
            assert re.fullmatch(r"==\d+(\.\d+)+", str(each.specifier)), each


def test_reading_needs_no_package_of_training() -> None:
    reading = set(versions(lines("requirements-detector.txt"), "3.12"))
    training = set(versions(lines("requirements-train.txt"), "3.12"))
    assert reading & training == set()
    assert {"scikit-learn" if name == "sklearn" else name for name in TRAINING_PACKAGES} == training


def locked(name: str) -> Iterator[tuple[str, int]]:
    """Yield each requirement of a file with hashes, and the number of those."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for block in re.findall(r"^(?=[a-z]).*(?:\n    .*)*", text, re.MULTILINE | re.IGNORECASE):
        requirement = block.splitlines()[0].rstrip(" \\")
        yield requirement, len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", ["requirements", "requirements-detector"])
def test_the_versions_with_hashes_are_those_without(name: str, python: str) -> None:
    pairs = list(locked(f"{name}.lock"))
    assert all(hashes for _, hashes in pairs)
    parts = PARTS if name == "requirements" else PARTS[:1]
    pinned = versions([line for part in parts for line in lines(part)], python)
    with_hashes = versions([requirement for requirement, _ in pairs], python)
    assert pinned.items() <= with_hashes.items(), "write them again: make lock"


# ------------------------------------------------------------------- the model that comes along


def test_the_model_that_comes_along_is_the_one_that_its_page_describes() -> None:
    folder = DEFAULT_MODEL.parent
    checksum = hashlib.sha256(DEFAULT_MODEL.read_bytes()).hexdigest()
    assert (folder / "SHA256SUMS").read_text() == f"{checksum}  {DEFAULT_MODEL.name}\n"
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert f"`{checksum}`" in page
    model = load_model(DEFAULT_MODEL)
    assert model.card is not None
    assert model.card == json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert model.card["preparation"] == images.PREPARATION
    assert f"{model.card['test']['accuracy']:.2%} of 10,000 images" in page
    assert model.judge is not None
    assert DEFAULT_MODEL.stat().st_size < 8e6
    assert not re.search(r"/(home|root|work|Users)/", json.dumps(model.card))


# What a machine that was installed for reading alone does not have.
WITHOUT = (*TRAINING_PACKAGES, "mysql", "pypdfium2", "pillow_heif", "psutil", "packaging")
READING = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({without!r}))
import digit_classification, digit_classification_model_trainer
for module in pkgutil.walk_packages(digit_classification.__path__, "digit_classification."):
    importlib.import_module(module.name)
import digit_classification_detector as detector
sys.exit(detector.main({arguments!r}))
"""


def test_reading_works_with_its_own_requirements_alone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"  # beside which no `make demo` has trained a model
    shutil.copytree(ROOT / "digit_classification", clone / "digit_classification")
    for name in (*SCRIPTS, "config.yaml"):
        shutil.copy(ROOT / name, clone)
    arguments = [str(ROOT / "samples"), "--format", "csv", "--quiet"]
    arguments += ["--report", "review.html", "--sort-into", "sorted"]
    done = subprocess.run(
        [sys.executable, "-c", READING.format(without=WITHOUT, arguments=arguments)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(clone)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr  # some show no digit
    read = [line.split(",")[:2] for line in done.stdout.splitlines()[1:]]
    expected = (ROOT / "samples/expected.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [f"{Path(path).name},{digit or 'none'}" for path, digit in read] == expected
    assert (tmp_path / "review.html").stat().st_size > 10_000
    assert "reading with the one that comes with the program." in done.stderr


def test_the_trainer_says_what_is_not_installed(tmp_path: Path) -> None:
    script = "digit_classification_model_trainer.py"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, importlib.util as util; find = util.find_spec;"
            "util.find_spec = lambda name: None if name == 'tensorflow' else find(name);"
            f"import digit_classification_model_trainer as trainer; sys.argv = [{script!r}];"
            "trainer.main()",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        2,
        f"{script}: error: training needs tensorflow, which is not installed: pip install -r "
        "requirements.txt\n",
    )
