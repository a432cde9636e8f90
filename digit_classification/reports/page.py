"""The page of the training report: one file that loads nothing and runs nothing.

Its pictures are data URLs, and a Content-Security-Policy forbids it everything else.
"""

from __future__ import annotations

import base64
import hashlib
import string
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification import __version__
from digit_classification.cli.wording import counted, duration
from digit_classification.names import printable
from digit_classification.pictures import images
from digit_classification.pictures.decode import Limits
from digit_classification.reports.evaluation import OF_FEW, judge_in_words
from digit_classification.reports.markup import (
    html_table,
    percent,
    png_url,
    safe,
    safe_block,
    thumbnail,
)
from digit_classification.reports.training_record import (
    MISTAKES,
    PAIRS,
    SAMPLES,
    Kind,
    Training,
    full_name,
    left_out,
    open_picture,
)
from digit_classification.training.datasets.dataset import CLASSES
from digit_classification.training.scores import (
    DigitScores,
    Share,
    scores_by_digit,
    share_of,
)

TEMPLATE = Path(__file__).with_suffix(".html")
STYLE = Path(__file__).with_suffix(".css")
FEW = 1000  # test images, below which the page warns of the width of the interval


def make_page(training: Training, metrics: Mapping[str, Any], charts: Mapping[str, str]) -> str:
    sections = [
        ("good", "How good is it?", _how_good(training, metrics)),
        ("wrong", "What does it get wrong?", _what_wrong(training, metrics, charts)),
        ("trust", "Can its confidence be trusted?", _what_trust(metrics, charts)),
        ("course", "How did the training go?", _what_course(training, metrics, charts)),
        ("data", "What did it learn from?", _what_data(training)),
        ("repeat", "How to repeat it", _how_to_repeat(training)),
    ]
    style = STYLE.read_text(encoding="utf-8")
    name = escape(printable(training.model.name))
    return string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=f"Training report: {name}",
        subtitle=f"Trained on {_datasets_in_words(training)}.",
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii"),
        contents="".join(f'<a href="#{key}">{title}</a>' for key, title, _ in sections),
        sections="\n".join(
            f'<section id="{key}"><h2>{title}</h2>\n{content}</section>'
            for key, title, content in sections
        ),
        footer=f"Written by digit_classification {__version__}. This page is one file: it loads "
        "nothing, runs nothing, and can be sent as it is.",
    )


def _datasets_in_words(training: Training) -> str:
    def shown(path: Path) -> str:
        return f'<span class="path">{safe(path.as_posix())}</span>'

    datasets = training.parts.datasets
    words = shown(datasets["dataset"].path)
    if (corrections := datasets.get("corrections")) is not None:
        words += f" with {counted(len(corrections), 'correction')} of {shown(corrections.path)}"
    if (tested := datasets.get("test_dataset")) is None:
        return f"{words}; a part was held back for the test"
    if tested.path == datasets["dataset"].path:
        return f"{words}, tested on the test set there"
    return f"{words}, tested on {shown(tested.path)}"


def _how_good(training: Training, metrics: Mapping[str, Any]) -> str:
    low, high = metrics["accuracy_interval_95"]
    mistakes, total = metrics["mistakes"], metrics["images"]
    one_in = f", one in {total / mistakes:,.0f}" if 0 < mistakes < total / 3 else ""
    planned = metrics["epochs_planned"]
    hardest = min(scores_by_digit(metrics), key=lambda row: row.recall.value or 0)
    tiles = {
        "Hardest digit": (hardest.digit, f"{_share(hardest.recall)} of them are read right"),
        "Loss": (f"{metrics['loss']:.4f}", "cross-entropy on the test images"),
        "Calibration error": (percent(metrics["calibration_error"]), "of confidence; 0 is best"),
        "Best epoch": (
            f"{metrics['best_epoch']:g}",
            f"of {metrics['epochs']}" + (f", {planned} planned" * (metrics["epochs"] != planned)),
        ),
        "Training time": (duration(metrics["training_seconds"]), "without reading the images"),
    }
    notes = _notes(training, metrics)
    return (
        f'<div class="headline"><strong>{percent(metrics["accuracy"])}</strong>'
        f"<p>of {total:,} test images are read right (95&nbsp;% interval "
        f"{100 * low:.2f} to {percent(high)}).<br>"
        f"{mistakes:,} {'is' if mistakes == 1 else 'are'} misread{one_in}.</p></div>"
        '<dl class="tiles">'
        + "".join(
            f"<div><dt>{name}</dt><dd>{value}<small>{what}</small></dd></div>"
            for name, (value, what) in tiles.items()
        )
        + "</dl>"
        + "".join(f'<p class="note">{note}</p>' for note in notes)
    )


