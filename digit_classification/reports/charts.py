"""The pictures of the training report, drawn with matplotlib, each for light and dark pages.

Nothing here needs a display: figures are made without pyplot, and so without a window system.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from digit_classification.training.scores import FEW, Bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 160  # of a PNG
DIGITS = range(10)


@dataclass(frozen=True)
class Theme:
    """Colours of a page; `first` and `second` also differ in lightness, for the colour-blind."""

    page: str
    ink: str
    muted: str
    grid: str
    first: str
    second: str


LIGHT = Theme("#ffffff", "#1c2430", "#5b6675", "#dfe3e9", "#1f5fc4", "#d2691e")
DARK = Theme("#171c24", "#e6e9ef", "#9aa5b4", "#323b48", "#7fb0ff", "#f0a35e")

Draw = Callable[[Theme], "Figure"]


def quiet_matplotlib() -> None:
    """Import matplotlib without its notices about fonts and folders."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib  # noqa: F401


def render(draw: Draw, theme: Theme, file_format: str) -> bytes:
    """Return a figure as a file, `svg` or `png`; the same figure gives the same bytes."""
    import matplotlib

    style = {
        "font.size": 10,
        "font.family": "DejaVu Sans",
        "svg.hashsalt": "digit_classification",
        "text.color": theme.ink,
        "axes.labelcolor": theme.muted,
        "axes.edgecolor": theme.grid,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "grid.color": theme.grid,
        "legend.frameon": False,
        "legend.labelcolor": theme.ink,
    }
    stream = io.BytesIO()
    with matplotlib.rc_context(style):
        figure = draw(theme)
        figure.savefig(
            stream,
            format=file_format,
            dpi=DOTS_PER_INCH,
            facecolor=theme.page if file_format == "png" else "none",
            metadata={"Date": None} if file_format == "svg" else None,
        )
    return stream.getvalue()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


# ------------------------------------------------------------------------------- learning curves


def learning_curve(curve: Sequence[Mapping[str, float]], best_epoch: int, score: str) -> Draw:
    """Return what draws the `loss`, or the share of mistakes (`error`), after each epoch."""

    def draw(theme: Theme) -> Figure:
        drawn = _figure(5.2, 3.6)
        axes = drawn.add_subplot()
        epochs = [row["epoch"] for row in curve]
        if score == "loss":
            training = [row["loss"] for row in curve]
            validation = [row["validation_loss"] for row in curve]
            axes.set_ylabel("loss (cross-entropy)")
        else:
            training = [100 * (1 - row["accuracy"]) for row in curve]
            validation = [100 * (1 - row["validation_accuracy"]) for row in curve]
            axes.set_ylabel("mistakes, %")
        style: dict[str, Any] = {"ls": "-", "marker": "o" if len(epochs) < 8 else "", "ms": 4}
        axes.plot(epochs, training, color=theme.second, lw=1.4, label="training", **style)
        axes.plot(epochs, validation, color=theme.first, lw=1.8, label="validation", **style)
        best = epochs.index(best_epoch)
        axes.plot(
            best_epoch,
            validation[best],
            "o",
            ms=8,
            mfc=theme.page,
            mec=theme.first,
            mew=2,
            label=f"saved: epoch {best_epoch:g}",
        )
        _scale(axes, [*training, *validation])
        axes.set_xlabel("epoch")
        axes.grid(axis="y")
        axes.legend(loc="upper right")
        return drawn

    return draw


