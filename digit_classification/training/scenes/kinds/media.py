"""Kinds of picture with one digit: what it is written with and on, and how it was taken."""

from __future__ import annotations

import cv2
import numpy as np

from .. import cameras, compose, noise, papers
from ..compose import digit_on
from ..sheet import Ink, Kind, Rng, Scene
from ..strokes import Digits


def plain(rng: Rng, digits: Digits) -> Scene:
    label = int(rng.integers(10))
    return compose.show(rng, lambda height: digits.take(rng, label, height=height)[1], str(label))


def mnist(rng: Rng, digits: Digits) -> Scene:
    """A digit that is ready: 28x28, MNIST's convention, now and then dark on light."""
    label, coverage = digits.take(rng, height=80)
    pixels = compose.like_mnist(coverage)
    ink = pixels.astype(np.float32) / 255
    return Scene(255 - pixels if rng.random() < 0.25 else pixels, ink, str(label))


def broken_strokes(rng: Rng, digits: Digits) -> Scene:
    """The pen, a bad copy or a hard threshold left a gap or two in the strokes."""
    label, coverage = digits.take(rng, height=80)
    height, width = coverage.shape
    rows_columns = np.argwhere(coverage > 0.5)
    gaps = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 3)):
        place = rows_columns[rng.integers(len(rows_columns))][::-1]
        angle = rng.uniform(0, np.pi)
        reach = np.array([np.cos(angle), np.sin(angle)]) * height * 0.16
        ends = np.array([place - reach, place + reach])
        thick = max(2, round(height * float(rng.uniform(0.02, 0.06))))
        first, last = ends.astype(int).tolist()
        cv2.line(gaps, first, last, 255, thick, cv2.LINE_AA)
    torn = coverage * (1 - gaps.astype(np.float32) / 255)
    return compose.show(
        rng, lambda tall: compose.shrunk(torn, tall / height), str(label), ready=0.4
    )


def drawn_on_a_screen(rng: Rng, digits: Digits) -> Scene:
    """Light on dark or dark on light, on a canvas of any shape, without any noise."""
    height = compose.side(rng, 28, 240)
    width = round(height * float(np.exp(rng.uniform(np.log(0.7), np.log(2.3)))))
    sheet = (papers.black if rng.random() < 0.5 else papers.white)(rng, height, width)
    paper = float(sheet.pixels[0, 0, 0])
    pale = rng.random() < 0.25  # without noise it is seen, too
    contrast = rng.uniform(*(30, 150) if pale else (150, 255))
    level = np.clip(paper - contrast if paper > 128 else paper + contrast, 0, 255)
    ink = Ink(np.full(3, level, np.float32))
    pen = float(np.exp(rng.uniform(np.log(0.015), np.log(0.13)))) if rng.random() < 0.5 else None
    label = digit_on(rng, digits, sheet, ink=ink, pen=pen, share=(0.25, 0.9))
    return sheet.to_scene(rng, str(label), grey=0.6)


def ball_pen(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.office(rng, *compose.size(rng, 80, 280))
    pen = float(rng.uniform(0.015, 0.05))
    label = digit_on(rng, digits, sheet, pen=pen, share=(0.3, 0.85))
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label), grey=0.2)


def pencil(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 240))
    tone = papers.colour(rng, (70, 70, 72), (115, 115, 118))
    ink = Ink(tone, float(rng.uniform(0.45, 0.85)), float(rng.uniform(0.4, 0.9)))
    label = digit_on(rng, digits, sheet, ink=ink, pen=float(rng.uniform(0.025, 0.08)))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def felt_pen(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng))
    label = digit_on(rng, digits, sheet, pen=float(rng.uniform(0.1, 0.18)), share=(0.4, 0.9))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def whiteboard(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.flat(papers.colour(rng, (190, 195, 200), (245, 246, 248)), *compose.size(rng))
    wiped = np.clip(noise.clouds(rng, sheet.height, sheet.width, 3, 3), 0, 3)
    sheet.pixels -= (wiped * np.float32(rng.uniform(0, 3)))[..., None]
    ink = papers.pen_for(rng, sheet)
    marker = Ink(ink.colour, float(rng.uniform(0.7, 1)), float(rng.uniform(0, 0.4)))
    label = digit_on(rng, digits, sheet, ink=marker, pen=float(rng.uniform(0.05, 0.13)))
    cameras.glare(rng, sheet)
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label), grey=0.15)


def coloured_ink_on_coloured_paper(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.coloured(rng, *compose.size(rng))
    paper = sheet.pixels[0, 0]
    tone = papers.coloured(rng, 2, 2).pixels[0, 0]
    while abs(papers.luminance(tone) - papers.luminance(paper)) < 35:
        tone = tone * np.float32(0.8)
    label = digit_on(rng, digits, sheet, ink=Ink(tone, float(rng.uniform(0.7, 1))))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label), grey=0.1)


