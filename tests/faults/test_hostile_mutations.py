"""Thousands of strangers' files, mutated: none may crash, hang, or fill the memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.documents import ROOT
from tests.faults.hostile import HANG_S

SOAK = bool(os.environ.get("DIGITS_TEST_SOAK"))
MAX_MIB = 1000
# kind: how many in `make test-faults`, how many in `make soak`
COUNTS = {
    "images": (400, 20_000),
    "documents": (30, 1_000),
    "zips": (150, 3_000),
    "models": (150, 3_000),
    "foreign": (6, 600),
}


@pytest.mark.parametrize("kind", COUNTS)
def test_mutated_files(kind: str, record_property: Callable[[str, object], None]) -> None:
    count = COUNTS[kind][SOAK]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.hostile", kind, "0", str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + count * HANG_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]  # the last seed, and what happened to it
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["read"] + found["refused"] == count
    assert found["refused"] > count / 10  # else the mutations would be too mild to mean anything
    assert found["read"] > 0
    assert found["peak_mib"] is None or found["peak_mib"] < MAX_MIB
    record_property(
        "hostile",
        f"{count:,} mutated {kind}: 0 crashes, 0 hangs, {found['read']:,} read, "
        f"{found['refused']:,} refused, the slowest {found['slowest_s']} s, "
        f"{found['peak_mib']} MiB at most",
    )