def _scale(axes: Axes, values: Sequence[float]) -> None:
    """Logarithmic where the values span more than a factor of ten, with plain numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    epochs = MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    axes.xaxis.set_major_locator(epochs)
    if min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)


# ------------------------------------------------------------------------------ confusion matrix


def confusion_matrix(matrix: np.ndarray, *, normalised: bool) -> Draw:
    """Return what draws a (10, 10) confusion matrix as counts, or as shares of each row.

    Only mistakes are coloured: beside the diagonal, they would all look like nothing.
    """
    of_each = matrix.sum(axis=1)
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    values = shares if normalised else matrix

    def draw(theme: Theme) -> Figure:
        from matplotlib.colors import LinearSegmentedColormap, to_rgba

        drawn = _figure(5.2, 5.0)
        axes = drawn.add_subplot()
        mistakes = values.astype(float).copy()
        np.fill_diagonal(mistakes, 0)
        strongest = mistakes.max()
        faint, full = to_rgba(theme.second, 0.0), to_rgba(theme.second)
        colours = LinearSegmentedColormap.from_list("mistakes", np.array([faint, full]))
        axes.imshow(np.sqrt(mistakes), cmap=colours, vmin=0, vmax=strongest**0.5 or 1)
        for true, read in np.ndindex(10, 10):
            value = values[true, read]
            if true == read:
                axes.add_patch(_cell(read, true, theme.grid))
            if not of_each[true] or (true != read and value == 0):
                continue
            strong = true != read and value > 0.5 * strongest
            axes.text(
                read,
                true,
                _share(value, matrix[true, read], of_each[true]) if normalised else f"{value:,}",
                ha="center",
                va="center",
                fontsize=8.5,
                fontweight="bold" if true != read else "normal",
                color=theme.page if strong else theme.ink,
            )
        axes.set_xticks(DIGITS)
        axes.set_yticks(DIGITS)
        axes.set_xticks(np.arange(0.5, 9), minor=True)
        axes.set_yticks(np.arange(0.5, 9), minor=True)
        axes.grid(which="minor", lw=0.6)
        axes.tick_params(which="both", length=0)
        axes.set_xlabel("read as" + (", % of each row" if normalised else ""))
        axes.set_ylabel("true digit")
        axes.spines[:].set_visible(False)
        return drawn

    return draw


def _cell(x: int, y: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, color=colour, lw=0)


def _share(value: float, images: int, of_all: int) -> str:
    """Return a percentage; of few images, how many they are."""
    if of_all < FEW:
        return f"{images}/{of_all}"
    return "100" if value == 100 else f"{value:.1f}" if value >= 0.05 else f"{value:.2f}"


# ----------------------------------------------------------------------------------- reliability


def reliability_diagram(bins: Sequence[Bin]) -> Draw:
    """Return what draws accuracy over confidence, with 95 % intervals, and where images lie."""

    def draw(theme: Theme) -> Figure:
        from matplotlib.ticker import StrMethodFormatter

        drawn = _figure(5.2, 5.0)
        above, below = drawn.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
        confidence = np.array([100 * each.confidence for each in bins])
        accuracy = np.array([100 * each.accuracy for each in bins])
        errors = np.array(
            [
                [100 * max(each.accuracy - each.low, 0) for each in bins],
                [100 * max(each.high - each.accuracy, 0) for each in bins],
            ]
        )
        above.plot([0, 100], [0, 100], "--", color=theme.muted, lw=1, label="as it should be")
        above.errorbar(
            confidence,
            accuracy,
            errors,
            fmt="o",
            ms=6,
            color=theme.first,
            ecolor=(theme.first, 0.45),
            elinewidth=1.5,
            label="measured, 95 % interval",
        )
        above.set_ylabel("of these, right, %")
        above.set_ylim(-3, 103)
        above.grid()
        above.legend(loc="upper left")
        images = [each.images for each in bins]
        below.bar(confidence, images, width=4.5, color=theme.first)
        below.set_yscale("log")
        below.set_ylim(0.7, 4 * max(images))
        below.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        below.set_xlim(-3, 103)
        below.set_ylabel("images")
        below.set_xlabel("confidence, %")
        below.grid(axis="y")
        return drawn

    return draw


# ---------------------------------------------------------------------------------------- sheets


def sheet(
    pictures: Sequence[np.ndarray], captions: Sequence[str], columns: int, title: str
) -> Draw:
    """Return what draws pictures of digits, (h, w) or (h, w, 3), in rows with captions."""

    def draw(theme: Theme) -> Figure:
        rows = -(-len(pictures) // columns)
        tall = 1.0 + 0.35 * any(captions)  # of a cell as wide as 1
        drawn = _figure(1.1 * columns, 1.1 * tall * rows + 0.4)
        # All on one pair of axes: one for each picture would take seconds.
        axes = drawn.add_subplot()
        axes.set_title(title, fontsize=11)
        axes.set_axis_off()
        for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            row, x = divmod(number, columns)
            y = row * tall
            height, width = (side / max(picture.shape[:2]) * 0.46 for side in picture.shape[:2])
            axes.imshow(
                picture,
                cmap="gray",
                vmin=0,
                vmax=255,
                interpolation="nearest",
                extent=(x + 0.5 - width, x + 0.5 + width, y + 0.5 + height, y + 0.5 - height),
            )
            axes.text(
                x + 0.5,
                y + 1,
                caption,
                fontsize=7.5,
                color=theme.ink,
                ha="center",
                va="top",
                parse_math=False,
            )
        axes.set_xlim(0, columns)
        axes.set_ylim(rows * tall, 0)
        return drawn

    return draw
