"""Draw docs/review.png: the review page of samples/, on a screen and on a phone in the dark.

    python docs/draw_review.py

It needs a trained model, Chromium and its driver.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

import digit_classification_detector as detector  # noqa: E402
from benchmarks.browser import HOW_TO_GET_ONE, find_chromium, open_browser  # noqa: E402

SCREEN, PHONE = (1280, 1010), (390, 1010)
GAP = 20
GROUND = (208, 212, 218)


def shoot(browser: webdriver.Chrome) -> Image.Image:
    return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")


def main() -> None:
    found = find_chromium()
    if found is None:
        raise SystemExit(f"There is no Chromium with its driver: {HOW_TO_GET_ONE}.")
    os.chdir(ROOT)  # the names on the page are relative
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "review.html"
        detector.main(["samples", "--database", "none", "--quiet", "--report", str(page)])
        with open_browser(*found, width=SCREEN[0], height=SCREEN[1]) as browser:
            browser.get(page.as_uri())
            screen = shoot(browser)
        with open_browser(
            *found, width=PHONE[0], height=PHONE[1], dark=True, phone=True
        ) as browser:
            browser.get(page.as_uri())
            browser.find_element(By.CSS_SELECTOR, '[data-choice="ok"]').click()
            browser.find_elements(By.CSS_SELECTOR, ".card")[1].click()
            phone = shoot(browser).resize(PHONE, Image.Resampling.LANCZOS)
    both = Image.new("RGB", (screen.width + GAP + phone.width, screen.height), GROUND)
    both.paste(screen, (0, 0))
    both.paste(phone, (screen.width + GAP, 0))
    both.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(
        ROOT / "docs/review.png", optimize=True
    )


if __name__ == "__main__":
    main()
