#!/usr/bin/env python3
"""Install only what reading needs into an empty environment, and read samples/ there.

    python benchmarks/installing.py
    python benchmarks/installing.py --python python3.12 --python python3.13
    python benchmarks/installing.py --package   # the project as a package, and its command

Done for each Python from 3.10 to 3.13 that is found: the running one, those on the PATH, and
pyenv's.  The exit code is 1 if a sample is read wrongly, or if the packages take too much room.
This script itself needs nothing but Python.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements-detector.txt"
DETECTOR = ROOT / "digit_classification_detector.py"
COMMAND = "digit-classification-detector"  # that a package makes of it
SAMPLES = ROOT / "samples"
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
LIMIT = 250  # MiB of packages, without what is there of Python anyway and without byte code
TOOLS = ("pip", "setuptools", "pkg_resources")  # what venv itself puts there


class InstallingError(Exception):
    """An environment cannot be made, or reads wrongly; the message is for the user."""


@dataclass(frozen=True)
class Installation:
    """What was measured in one environment: seconds, and MiB."""

    version: str
    install_s: float
    packages: float
    byte_code: float
    first_s: float  # from the command to the end of reading samples/

    def row(self) -> str:
        """Return these figures as a row of a Markdown table."""
        return (
            f"| {self.version} | {self.install_s:.0f} s | {self.packages:.0f} MB "
            f"| {self.byte_code:.0f} MB | {self.first_s:.1f} s |"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Try each Python; return the exit status."""
    arguments = build_parser().parse_args(argv)
    pythons = dict(map(_named, arguments.python) if arguments.python else find_pythons())
    print(f"{platform.system()} {platform.machine()}\n")
    print("| Python | to install | packages | byte code | to read samples/ |")
    print("| --- | ---: | ---: | ---: | ---: |")
    try:
        for version, python in pythons.items():
            installation = measure(version, python, package=arguments.package)
            print(installation.row(), flush=True)
            if installation.packages > LIMIT and not arguments.package:
                raise InstallingError(f"The packages take more than {LIMIT} MB.")
    except InstallingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description="Install what reading needs, and read samples/.")
    parser.add_argument(
        "--python", action="append", metavar="PROGRAM", help="a Python to try (default: all found)"
    )
    parser.add_argument(
        "--package",
        action="store_true",
        help="install the project itself, and run the command that this makes",
    )
    return parser


def find_pythons() -> Iterator[tuple[str, str]]:
    """Yield a version and a program for each Python that may run the detector."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found: dict[str, str] = {}
    candidates = [sys.executable, *(f"python{version}" for version in VERSIONS)]
    candidates += map(str, sorted(pyenv.glob("versions/3.*/bin/python")))
    for program in candidates:
        version, path = _named(program)
        if version in VERSIONS:
            found.setdefault(version, path)
    yield from sorted(found.items(), key=lambda each: VERSIONS.index(each[0]))


def _named(program: str) -> tuple[str, str]:
    """Return which version a program is, and its path; nothing for one that does not run."""
    path = shutil.which(program)
    if path is None:
        return "", program
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip(), path


def measure(version: str, python: str, *, package: bool) -> Installation:
    """Make an environment, install, read, and remove it again.

    Raises InstallingError if one of these fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        programs = environment / ("Scripts" if os.name == "nt" else "bin")
        inside = str(programs / "python")
        what = [str(_copy(folder))] if package else ["-r", str(REQUIREMENTS)]
        began = time.perf_counter()
        _run([python, "-m", "venv", str(environment)], folder)
        pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, *what], folder)
        installed = time.perf_counter() - began
        packages, byte_code = _sizes(inside, folder)
        began = time.perf_counter()
        detector = [str(programs / COMMAND)] if package else [inside, str(DETECTOR)]
        options = ["--database", "none", "--format", "csv", "--quiet"]
        read = _run([*detector, str(SAMPLES), *options], folder, codes=(1,))
        seconds = time.perf_counter() - began
    _check(read)
    return Installation(version, installed, packages, byte_code, seconds)


def _copy(folder: str) -> Path:
    """Return a copy of what the package is made of: building leaves files beside it."""
    copy = Path(folder) / "project"
    for name in ("digit_classification", "dataset"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    patterns = ("*.py", "*.toml", "*.in", "requirements*.txt", "README.md", "LICENSE")
    for file in [file for pattern in patterns for file in ROOT.glob(pattern)]:
        shutil.copy(file, copy)
    return copy


def _run(command: Sequence[str], folder: str, codes: Sequence[int] = (0,)) -> str:
    """Return what a command prints, with no setting of this project from outside."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DIGITS_", "PYTHON"))}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in codes:
        raise InstallingError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _sizes(python: str, folder: str) -> tuple[float, float]:
    """Return how many MiB of packages there are, and how many of their byte code."""
    code = "import sysconfig; print(sysconfig.get_path('platlib'))"
    site_packages = Path(_run([python, "-c", code], folder).strip())
    packages = byte_code = 0
    for file in site_packages.rglob("*"):
        if file.relative_to(site_packages).parts[0].startswith(TOOLS) or not file.is_file():
            continue
        if file.suffix == ".pyc":
            byte_code += file.stat().st_size
        else:
            packages += file.stat().st_size
    return packages / 2**20, byte_code / 2**20


def _check(read: str) -> None:
    """Raise InstallingError unless each sample is read as samples/expected.csv says."""
    digits = {Path(row["path"]).name: row["digit"] for row in csv.DictReader(read.splitlines())}
    with open(SAMPLES / "expected.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            expected, got = row["digit"].replace("none", ""), digits.get(row["path"])
            if got != expected:
                raise InstallingError(
                    f"{row['path']} was read as {got or 'none'}, not {row['digit']}."
                )


if __name__ == "__main__":
    sys.exit(main())