def bleed_through(rng: Rng, digits: Digits) -> Scene:
    """Ink from the back of the page shows, mirrored and soft."""
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 240))
    height = min(sheet.height, sheet.width) * float(rng.uniform(0.4, 0.8))
    label, coverage = digits.take(rng, height=height)
    behind = Ink(papers.colour(rng, (60, 55, 60), (120, 110, 110)), float(rng.uniform(0.08, 0.25)))
    for _ in range(rng.integers(1, 4)):
        _, back = digits.take(rng, height=height * float(rng.uniform(0.8, 1.1)))
        back = np.ascontiguousarray(back[:, ::-1])
        compose.put(rng, sheet, back, behind, meant=False, stray=1.6)
    cameras.blur(sheet, float(rng.uniform(0.005, 0.015)) * sheet.height)
    compose.put(rng, sheet, coverage, papers.pen_for(rng, sheet), meant=True)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def stained(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 240))
    label = digit_on(rng, digits, sheet)
    for _ in range(rng.integers(1, 3)):
        papers.stain(rng, sheet)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def hand_shadow(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 260))
    label = digit_on(rng, digits, sheet)
    cameras.shadow(rng, sheet)
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label))


def graded_background(rng: Rng, digits: Digits) -> Scene:
    """The paper turns from light to grey, as drawing programs and lamps make it."""
    sheet = papers.light_paper(rng, *compose.size(rng))
    across, down = rng.uniform(-1, 1, 2)
    x = np.linspace(-0.5, 0.5, sheet.width, dtype=np.float32)
    y = np.linspace(-0.5, 0.5, sheet.height, dtype=np.float32)[:, None]
    light = 0.75 + np.float32(rng.uniform(0.2, 0.5)) * (
        np.float32(across) * x + np.float32(down) * y
    )
    sheet.pixels *= light[..., None]
    low = papers.colour(rng, (0, 0, 0), (40, 40, 60))
    label = digit_on(rng, digits, sheet, ink=Ink(low, float(rng.uniform(0.8, 1))))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def faint_ink(rng: Rng, digits: Digits) -> Scene:
    """Ink that hardly shows: 12 to 40 levels off the paper."""
    sheet = papers.light_paper(rng, *compose.size(rng))
    paper = sheet.pixels.mean((0, 1))
    tone = np.clip(paper - rng.uniform(12, 40) + rng.normal(0, 3, 3), 0, 255).astype(np.float32)
    label = digit_on(rng, digits, sheet, ink=Ink(tone))
    cameras.shade(rng, sheet, float(rng.uniform(0, 0.06)))
    cameras.grain(rng, sheet, float(rng.uniform(0, 1.5)))
    if rng.random() < 0.5:
        cameras.jpeg(sheet, int(rng.integers(70, 96)))
    return sheet.to_scene(rng, str(label))


def photographed_screen(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.white(rng, *compose.size(rng, 90, 280))
    label = digit_on(rng, digits, sheet)
    sheet.pixels = sheet.pixels * 0.8 + 25
    cameras.screen(rng, sheet)
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label), grey=0.2)


def out_of_focus(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng))
    label = digit_on(rng, digits, sheet, pen=float(rng.uniform(0.05, 0.15)))
    cameras.blur(sheet, float(rng.uniform(0.01, 0.022)) * sheet.height)
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label))


def aslant(rng: Rng, digits: Digits) -> Scene:
    """Paper that was looked at from aside."""
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 240))
    label = digit_on(rng, digits, sheet, share=(0.3, 0.6), stray=0.3)
    cameras.perspective(rng, sheet)
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label))


def resent_jpeg(rng: Rng, digits: Digits) -> Scene:
    """A photo that a messenger made small and compressed hard."""
    sheet = papers.office(rng, *compose.size(rng, 120, 300))
    label = digit_on(rng, digits, sheet, share=(0.35, 0.8))
    cameras.phone(rng, sheet)
    cameras.shrink(sheet, compose.side(rng, 56, 160))
    cameras.jpeg(sheet, int(rng.integers(30, 55)))
    return sheet.to_scene(rng, str(label), grey=0.2)


def small_on_a_page(rng: Rng, digits: Digits, label: int | None = None) -> Scene:
    """One small digit on a whole page; pages of 3000 pixels are drawn at a fifth of that."""
    height = compose.side(rng, 300, 560)
    sheet = papers.office(rng, height, round(height * float(rng.uniform(0.6, 1.3))))
    ink = Ink(papers.pen_for(rng, sheet).colour, float(rng.uniform(0.75, 1)))
    pen = float(rng.uniform(0.03, 0.14))
    share = (0.05, 0.16)
    label = digit_on(rng, digits, sheet, share=share, label=label, pen=pen, ink=ink, stray=0.85)
    cameras.shade(rng, sheet, float(rng.uniform(0.03, 0.2)))
    cameras.blur(sheet, float(rng.uniform(0.3, 0.8)))
    if rng.random() < 0.7:
        cameras.jpeg(sheet, int(rng.integers(50, 92)))
    return sheet.to_scene(rng, str(label), grey=0.2)


