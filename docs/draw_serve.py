"""Draw docs/serve.png: the page of --serve, on a screen and on a phone in the dark.

    python docs/draw_serve.py

It needs a trained model, Chromium and its driver.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from benchmarks.browser import HOW_TO_GET_ONE, find_chromium, open_browser  # noqa: E402
from docs.draw_review import GAP, GROUND, shoot  # noqa: E402

SCREEN, PHONE = (1120, 1000), (390, 1000)
# Strokes in shares of the pad: a four, and in a number a seven, a one and a four.
FOUR = [
    [(0.42, 0.2), (0.4, 0.3), (0.36, 0.42), (0.32, 0.54), (0.45, 0.55), (0.58, 0.54), (0.7, 0.53)],
    [(0.6, 0.36), (0.59, 0.5), (0.58, 0.65), (0.56, 0.82)],
]
SEVEN = [[(0.3, 0.22), (0.45, 0.21), (0.68, 0.2), (0.6, 0.38), (0.52, 0.56), (0.45, 0.82)]]
ONE = [[(0.42, 0.32), (0.54, 0.2), (0.53, 0.5), (0.52, 0.82)]]
NUMBER = [
    [(place + share * x, y) for x, y in stroke]
    for place, share, digit in ((0.08, 0.3, SEVEN), (0.34, 0.3, ONE), (0.6, 0.3, FOUR))
    for stroke in digit
]


def draw(browser: webdriver.Chrome, strokes: Sequence[Sequence[tuple[float, float]]]) -> None:
    """Draw on the pad with the mouse, and wait for the reading."""
    pad = browser.find_element(By.ID, "pad")
    width, height = pad.size["width"], pad.size["height"]
    for stroke in strokes:
        hand = ActionChains(browser, duration=0)
        for number, (x, y) in enumerate(stroke):
            hand.move_to_element_with_offset(
                pad, round((x - 0.5) * width), round((y - 0.5) * height)
            )
            if number == 0:
                hand.click_and_hold()
        hand.release().perform()
    WebDriverWait(browser, 10).until(lambda each: each.find_element(By.ID, "time").text)
    time.sleep(0.5)  # and until the reading of the last stroke is there


def main() -> None:
    found = find_chromium()
    if found is None:
        raise SystemExit(f"There is no Chromium with its driver: {HOW_TO_GET_ONE}.")
    server = subprocess.Popen(
        [sys.executable, "digit_classification_detector.py", "--serve", "0", "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with open_browser(*found, width=SCREEN[0], height=SCREEN[1]) as browser:
            browser.get(url)
            draw(browser, FOUR)
            screen = shoot(browser)
        with open_browser(
            *found, width=PHONE[0], height=PHONE[1], dark=True, phone=True
        ) as browser:
            browser.get(url)
            browser.find_element(By.CSS_SELECTOR, '[data-read="number"]').click()
            draw(browser, NUMBER)
            phone = shoot(browser).resize(PHONE, Image.Resampling.LANCZOS)
    finally:
        server.terminate()
        server.wait()
    both = Image.new("RGB", (screen.width + GAP + phone.width, screen.height), GROUND)
    both.paste(screen, (0, 0))
    both.paste(phone, (screen.width + GAP, 0))
    both.quantize(64, kmeans=2, dither=Image.Dither.NONE).save(
        ROOT / "docs/serve.png", optimize=True
    )


if __name__ == "__main__":
    main()
