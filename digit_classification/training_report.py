from __future__ import annotations

from pathlib import Path


def check_report(folder: Path) -> None: ...
def write_report(folder: Path) -> None: ...
