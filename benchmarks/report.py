#!/usr/bin/env python3
"""Measure the review page of a run in headless Chromium: how soon it opens, how it scrolls.

    python benchmarks/report.py
    python benchmarks/report.py --model digit_classification.keras --markdown benchmarks/README.md

It needs a trained model, Chromium and its driver (Debian: apt-get install chromium
chromium-driver).  How each figure is measured is said in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from rich.console import Console
from selenium import webdriver

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

import digit_classification_detector as detector  # noqa: E402
from benchmarks.accuracy import write_markdown  # noqa: E402
from benchmarks.browser import HOW_TO_GET_ONE, find_chromium, open_browser  # noqa: E402
from digit_classification.cli.terminal import make_console  # noqa: E402
from digit_classification.parallel import default_workers  # noqa: E402
from samples import draw_samples as draw  # noqa: E402

MNIST = ROOT / "dataset" / "mnist-test.zip"
PICTURES = 10_000
OPENED = 5  # times
START, END = "<!-- review page: written by benchmarks/report.py -->", "<!-- end of review page -->"

# Wait until the pictures in view are decoded: only then is the page there for its user.
PICTURES_READY = """
const done = arguments[0];
const urls = new Set([...document.querySelectorAll('.card .frame i')]
  .map((element) => element.style.backgroundImage.slice(5, -2)));
const decode = (url) => Object.assign(new Image(), {src: url}).decode();
Promise.all([...urls].map(decode)).then(
  () => requestAnimationFrame(() => requestAnimationFrame(() => done(urls.size))));
"""
# From top to bottom, a window's height each frame; returns how long each frame took.
SCROLL = """
const done = arguments[0];
const frames = [];
let last = performance.now();
const step = () => {
  const now = performance.now();
  frames.push(now - last);
  last = now;
  const before = scrollY;
  scrollBy(0, innerHeight);
  if (scrollY > before) requestAnimationFrame(step);
  else done(frames.slice(1));
};
requestAnimationFrame(step);
"""


@dataclass(frozen=True)
class Row:
    """What was measured of one set of pictures."""

    name: str
    megabytes: float
    opened: list[float]  # seconds, of each time
    frames: list[float]  # milliseconds, of all frames while scrolling
    seconds_without: float  # of the detector, without and with the page
    seconds_with: float


def draw_photos(folder: Path, count: int) -> Path:
    """Draw `count` digits as a phone would see them, 320×240 JPEGs, all different."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    size = (320, 240)
    for number in range(count):
        sheet = draw.paper(size, (226, 222, 212), rng)
        ink = draw.handwriting(str(number % 10), size, rng, pen=rng.uniform(0.05, 0.1))
        written = draw.shade(draw.write(sheet, ink, (40, 45, 90)), 0.6, rng.uniform(0, 6))
        draw.photo(written, 0.8, rng).save(folder / f"{number:05}.jpg", quality=85)
    return folder


def measure(name: str, path: Path, model: Path, folder: Path) -> Row:
    """Read the pictures at `path` without and with a page, then open and scroll the page."""
    page = folder / f"{name.partition(' ')[0]}.html"
    common = [str(path), "--model", str(model), "--database", "none", "--quiet"]
    without = _seconds(common)
    with_page = _seconds([*common, "--report", str(page)])
    found = find_chromium()
    assert found is not None  # main has looked
    with open_browser(*found) as browser:
        browser.set_script_timeout(300)
        opened = [_open(browser, page) for _ in range(OPENED)]
        frames: list[float] = browser.execute_async_script(SCROLL)
    return Row(name, page.stat().st_size / 1e6, opened, frames, without, with_page)


def _seconds(arguments: list[str]) -> float:
    begin = time.perf_counter()
    if detector.main(arguments) not in (0, 1):
        raise SystemExit(2)  # the detector has said why
    return time.perf_counter() - begin


def _open(browser: webdriver.Chrome, page: Path) -> float:
    """Return the seconds from the start of loading until the pictures in view are decoded."""
    browser.get("about:blank")
    begin = time.perf_counter()
    browser.get(page.as_uri())
    browser.execute_async_script(PICTURES_READY)
    return time.perf_counter() - begin


def as_markdown(rows: Sequence[Row], chromium: str) -> str:
    """Return the table, with what it was measured on above it."""
    columns = (
        "page",
        f"opens (median; slowest of {OPENED})",
        "frames while scrolling (median; slowest)",
        "run without the page",
        "with it",
    )
    lines = [
        f"{date.today()}, {platform.system()} {platform.machine()}, {default_workers()} cores, "
        f"Python {platform.python_version()}, Chromium {chromium} headless, without a GPU.",
        "",
        f"| pictures | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    for row in rows:
        cells = (
            f"{row.megabytes:.1f} MB",
            f"{np.median(row.opened):.2f} s; {max(row.opened):.2f} s",
            f"{np.median(row.frames):.0f} ms; {max(row.frames):.0f} ms of {len(row.frames)}",
            f"{row.seconds_without:.1f} s",
            f"{row.seconds_with:.1f} s",
        )
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure the review page of a run in headless Chromium.",
        epilog="example:\n  %(prog)s --markdown benchmarks/README.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=ROOT / "digit_classification.keras",
        metavar="FILE",
        help="the model to read with (default: %(default)s)",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=PICTURES,
        metavar="N",
        help="how many photos to draw (default: %(default)s)",
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="also write the table to FILE, between its marks for the review page",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    arguments = build_parser().parse_args(argv)
    messages = make_console(stderr=True)
    found = find_chromium()
    if found is None:
        messages.print(f"Error: there is no Chromium with its driver: {HOW_TO_GET_ONE}.")
        return 2
    with open_browser(*found) as browser:
        version = str(browser.capabilities["browserVersion"])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        messages.print(f"drawing {arguments.pictures:,} photos")
        photos = draw_photos(Path(folder) / "photos", arguments.pictures)
        for name, path in (
            ("MNIST's test set, 10,000 of 28×28", MNIST),
            (f"photos, {arguments.pictures:,} of 320×240", photos),
        ):
            messages.print(f"measuring {name}")
            rows.append(measure(name, path, arguments.model, Path(folder)))
    table = as_markdown(rows, version)
    if arguments.markdown:
        write_markdown(arguments.markdown, table, START, END)
    Console(highlight=False, markup=False, soft_wrap=True).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
