"""The pages of documentation, taken apart so that their examples can be tried."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(text: str, language: str) -> list[str]:
    """Return the contents of the fenced blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[tuple[str, str]]:
    """Return the commands of the console blocks, each with the output shown below it."""
    found = []
    for block in blocks(text, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", " ").partition("\n")
            found.append((command, output))
    return found


SCRIPTS = ("digit_classification_detector.py", "digit_classification_model_trainer.py")


def run(command: str) -> tuple[int, str]:
    """Run a command of a page; return its exit code, and what a terminal would show."""
    python, *words = shlex.split(command)
    if python == "python" and words[0] in SCRIPTS and not re.search("[|;<>]", command):
        # In this process, which has imported TensorFlow already.
        script, shown = importlib.import_module(Path(words[0]).stem), io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            code = script.main(words[1:])
        return code, shown.getvalue()
    this_python = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}\n'
    done = subprocess.run(
        ["sh", "-c", this_python + command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


# What differs between machines, hours and models that have learned enough.
VARIABLE = (
    (r"\brun \d{8}-\d{6}-\w+", "run ID"),
    (r"\d{4}-\d\d-\d\dT[\d:+]+", "TIME"),
    (r"\b\d+(\.\d+)? (s|a second|MB)\b", r"N \2"),
    (r"\b\d+\.\d+%", "N%"),  # confidence or accuracy
    (r" \(\d+% to \d+%\)(?= of [\d,]+ images)", ""),  # of few test images
    (r", \d N%", ", D N%"),  # --top-k: which digits are the runners-up
    (r",[01]\.\d{6},", ",N,"),  # confidence in CSV
    (r"of [\d,]+ images, loss \d+\.\d+", "of N images, loss N"),
)


# Digits that only a model with the default training reads as shown: a page may say so.
READINGS = ((r"(?m)^ +\d +\d+ *$", "D N"), (r"(?m)^uncertain: \d+$", ""))


def masked(text: str, *, readings: bool = True) -> list[str]:
    """What of an output stays the same on every machine, line by line.

    Digits that were read, counts and statuses stay; times, rates, confidences and the names of
    runs do not, nor does the set that a training was tested on: the tests have one of their own.
    Without `readings`, the table of digits read and the number of uncertain ones go, too.
    """
    for pattern, mask in VARIABLE if readings else (*VARIABLE, *READINGS):
        text = re.sub(pattern, mask, text)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("───")]


def flags(parser: argparse.ArgumentParser) -> set[str]:
    return {
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    }


def named_flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


def anchors(text: str) -> set[str]:
    """Return what links into a page can name: its headings, as GitHub writes them."""
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", without_blocks, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