def _notes(training: Training, metrics: Mapping[str, Any]) -> list[str]:
    """Return what the reader should know before believing the figures, as HTML sentences."""
    notes = []
    if metrics["interrupted"]:
        notes.append(
            f"The training was interrupted after epoch {metrics['epochs']} of "
            f"{metrics['epochs_planned']}. With --resume-training it goes on, and ends better."
        )
    elif metrics["best_epoch"] == metrics["epochs"] == metrics["epochs_planned"] >= 5:
        notes.append(
            "The last epoch was the best one: the network may still be improving. Try more "
            "--epochs."
        )
    if metrics["images"] < FEW:
        low, high = metrics["accuracy_interval_95"]
        notes.append(
            f"With {metrics['images']:,} test images the accuracy is only known to lie between "
            f"{percent(low, 1)} and {percent(high, 1)}. More of them would tell more."
        )
    if "test_dataset" not in training.parts.datasets:
        notes.append(
            "The test images are of the same dataset as those learned from, and so perhaps of the "
            "same writers: on other people's digits expect more mistakes. --test-dataset names a "
            "dataset of its own."
        )
    return notes


def _what_wrong(training: Training, metrics: Mapping[str, Any], charts: Mapping[str, str]) -> str:
    return (
        f'<div class="pair"><div>{_most_confused(metrics)}</div>{charts["confusion_counts"]}</div>'
        + _worst_mistakes(training)
        + f'<div class="pair"><div>{_each_digit(metrics)}</div>{charts["confusion_shares"]}</div>'
    )


def _most_confused(metrics: Mapping[str, Any]) -> str:
    pairs = metrics["most_confused"]
    if not pairs:
        return "<p>Nothing: every test image is read right.</p>"
    top = pairs[0]["images"]
    rows = [
        [
            f"{pair['digit']} read as {pair['read_as']}",
            f"{pair['images']:,}",
            _share(share_of(pair)),
            f'<td class="text"><progress max="{top}" value="{pair["images"]}"></progress></td>',
        ]
        for pair in pairs[:PAIRS]
    ]
    more = len(pairs) - len(rows)
    rest = f'<p class="small muted">and {more} more, in metrics.json</p>' if more else ""
    return f"<h3>Most confused</h3>{html_table(['', 'images', 'of the digit', ''], rows)}{rest}"


def _each_digit(metrics: Mapping[str, Any]) -> str:
    digits = scores_by_digit(metrics)
    lowest = min((row.f1 for row in digits if row.f1 is not None), default=1)

    def f1(row: DigitScores) -> str:
        if row.f1 is None:
            return "–"
        return f"<td{' class=worst' * (row.f1 == lowest < 1)}>{percent(row.f1)}</td>"

    rows = [
        [row.digit, _share(row.precision), _share(row.recall), f1(row), f"{row.images:,}"]
        for row in digits
    ]
    of_few = f" {OF_FEW}" if any(row.f1 is None for row in digits) else ""
    return (
        "<h3>Each digit</h3>"
        + html_table(["digit", "precision", "recall", "F1", "images"], rows)
        + '<p class="small muted">Precision: of the images read as this digit, so many are it. '
        "Recall: of the images of this digit, so many are read as it. F1: their harmonic mean."
        f"{of_few}</p>"
    )


def _share(share: Share) -> str:
    """Return a percentage, with its interval if it is of few images."""
    if share.value is None:
        return "–"
    if share.interval is None:
        return percent(share.value)
    low, high = share.interval
    return f"{percent(share.value)} ({100 * low:.0f} to {percent(high, 0)})"


def _worst_mistakes(training: Training) -> str:
    mistakes, shown = training.mistakes, training.mistakes[:MISTAKES]
    if not len(mistakes):
        return ""
    which = (
        f"The {len(shown)} most confident of {len(mistakes):,}, which are all in mistakes.csv"
        if len(mistakes) > len(shown)
        else "All of them, the most confident first"
    )
    return (
        f"<h3>Worst mistakes</h3><p>{which}: the picture, and what the network sees of it. A "
        "mistake of high confidence is often a wrong label, or a digit that no person could read: "
        "look there first.</p>"
        f'<ul class="gallery">{"".join(_mistake(training, index) for index in shown)}</ul>'
    )


def _mistake(training: Training, index: int) -> str:
    dataset, name = training.tested.path, training.parts.test.names[index]
    truth, read = training.truth[index], training.read[index]
    seen = training.parts.test.digits[index]
    views = f'<img class="raw" src="{png_url(seen)}" alt="as the network sees it">'
    picture = open_picture(dataset, name, training.limits)
    if picture is not None and not np.array_equal(np.asarray(picture), seen):
        views = thumbnail(picture) + views
    return (
        f'<li><div class="views">{views}</div><b>{truth} read as {read}</b><br>'
        f"{_odds(training, index, read)}, {_odds(training, index, truth)}"
        f'<span class="path">{safe(full_name(dataset, name))}</span></li>'
    )


def _odds(training: Training, index: int, digit: int) -> str:
    probability = training.probabilities[index, digit]
    return f'<span class="odds">{percent(probability, 1)} for {digit}</span>'


