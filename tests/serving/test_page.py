"""The page of --serve in a real browser: drawn on, dropped on, and operated by keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.browser import open_browser
from digit_classification.results.database import ResultsDatabase
from tests.documents import ROOT
from tests.serving.running import Server, running

SEVEN = [(0.3, 0.25), (0.45, 0.24), (0.68, 0.23), (0.6, 0.4), (0.52, 0.56), (0.45, 0.82)]
WAIT = 30  # seconds


@pytest.fixture(scope="module")
def served(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server that stores, and the URL of its database."""
    folder = tmp_path_factory.mktemp("served")
    url = f"sqlite:///{folder / 'drawn.db'}"
    with running(trained, folder, "--database", url) as server:
        yield server, url


@pytest.fixture
def browser(chromium: tuple[str, str], served: tuple[Server, str]) -> Iterator[webdriver.Chrome]:
    """A browser at the page; whatever it complains of fails the test."""
    with open_browser(*chromium, width=1180, height=1000) as browser:
        browser.get(served[0].url)
        yield browser
        log: list[Any] = browser.get_log("browser")  # type: ignore[no-untyped-call]
        assert log == []


def element(browser: webdriver.Chrome, id_: str) -> Any:
    return browser.find_element(By.ID, id_)


def draw(browser: webdriver.Chrome, points: Sequence[tuple[float, float]]) -> None:
    pad = element(browser, "pad")
    width, height = pad.size["width"], pad.size["height"]
    hand = ActionChains(browser, duration=0)
    for number, (x, y) in enumerate(points):
        hand.move_to_element_with_offset(pad, round((x - 0.5) * width), round((y - 0.5) * height))
        if number == 0:
            hand.click_and_hold()
    hand.release().perform()


def wait_for(browser: webdriver.Chrome, id_: str, text: str) -> None:
    WebDriverWait(browser, WAIT).until(
        lambda _: element(browser, id_).text == text, f"{id_} does not become {text!r}"
    )


def rows(url: str) -> list[tuple[str, str | None]]:
    with ResultsDatabase.open(url, read_only=True) as database:
        return [
            (row.path or "", row.as_result().text)
            for row in database.rows(database.runs()[0].info.id)
        ]


def test_a_drawing_is_read_shown_and_stored_when_that_is_wanted(
    browser: webdriver.Chrome, served: tuple[Server, str]
) -> None:
    before = rows(served[1])
    assert not element(browser, "reading").is_displayed()
    draw(browser, SEVEN)
    wait_for(browser, "text", "7")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#bars .bar")) == 10
    assert browser.find_element(By.CSS_SELECTOR, "#bars .best b").text == "7"
    ink = browser.execute_script(
        "const {data} = digit.getContext('2d').getImageData(0, 0, 28, 28);"
        "return data.filter((value, i) => i % 4 == 0 && value > 128).length"
    )
    assert 20 < ink < 200
    assert element(browser, "row-title").text == "What would be stored"
    assert rows(served[1]) == before, "to look at a reading is not to store it"
    element(browser, "store").click()
    wait_for(browser, "count", "1")
    assert element(browser, "row-title").text.startswith("Stored in run ")
    (stored,) = rows(served[1])[len(before) :]
    assert stored[0].endswith("/drawing.png")
    assert stored[1] == "7"
    assert element(browser, "invitation").is_displayed(), "the pad is free for the next"


def test_pictures_are_read_and_listed(
    browser: webdriver.Chrome, served: tuple[Server, str]
) -> None:
    names = ["2-form-box.jpg", "blank-page.jpg", "not-an-image.png"]
    element(browser, "files").send_keys("\n".join(str(ROOT / "samples" / name) for name in names))
    wait_for(browser, "count", "3")
    cards = browser.find_elements(By.CSS_SELECTOR, "#cards button")
    assert [card.get_attribute("data-status") for card in cards] == ["error", "rejected", "ok"]
    assert "blank image" in cards[1].text
    cards[2].click()
    wait_for(browser, "text", "2")
    assert element(browser, "name").text == names[0]
    WebDriverWait(browser, WAIT).until(
        lambda _: len(browser.find_elements(By.CSS_SELECTOR, "#boxes i")) == 1
    )
    assert [text for _, text in rows(served[1])[-3:]] == ["2", None, None]


def test_a_number_is_read_sign_by_sign(browser: webdriver.Chrome) -> None:
    browser.find_element(By.CSS_SELECTOR, '#reads [data-read="number"]').click()
    for left in (0.1, 0.4):
        draw(browser, [(left + 0.3 * x, y) for x, y in SEVEN])
    wait_for(browser, "text", "77")
    signs = browser.find_elements(By.CSS_SELECTOR, "#signs button")
    assert [sign.text[0] for sign in signs] == ["7", "7"]
    signs[1].click()
    assert element(browser, "bars-title").text == "Probability of each digit in %, place 2"


def test_keys_draw_undo_and_clear(browser: webdriver.Chrome) -> None:
    pad = element(browser, "pad")
    pad.send_keys(Keys.SPACE, *[Keys.ARROW_DOWN] * 16, Keys.SPACE)
    wait_for(browser, "text", "1")
    assert element(browser, "undo").is_enabled()
    pad.send_keys(Keys.CONTROL, "z")
    WebDriverWait(browser, WAIT).until(lambda _: not element(browser, "reading").is_displayed())
    draw(browser, SEVEN)
    wait_for(browser, "text", "7")
    pad.send_keys(Keys.ESCAPE)
    assert not element(browser, "clear").is_enabled()


def test_a_phone_shows_all_of_its_width(
    chromium: tuple[str, str], served: tuple[Server, str]
) -> None:
    with open_browser(*chromium, width=360, height=800, dark=True, phone=True) as browser:
        browser.get(served[0].url)
        draw(browser, SEVEN)
        wait_for(browser, "text", "7")
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide == 360


def test_a_server_that_is_gone_is_said(
    chromium: tuple[str, str], trained: Path, tmp_path: Path
) -> None:
    with open_browser(*chromium) as browser:
        with running(trained, tmp_path) as server:
            browser.get(server.url)
            server.stop()
        draw(browser, SEVEN)
        wait_for(browser, "said", "The server does not answer: start it again.")
