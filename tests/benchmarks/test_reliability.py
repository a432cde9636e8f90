"""The table of reliability, from a report of tests as pytest writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability import END, START, main

REPORT = """<?xml version="1.0"?>
<testsuites><testsuite tests="4" failures="1" errors="0" skipped="1">
<testcase name="kills"><properties>
<property name="what" value="kill -9, SQLite"/><property name="times" value="50"/>
<property name="images" value="40000"/>
<property name="damage" value="{'lost': 0, 'doubled': 1, 'changed': 2}"/>
</properties></testcase>
<testcase name="mutated"><properties>
<property name="hostile" value="3,000 mutated models: 0 crashes"/>
</properties></testcase>
<testcase name="plain"/>
</testsuite></testsuites>
"""


def test_the_table_has_each_count_and_what_strangers_files_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, page = tmp_path / "report.xml", tmp_path / "reliability.md"
    report.write_text(REPORT)
    page.write_text(f"# Before\n\n{START}\n\nold\n\n{END}\n\nAfter\n")
    assert main(["--report", str(report), "--markdown", str(page)]) == 0
    text = page.read_text()
    assert "2 tests passed, 1 failed, 1 skipped." in text
    assert "| kill -9, SQLite | 50 | 40,000 | 0 | 1 | 2 |\n" in text
    assert "\n- 3,000 mutated models: 0 crashes\n" in text
    assert text.startswith("# Before\n")
    assert text.endswith(f"{END}\n\nAfter\n")
    assert "old" not in text
    assert capsys.readouterr().out.strip() in text


def test_the_rows_of_a_second_server_follow_those_of_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "report.xml", tmp_path / "mysql.xml"
    first.write_text(REPORT)
    second.write_text(REPORT.replace("kill -9, SQLite", "kill -9, MySQL 9.7.4"))
    assert main(["--report", str(first), str(second)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("; 4 tests passed, 2 failed, 2 skipped.")
    assert [line.split(" | ")[0] for line in lines if "kill -9" in line] == [
        "| kill -9, SQLite",
        "| kill -9, MySQL 9.7.4",
    ]
