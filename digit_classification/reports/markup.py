"""Text, tables and pictures as HTML that loads nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

from digit_classification.names import printable
from digit_classification.pictures import images
from digit_classification.reports import charts


def safe(text: str) -> str:
    """Return text for HTML; control characters and half characters are shown as escapes."""
    return escape(printable(text))


def safe_block(text: str) -> str:
    return "\n".join(map(safe, text.splitlines()))


def percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f}&nbsp;%"


def html_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], foot: Sequence[str] = ()
) -> str:
    """Return a table whose cells are HTML; the first of each row is its head."""

    def row(cells: Sequence[str]) -> str:
        first, *others = cells
        tail = "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in others)
        return f'<tr><th scope="row">{first}</th>{tail}</tr>'

    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    end = f"<tfoot>{row(foot)}</tfoot>" if foot else ""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(map(row, rows))}</tbody>{end}</table></div>"
    )


# -------------------------------------------------------------------------------------- pictures


def in_both_themes(draw: charts.Draw, caption: str) -> str:
    """Return a figure element that shows the picture for a light or for a dark page."""
    light, dark = (
        data_url(charts.render(draw, theme, "svg"), "image/svg+xml")
        for theme in (charts.LIGHT, charts.DARK)
    )
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(caption)}"></picture>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def data_url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def png_url(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return data_url(stream.getvalue(), "image/png")


def thumbnail(picture: Image.Image) -> str:
    """Return an img element: sharp pixels for tiny pictures, little data for large ones."""
    if max(picture.size) <= 2 * images.SIDE:
        return f'<img class="raw" src="{png_url(np.asarray(picture))}" alt="the picture">'
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=75)
    return f'<img src="{data_url(stream.getvalue(), "image/webp")}" alt="the picture">'
