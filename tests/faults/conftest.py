"""What the tests of faults say at the end: how much they tried."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the tests recorded as `hostile`."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "hostile":
                terminalreporter.write_line(text)
