"""The review page of numbers: boxes over each picture, and a number that is corrected whole."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from digit_classification.detection.truth import read_truth
from digit_classification.pictures.prepare import Prepared
from digit_classification.pictures.sources import Source
from digit_classification.reports.review import About, Review
from digit_classification.results.records import Result, StoredDigit
from digit_classification.training.corrections import read_corrections
from tests.drawing import draw_digit
from tests.reports.test_review import (  # the fixtures are taken by name
    ABOUT,
    Elements,
    browser,
    current,
    data_of,
    desk,
    downloaded,
    press,
)

__all__ = ["browser", "desk"]
NUMBERS = replace(ABOUT, numbers=True)
TEN = (0.1,) * 10


def sign_image(text: str) -> np.ndarray:
    """What the network saw of a digit; of each digit something else."""
    return np.arange(784, dtype=np.uint8).reshape(28, 28) + np.uint8(int(text))


def number(path: str, text: str | None, *shares: float) -> tuple[Result, Prepared]:
    """A number with its picture, as the detector hands them on; its signs stand side by side."""
    sha256 = hashlib.sha256(path.encode()).hexdigest()
    stream = io.BytesIO()
    page = np.concatenate([draw_digit(digit, 1) for digit in (4, 7)], axis=1)
    Image.fromarray(page).convert("RGB").save(stream, "WEBP", lossless=True)
    picture = Prepared(Source(path, path), sha256, thumbnail=stream.getvalue())
    if text is None:
        return Result(path, "rejected", reason="found 3 lines", image_sha256=sha256), picture
    signs = tuple(
        StoredDigit(
            *(place, sign, 0.25 * place, 0.25, 0.2, 0.5, share),
            TEN if sign.isdecimal() else None,
        )
        for place, (sign, share) in enumerate(zip(text, shares, strict=True), 1)
    )
    picture.signs = tuple(sign_image(sign) if sign.isdecimal() else None for sign in text)
    sure = float(np.prod(shares))
    status: Any = "ok" if sure >= (NUMBERS.min_confidence or 0) else "uncertain"
    reason = None if status == "ok" else "in doubt: 7 in place 2 (50.0%)"
    digit = int(text) if text in "0123456789" else None
    return Result(path, status, digit, sure, reason, None, sha256, None, text, signs), picture


PICTURES = [
    number("scans/47.png", "47", 0.9, 0.5),
    number("scans/minus.png", "-12", 0.99, 0.98, 0.97),
    number("scans/7.png", "7", 0.99),
    number("scans/lines.png", None),
    (
        Result("scans/none.png", "error", reason="truncated PNG"),
        Prepared(Source("scans/none.png", "scans/none.png"), error="truncated PNG"),
    ),
]


def write_page(path: Path, about: About = NUMBERS) -> Path:
    with Review.open(path) as page:
        for result, picture in PICTURES:
            page.add([result], [picture])
        page.write(about)
    return path


def test_what_the_page_holds_of_numbers(tmp_path: Path) -> None:
    path = write_page(tmp_path / "r.html", replace(NUMBERS, labels={"scans/47.png": "41"}))
    data = data_of(str(path))
    assert [(item[0], item[2]) for item in data["items"]] == [
        ("scans/47.png", "47"),
        ("scans/lines.png", None),
        ("scans/none.png", None),
        ("scans/minus.png", "-12"),
        ("scans/7.png", "7"),
    ]
    assert data["digits"] == [0, 1, 2, 0, 0, 0, 0, 0, 0, 0]  # by length
    first = data["items"][0]
    assert first[8:] == ["41", [["4", 0.25, 0.25, 0.2, 0.5, 0.9], ["7", 0.5, 0.25, 0.2, 0.5, 0.5]]]
    (sheet,) = map(
        json.loads, Elements(path.read_text("utf-8")).texts("script", **{"class": "sheet"})
    )
    assert [len(signs) for signs in sheet["signs"]] == [2, 0, 0, 3, 1]
    assert sheet["signs"][3][0] is None  # a minus is nothing that the network saw
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet["signs"][3][2]))))
    assert np.array_equal(seen, sign_image("2"))


def test_boxes_lie_over_the_picture(browser: webdriver.Chrome, tmp_path: Path) -> None:
    browser.get(write_page(tmp_path / "r.html").as_uri())
    assert browser.title == "Numbers in scans"
    card = browser.find_element(By.CSS_SELECTOR, '.card[title="scans/47.png"]')
    places = browser.execute_script(
        """const [picture] = arguments[0].querySelectorAll(".frame i");
        const all = picture.getBoundingClientRect();
        return [...picture.children].map((box) => {
          const { left, top, width, height } = box.getBoundingClientRect();
          return [(left + 2 - all.left) / all.width, (top + 2 - all.top) / all.height,
            (width - 4) / all.width, (height - 4) / all.height, box.className];
        });""",
        card,
    )
    assert [place[:4] for place in places] == [
        pytest.approx([0.25, 0.25, 0.2, 0.5], abs=0.02),
        pytest.approx([0.5, 0.25, 0.2, 0.5], abs=0.02),
    ]
    assert [place[4] for place in places] == ["", "doubtful"]
    strip = browser.find_element(By.ID, "signs")
    assert strip.text.split() == ["4", "90.0", "%", "7", "50.0", "%"]
    assert len(strip.find_elements(By.TAG_NAME, "img")) == 2


def test_a_number_is_corrected_whole_and_its_digits_are_learned(
    desk: tuple[webdriver.Chrome, Path], browser: webdriver.Chrome, tmp_path: Path
) -> None:
    browser.get(write_page(tmp_path / "r.html").as_uri())
    assert current(browser) == "scans/47.png"
    press(browser, "4", "1", Keys.ENTER)  # as many signs as were read
    assert current(browser) == "scans/lines.png"
    press(browser, "1", "2", Keys.ENTER)  # of which no sign was read
    assert current(browser) == "scans/minus.png"  # past what is no picture
    field = browser.find_element(By.ID, "number")
    press(browser, Keys.ENTER)
    assert field.get_attribute("value") == "-12"
    press(browser, Keys.ENTER)  # confirmed
    assert current(browser) == "scans/7.png"
    press(browser, "7", "x", Keys.ENTER)  # no number: nothing happens
    assert current(browser) == "scans/7.png"
    press(browser, Keys.BACKSPACE, "0", Keys.ENTER)  # more signs than were read
    words = {
        card.get_attribute("title"): card.find_element(By.CLASS_NAME, "read").text
        for card in browser.find_elements(By.CSS_SELECTOR, ".card")
        if card.find_elements(By.CLASS_NAME, "read")
    }
    assert words == {
        "scans/47.png": "4741",  # the first is struck out
        "scans/lines.png": "12",
        "scans/minus.png": "-12",
        "scans/7.png": "770",
    }
    file = downloaded(desk)
    rows = [*csv.DictReader(io.StringIO(file.read_text()))]
    assert [(row["path"], row["digit"], row["number"], row["place"]) for row in rows] == [
        ("scans/47.png", "4", "41", "1"),
        ("scans/47.png", "1", "41", "2"),
        ("scans/lines.png", "", "12", ""),
        ("scans/minus.png", "1", "-12", "2"),
        ("scans/minus.png", "2", "-12", "3"),
        ("scans/7.png", "", "70", ""),
    ]
    # The trainer learns what was seen in each box, without the pictures.
    learned = read_corrections(file)
    assert learned.labels.tolist() == [4, 1, 1, 2]
    expected = [sign_image(sign) for sign in "4712"]
    assert np.array_equal(learned.digits, expected)
    assert [path for path, _ in learned.findings.left_out] == ["scans/lines.png", "scans/7.png"]
    # And the same file says what the numbers are.
    known = {answer.path: answer.label for answer in read_truth(file, numbers=True).answers}
    assert known == {
        "scans/47.png": "41",
        "scans/lines.png": "12",
        "scans/minus.png": "-12",
        "scans/7.png": "70",
    }


def test_the_filter_is_by_length(browser: webdriver.Chrome, tmp_path: Path) -> None:
    browser.get(write_page(tmp_path / "r.html").as_uri())
    names = [each.text for each in browser.find_elements(By.CSS_SELECTOR, "#digits button")]
    assert names == ["Any", *"12345678", "9+"]
    browser.find_elements(By.CSS_SELECTOR, "#digits button")[2].click()
    shown = {card.get_attribute("title") for card in browser.find_elements(By.CLASS_NAME, "card")}
    assert shown == {"scans/47.png", "scans/minus.png"}
