#!/usr/bin/env python3
"""Run the tests of faults in full, and make a table of what they did and found.

    python benchmarks/reliability.py --markdown benchmarks/reliability.md

Takes about 20 minutes.  Each test records its counts as properties in pytest's JUnit report: `what`
was done, how many `times`, over how many `images`, and the `damage` (lost, doubled, changed); or,
where strangers' files were tried, a sentence as `hostile`.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import mysql.connector

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.conftest import find_program  # noqa: E402
from tests.faults.conftest import SEED  # noqa: E402

START, END = "<!-- results: written by benchmarks/reliability.py -->", "<!-- end of results -->"


def run_tests(report: Path) -> int:
    """Run the tests at full length; return pytest's exit status."""
    words = ["-m", "pytest", "tests/faults", "-p", "no:cacheprovider"]
    words += ["-n", "2", "--dist", "loadfile"]
    words += [f"--junitxml={report}", "-o", "junit_family=xunit1"]  # the one with properties
    environment = {**os.environ, "DIGITS_TEST_SOAK": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, check=False
    ).returncode


def read_rows(report: Path) -> list[dict[str, str]]:
    """Return the properties of each test that recorded some."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    rows = [
        {str(each.get("name")): str(each.get("value")) for each in case.iter("property")}
        for case in cases
    ]
    return [row for row in rows if row]


def as_markdown(rows: Sequence[dict[str, str]], outcome: str) -> str:
    lines = [
        describe(outcome),
        "",
        "| disturbance | times | images | lost | doubled | changed |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in (row for row in rows if "what" in row):
        damage = ast.literal_eval(row["damage"])
        counts = [int(row["times"]), int(row["images"]), *damage.values()]
        lines.append(f"| {row['what']} | {' | '.join(f'{count:,}' for count in counts)} |")
    strangers = [f"- {row['hostile']}" for row in rows if "hostile" in row]
    if strangers:
        lines += ["", "Strangers' files, each made from a sound one by a few random changes:", ""]
    return "\n".join([*lines, *strangers]) + "\n"


def describe(outcome: str) -> str:
    """Return what was run, on what, with which versions and seed."""
    server = find_program("mariadbd", "mysqld")
    version = "no server"
    if server is not None:
        said = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
        version = said.stdout.split("Ver ")[-1].split()[0]
    return (
        f"{date.today()}, {platform.system()} {platform.machine()}, Python"
        f" {platform.python_version()}, SQLite {sqlite3.sqlite_version}, server {version},"
        f" mysql-connector-python {mysql.connector.__version__}; seed {SEED}; {outcome}."
    )


def count_outcomes(report: Path) -> str:
    """Return `27 tests passed, 0 failed, 1 skipped`."""
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    count = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    passed = count["tests"] - failed - count["skipped"]
    return f"{passed} tests passed, {failed} failed, {count['skipped']} skipped"


def write_markdown(path: Path, text: str) -> None:
    """Write the table to `path`, between the two marks if the file has them."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if START in old and END in old:
        before, rest = old.split(START, 1)
        text = f"{before}{START}\n\n{text}\n{END}{rest.split(END, 1)[1]}"
    path.write_text(text, encoding="utf-8")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run the tests of faults in full.")
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="also write the table to FILE, between its marks for results if it has them",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="make the table from this JUnit report only"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the tests and print the table; return the exit status of the tests."""
    arguments = build_parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="digits-soak-") as folder:
        report, status = arguments.report, 0
        if report is None:
            report = Path(folder) / "report.xml"
            status = run_tests(report)
        text = as_markdown(read_rows(report), count_outcomes(report))
    print(text)
    if arguments.markdown is not None:
        write_markdown(arguments.markdown, text)
    return status


if __name__ == "__main__":
    sys.exit(main())
