"""The checkout: what can be run, and what its users' runs leave in it."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from digit_classification.config import Settings
from tests.documents import PAGES, README, ROOT, commands

# Options whose value is a file or a folder that a command writes.
WRITING = {
    "--export-to",
    "--metrics",
    "--model",
    "--output",
    "--report",
    "--save-normalized",
    "--sort-into",
}
SHOWN_TO_BE_WRITTEN = re.compile(r"> ([a-z_]+\.[a-z]+)`")  # `cat a.csv b.csv > all.csv`


def git(*arguments: str) -> list[str]:
    """Return the lines that git prints; the test is skipped where this is no checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout of git")
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not done.stderr
    return done.stdout.splitlines()


def documented_outputs() -> set[str]:
    """Return what the commands of the README and the docs write below the folder they run in."""
    outputs = {str(Settings().model.path), Settings().database.url.removeprefix("sqlite:///")}
    for page in [README, *PAGES]:
        text = page.read_text(encoding="utf-8")
        outputs |= set(SHOWN_TO_BE_WRITTEN.findall(text)) - {"config.yaml"}
        for command, _ in commands(text):
            words = shlex.split(command)
            outputs |= {after for word, after in itertools.pairwise(words) if word in WRITING}
            for word in words:
                scheme, colon, rest = word.partition(":")
                if colon and scheme in ("sqlite", "parquet"):
                    outputs.add(rest.removeprefix("///"))
    return {name for name in outputs if "://" not in name}


def test_git_ignores_what_the_documented_commands_write() -> None:
    outputs = documented_outputs()
    assert {"digits.csv", "review.html", "sorted", "report", "digit_classification.db"} <= outputs
    # A name that is not there yet may become a folder.
    asked = [f"{name}/" if not Path(name).suffix else name for name in sorted(outputs)]
    left_in = set(asked) - set(git("check-ignore", "--no-index", *asked))
    assert left_in == set()


def test_git_ignores_nothing_of_the_project() -> None:
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard") == []
    folders = {os.path.dirname(name) for name in git("ls-files")}
    new = [os.path.join(folder, f"new{suffix}") for folder in folders for suffix in (".py", ".md")]
    assert git("check-ignore", "--no-index", *new) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permission")
def test_what_begins_with_a_shebang_can_be_run() -> None:
    files = [ROOT / name for name in git("ls-files", "*.py", ".ci/run")]
    scripts = [file for file in files if file.read_bytes().startswith(b"#!")]
    assert ROOT / "digit_classification_detector.py" in scripts
    assert [file.name for file in scripts if not os.access(file, os.X_OK)] == []
    assert [file.name for file in files if os.access(file, os.X_OK) and file not in scripts] == []
