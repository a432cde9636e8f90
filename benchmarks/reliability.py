#!/usr/bin/env python3
"""Run the tests of faults in full, and make a table of what they did and found.

    python benchmarks/reliability.py --markdown benchmarks/reliability.md

Those that need a server run on the one that is installed, and then, with those of the store, on
Oracle's MySQL, if that can be had (tests/oracle_mysql.py).

Takes about 45 minutes.  Each test records its counts as properties in pytest's JUnit report: `what`
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

from tests import oracle_mysql  # noqa: E402
from tests.faults.conftest import SEED  # noqa: E402

START, END = "<!-- results: written by benchmarks/reliability.py -->", "<!-- end of results -->"


def run_on_servers(folder: Path) -> tuple[list[Path], int]:
    """Run the tests on the server that is installed, then on Oracle's MySQL.

    Returns the reports, and the worse of pytest's exit statuses.
    """
    reports = [folder / "report.xml", folder / "mysql.xml"]
    status = run_tests(reports[0], "tests/faults")
    try:
        program = oracle_mysql.fetch(folder / "mysql")
    except oracle_mysql.NotToBeHad as reason:
        print(f"Not tried on Oracle's MySQL: {reason}.", file=sys.stderr)
        return reports[:1], status
    os.environ["DIGITS_TEST_MYSQLD"] = str(program)
    selected = ("tests/faults", "tests/results", "-m", "server")
    return reports, max(status, run_tests(reports[1], *selected))


def run_tests(report: Path, *selected: str) -> int:
    """Run tests at full length; return pytest's exit status."""
    words = ["-m", "pytest", *selected, "-p", "no:cacheprovider"]
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
    return (
        f"{date.today()}, {platform.system()} {platform.machine()}, Python"
        f" {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" mysql-connector-python {mysql.connector.__version__}; seed {SEED}; {outcome}."
    )


def count_outcomes(reports: Sequence[Path]) -> str:
    """Return `27 tests passed, 0 failed, 1 skipped`."""
    suites = [next(ElementTree.parse(report).getroot().iter("testsuite")) for report in reports]
    count = {
        name: sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    }
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
        "--report",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="make the table from these JUnit reports only",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the tests and print the table; return the exit status of the tests."""
    arguments = build_parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="digits-soak-") as folder:
        reports, status = arguments.report, 0
        if reports is None:
            reports, status = run_on_servers(Path(folder))
        rows = [row for report in reports for row in read_rows(report)]
        text = as_markdown(rows, count_outcomes(reports))
    print(text)
    if arguments.markdown is not None:
        write_markdown(arguments.markdown, text)
    return status


if __name__ == "__main__":
    sys.exit(main())