def _what_trust(metrics: Mapping[str, Any], charts: Mapping[str, str]) -> str:
    error = metrics["calibration_error"]
    verdict = "Yes." if error < 0.01 else "Roughly." if error < 0.05 else "Not much."
    rows = [
        [
            percent(row["min_confidence"], 1) if row["min_confidence"] else "any",
            f"{row['images']:,}",
            percent(row["share"]),
            f"{row['mistakes']:,}",
            "" if row["error"] is None else percent(row["error"]),
        ]
        for row in metrics["by_min_confidence"]
    ]
    return (
        f"<p>{verdict} Confidence and accuracy differ by {percent(error)} on average (expected "
        "calibration error in 15 bins).</p>"
        f'<div class="pair">{charts["reliability"]}<div>'
        "<h3>If less confident digits were set aside</h3>"
        + html_table(["at least", "images", "share", "mistakes", "of them"], rows)
        + '<p class="small muted">The detector marks digits below '
        "<code>detection.min_confidence</code> as uncertain: choose it here.</p></div></div>"
        + _judge_says(metrics["judge"])
    )


def _judge_says(scores: Mapping[str, Any] | None) -> str:
    if not scores:
        return ""
    return f"<h3>Pictures of other things</h3><p>{judge_in_words(scores)}</p>"


def _what_course(training: Training, metrics: Mapping[str, Any], charts: Mapping[str, str]) -> str:
    patience = training.card["settings"]["training"].get("early_stopping")
    stopped = metrics["epochs"] < metrics["epochs_planned"] and not metrics["interrupted"]
    early = (
        f" It stopped early, after {patience} epochs without a lower validation loss."
        if stopped
        else ""
    )
    return (
        f"<p>Epoch {metrics['best_epoch']:g} had the lowest loss on the validation images, and was "
        f"saved.{early}</p>"
        f'<div class="pair">{charts["loss"]}{charts["error"]}</div>'
    )


def _what_data(training: Training) -> str:
    names, counts = zip(*training.counts.items(), strict=True)
    rows = [[digit, *(f"{column[int(digit)]:,}" for column in counts)] for digit in CLASSES]
    table = html_table(
        ["digit", *names], rows, ["all", *(f"{column.sum():,}" for column in counts)]
    )
    drawn = (
        f"<p class='small muted'>{training.parts.drawn:,} of the training images are drawn by the "
        "program, in styles that MNIST lacks.</p>"
        if training.parts.drawn
        else ""
    )
    return f'<div class="pair"><div>{table}{drawn}</div>{_augmented(training)}</div>' + "".join(
        _left_out_section(kind, training.limits) for kind in left_out(training.datasets)
    )


def _augmented(training: Training) -> str:
    """Return one picture of all distorted digits: a column of originals, a gap, the others."""
    gap = np.full((training.examples.shape[0], 1, images.SIDE, images.SIDE // 4), 96, np.uint8)
    blocks = [training.examples[:, np.newaxis], gap, training.distorted]
    # (rows, columns, height, width) -> one picture, block by block
    tile = np.hstack(
        [
            block.transpose(0, 2, 1, 3).reshape(-1, block.shape[1] * block.shape[3])
            for block in blocks
        ]
    )
    height, width = 2 * tile.shape[0], 2 * tile.shape[1]
    caption = (
        "Left, a training image of each digit; right of the bar, what the network may learn from "
        "in its place: every epoch distorts every image anew, each column here with another pen."
    )
    return (
        f'<figure><img class="tile raw" width="{width}" height="{height}" '
        f'src="{png_url(tile)}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _left_out_section(kind: Kind, limits: Limits) -> str:
    if not kind.files:
        return ""
    items = []
    for path, name, why in kind.files[:SAMPLES]:
        picture = open_picture(path, name, limits)
        views = f'<div class="views">{thumbnail(picture)}</div>' if picture is not None else ""
        items.append(
            f'<li>{views}{safe(why)}<span class="path">{safe(full_name(path, name))}</span></li>'
        )
    more = len(kind.files) - len(items)
    rest = f'<p class="small muted">and {more:,} more, in left_out.csv</p>' if more else ""
    return (
        f"<h3>{kind.title} ({len(kind.files):,})</h3><p>{kind.advice}</p>"
        f'<ul class="gallery">{"".join(items)}</ul>{rest}'
    )


def _how_to_repeat(training: Training) -> str:
    versions = training.card["versions"]
    checksums = [
        [
            f'<span class="path">{safe(data.path.as_posix())}</span>',
            f"{len(data):,}",
            f'<td class="path">{data.sha256}</td>',
        ]
        for data in training.datasets
    ]
    return (
        "<p>The same settings, images, versions and machine give the same network to the last "
        "bit. These settings are also in settings.yaml:</p>"
        "<pre>python digit_classification_model_trainer.py --config settings.yaml</pre>"
        f"<details><summary>Settings in effect</summary><pre>{safe_block(training.settings)}"
        "</pre></details><h3>Datasets</h3>"
        + html_table(["", "images", "SHA-256 of labels and images"], checksums)
        + "<h3>Versions</h3><p class='small'>"
        + ", ".join(f"{safe(name)}&nbsp;{safe(version)}" for name, version in versions.items())
        + "</p>"
    )