def small_one_on_a_page(rng: Rng, digits: Digits) -> Scene:
    """Hardly more than a stroke, but alone on its page: who would draw that but for a 1?"""
    return small_on_a_page(rng, digits, 1)


def tiny(rng: Rng, digits: Digits) -> Scene:
    """11 to 20 pixels, and no more room around the digit than that."""
    goal = int(rng.integers(11, 21))
    sheet = papers.any_paper(rng, 80, round(80 * rng.uniform(0.7, 1.2)))
    label = digit_on(rng, digits, sheet, share=(0.7, 0.98), pen=float(rng.uniform(0.09, 0.18)))
    cameras.shrink(sheet, goal)
    return sheet.to_scene(rng, str(label), grey=0.7)


def one_bit(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.any_paper(rng, *compose.size(rng, 24, 160))
    ink = Ink(papers.pen_for(rng, sheet).colour)
    label = digit_on(rng, digits, sheet, ink=ink, pen=float(rng.uniform(0.05, 0.16)))
    cameras.grain(rng, sheet, float(rng.uniform(0, 12)))
    cameras.one_bit(rng, sheet)
    return sheet.to_scene(rng, str(label), grey=1)


def photocopy(rng: Rng, digits: Digits) -> Scene:
    """Hard contrast, specks, a dark band along a border."""
    sheet = papers.white(rng, *compose.size(rng, 64, 240))
    label = digit_on(rng, digits, sheet, share=(0.35, 0.7))
    papers.specks(rng, sheet, int(rng.integers(4, 25)), 0.012)
    y = np.arange(sheet.height, dtype=np.float32)[:, None]
    band = np.exp(-y / max(1.0, rng.uniform(0.005, 0.03) * sheet.height))[..., None]
    sheet.pixels -= 200 * (band if rng.random() < 0.5 else band[::-1])
    cameras.blur(sheet, float(rng.uniform(0.4, 1)))
    cameras.grain(rng, sheet, 8)
    sheet.pixels = (sheet.pixels - 128) * np.float32(rng.uniform(1.5, 3)) + 150
    return sheet.to_scene(rng, str(label), grey=0.9)


def chalk(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.board(rng, *compose.size(rng, 80, 260))
    tones = [(235, 235, 230), (240, 225, 130), (235, 170, 185), (165, 205, 235)]
    tone = np.array(tones[rng.choice(4, p=(0.7, 0.1, 0.1, 0.1))], np.float32)
    ink = Ink(tone, float(rng.uniform(0.6, 0.95)), float(rng.uniform(0.4, 0.9)))
    label = digit_on(rng, digits, sheet, ink=ink, pen=float(rng.uniform(0.05, 0.12)))
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label), grey=0.2)


def resent_webp(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.office(rng, *compose.size(rng, 120, 300))
    label = digit_on(rng, digits, sheet, share=(0.35, 0.8))
    cameras.phone(rng, sheet)
    cameras.shrink(sheet, compose.side(rng, 56, 160))
    cameras.webp(sheet, int(rng.integers(20, 60)))
    return sheet.to_scene(rng, str(label), grey=0.2)


def tilted(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 240))
    label = digit_on(rng, digits, sheet, share=(0.4, 0.65), stray=0.3)
    cameras.tilt(rng, sheet, float(rng.uniform(6, 15) * rng.choice([-1, 1])))
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label))


KINDS = {
    "plain": Kind(plain, "digit"),
    "28x28, ready for MNIST": Kind(mnist, "digit"),
    "broken strokes": Kind(broken_strokes, "digit"),
    "drawn on a screen": Kind(drawn_on_a_screen, "digit"),
    "ball pen, photo": Kind(ball_pen, "digit"),
    "pencil": Kind(pencil, "digit"),
    "felt pen": Kind(felt_pen, "digit"),
    "whiteboard": Kind(whiteboard, "digit"),
    "coloured ink on coloured paper": Kind(coloured_ink_on_coloured_paper, "digit"),
    "bleed-through": Kind(bleed_through, "digit"),
    "stained": Kind(stained, "digit"),
    "shadow of a hand": Kind(hand_shadow, "digit"),
    "graded background": Kind(graded_background, "digit"),
    "faint ink": Kind(faint_ink, "digit"),
    "photographed screen": Kind(photographed_screen, "digit"),
    "out of focus": Kind(out_of_focus, "digit"),
    "seen aslant": Kind(aslant, "digit"),
    "re-sent JPEG": Kind(resent_jpeg, "digit"),
    "small on a large page": Kind(small_on_a_page, "digit"),
    "small 1 on a large page": Kind(small_one_on_a_page, "digit"),
    "tiny": Kind(tiny, "digit"),
    "one bit": Kind(one_bit, "digit"),
    "photocopy": Kind(photocopy, "digit"),
    "chalk": Kind(chalk, "digit"),
    "re-sent WebP": Kind(resent_webp, "digit"),
    "tilted": Kind(tilted, "digit"),
}
