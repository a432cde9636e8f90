#!/usr/bin/env python3
"""What speed is measured against: other ways to the same result, and the machine's own limits.

    python benchmarks/yardsticks.py ancestor-detect MODEL DATABASE PICTURE [PICTURE ...]

Each is a command of its own, as small as it can be, and prints one JSON object.  The ancestor's
method is written anew here, from what that program does: resize, a Keras network of one dense
layer of 128, and for each picture one `predict`, one INSERT and one commit.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CHUNK = 64  # pictures that a process decodes at a time
BATCH = 1_000  # rows of a transaction
DIGITS = Path(__file__).resolve().parent.parent / "dataset" / "mnist-test.zip"
DRAFT = 512  # pixels: of a photo's longer side at least, as in `pictures/decode.py`
COLUMNS = 21  # of a row that the detector stores

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def ancestor_pixels(path: str) -> np.ndarray:
    """Return a picture as the ancestor's network sees it: (28, 28) float32, 0 to 1."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize((28, 28)), np.float32) / 255


def ancestor_train(dataset: str, model: str, epochs: str = "10") -> dict[str, float]:
    """Train on a folder per digit as the ancestor does, and save the network as `model`."""
    import keras
    from sklearn.model_selection import train_test_split

    pixels, labels = _read_classes(dataset)
    train, test, train_labels, test_labels = train_test_split(
        pixels, labels, test_size=0.2, random_state=42
    )
    network = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, metrics=["accuracy"])
    network.fit(train, train_labels, batch_size=32, epochs=int(epochs), verbose=0)
    _, accuracy = network.evaluate(test, test_labels, verbose=0)
    network.save(model)
    return {"images": len(pixels), "accuracy": float(accuracy)}


def ancestor_test(model: str, dataset: str) -> dict[str, float]:
    """Return the accuracy of an ancestor's network on a folder per digit."""
    import keras

    pixels, labels = _read_classes(dataset)
    logits = keras.models.load_model(model).predict(pixels, verbose=0)
    return {"accuracy": float((logits.argmax(axis=1) == labels).mean())}


def _read_classes(dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 28, 28) float32 pixels, 0 to 1, and (n,) labels."""
    paths = [
        (str(file), int(folder.name))
        for folder in sorted(Path(dataset).iterdir())
        for file in sorted(folder.iterdir())
    ]
    pixels = np.array([ancestor_pixels(path) for path, _ in paths])
    return pixels, np.array([label for _, label in paths])


def ancestor_detect(model: str, database: str, *pictures: str) -> dict[str, float]:
    """Read and store pictures one by one; `seconds` do not count the start."""
    import keras

    network = keras.models.load_model(model)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS classified_images (id INTEGER PRIMARY KEY, digit INT,"
            " confidence FLOAT, timestamp DATETIME, folder_name TEXT, file_name TEXT)"
        )
        begin = time.perf_counter()
        for picture in pictures:
            logits = network.predict(ancestor_pixels(picture)[None], verbose=0)[0]
            folder, name = os.path.split(picture)
            connection.execute(
                "INSERT INTO classified_images"
                " (digit, confidence, timestamp, folder_name, file_name)"
                " VALUES (?, ?, CURRENT_TIMESTAMP, ?, ?)",
                (int(logits.argmax()), float(logits.max()), os.path.basename(folder), name),
            )
            connection.commit()
        return {"images": len(pictures), "seconds": time.perf_counter() - begin}


def keras_folder(model: str, folder: str) -> dict[str, float]:
    """Read a folder with Keras's own loader and one `predict`; nothing is stored."""
    import keras

    pictures = keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        color_mode="grayscale",
        image_size=(28, 28),
        batch_size=256,
        shuffle=False,
        verbose=False,
    )
    pictures = pictures.map(lambda batch: batch[..., 0] / 255)
    logits = keras.models.load_model(model).predict(pictures, verbose=0)
    return {"images": len(logits)}


def bare_decode(folder: str, workers: str) -> dict[str, float]:
    """Open and decode the pictures of a folder in processes, and do nothing with them."""
    begin = time.perf_counter()
    with os.scandir(folder) as entries:
        paths = sorted(entry.path for entry in entries)
    with ProcessPoolExecutor(int(workers)) as pool:
        images = sum(pool.map(_decoded, paths, chunksize=CHUNK))
    return {"images": images, "seconds": time.perf_counter() - begin}


def _decoded(path: str) -> int:
    with Image.open(path) as image:
        return int(np.asarray(image).ndim == 2)


def bare_draft(folder: str, workers: str) -> dict[str, float]:
    """Decode the photos of a folder in processes, at the reduced scale that the detector takes."""
    begin = time.perf_counter()
    paths = sorted(str(path) for path in Path(folder).iterdir())
    with ProcessPoolExecutor(int(workers)) as pool:
        images = sum(pool.map(_drafted, paths))
    return {"images": images, "seconds": time.perf_counter() - begin}


def _drafted(path: str) -> int:
    with Image.open(path) as image:
        image.draft(None, (DRAFT, DRAFT))
        return int(np.asarray(image).ndim >= 2)


def array_again(model: str, picture: str, count: str) -> dict[str, float]:
    """Have one predictor read a 28×28 array so many times, after a first one."""
    from digit_classification_detector import DigitPredictor

    with Image.open(picture) as image:
        pixels = np.asarray(image)
    predictor = DigitPredictor(model)
    predictor.predict(pixels)
    begin = time.perf_counter()
    for _ in range(int(count)):
        predictor.predict(pixels)
    return {"images": int(count), "seconds": time.perf_counter() - begin}


def draw(kind: str, count: str, folder: str) -> dict[str, float]:
    """Draw pictures into a folder: `scenes` of one digit, `numbers` of four, `pages` of a form."""
    pictures = islice({"scenes": _scenes, "numbers": _numbers, "pages": _pages}[kind](), int(count))
    os.mkdir(folder)
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(os.path.join(folder, f"{number:04}.png"))
    return {"images": len(os.listdir(folder))}


def _scenes() -> Iterator[np.ndarray]:
    """Yield pictures of each kind with a digit that the judge learns from, in turn."""
    from benchmarks.pictures import draw as draw_kind
    from benchmarks.pictures import load_digits
    from benchmarks.zoo import KINDS, UNSEEN

    digits = load_digits(DIGITS)
    kinds = {
        name: kind
        for name, kind in KINDS.items()
        if name not in UNSEEN and kind.answer_kind == "digit"
    }
    while True:
        for name, kind in kinds.items():
            yield next(draw_kind(name, kind, digits, 1)).scene.pixels


def _numbers() -> Iterator[np.ndarray]:
    from benchmarks import number
    from benchmarks.pictures import load_digits

    digits = load_digits(DIGITS)
    yield from (each.pixels for each in number.draw("4 digits, apart", digits, 10_000))


def _pages() -> Iterator[np.ndarray]:
    from benchmarks import forms
    from benchmarks.pictures import load_digits

    digits = load_digits(DIGITS)
    drawn = forms.draw("table of 200 cells", "scanned", digits, 10_000)
    yield from (each.pixels for each in drawn)


def bare_products(images: str, epochs: str) -> dict[str, float]:
    """Multiply as the default training of so many images does, forwards and backwards.

    Nothing else is done: no image is distorted, and no weight changes.
    """
    from digit_classification.settings import Settings

    training = Settings().training
    learned = int(int(images) * (1 - Settings().dataset.validation_fraction))
    learned += round(training.drawn_share * learned)
    widths, size = [28 * 28, *training.hidden_units, 10], training.batch_size
    rng = np.random.default_rng(0)
    values = [rng.random((size, width), np.float32) for width in widths]
    kernels = [rng.random(shape, np.float32) for shape in pairwise(widths)]
    begin = time.perf_counter()
    for _ in range(int(epochs) * max(1, learned // size)):
        for layer, kernel in enumerate(kernels):
            values[layer] @ kernel
            values[layer].T @ values[layer + 1]
            if layer:
                values[layer + 1] @ kernel.T
    return {"images": learned, "seconds": time.perf_counter() - begin}


def bare_inserts(url: str, rows: str) -> dict[str, float]:
    """Insert made-up rows of the detector's size with the driver alone, in batches."""
    filler = ("x" * 64,) * (COLUMNS - 10)
    values = [(number, *filler, *(number / 7,) * 10) for number in range(int(rows))]
    places = COLUMNS + 1
    if url.startswith("sqlite:///"):
        connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"))
        mark = "?"
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    else:
        from urllib.parse import unquote, urlsplit

        import mysql.connector

        parts = urlsplit(url)
        mark = "%s"
        connection = mysql.connector.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=os.environ.get("DIGITS_DATABASE_PASSWORD", ""),
            database=parts.path[1:],
            collation="utf8mb4_general_ci",
        )
    names = [f"c{number}" for number in range(places - 1)]
    types = ["VARCHAR(64)"] * (COLUMNS - 10) + ["DOUBLE"] * 10
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, types, strict=True))
    statement = f"INSERT INTO bare (id, {', '.join(names)}) VALUES ({', '.join([mark] * places)})"
    with closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute(f"CREATE TABLE bare (id INTEGER PRIMARY KEY, {columns})")
        begin = time.perf_counter()
        for start in range(0, len(values), BATCH):
            cursor.executemany(statement, values[start : start + BATCH])
            connection.commit()
        return {"images": len(values), "seconds": time.perf_counter() - begin}


COMMANDS: dict[str, Callable[..., dict[str, float]]] = {
    "ancestor-train": ancestor_train,
    "ancestor-test": ancestor_test,
    "ancestor-detect": ancestor_detect,
    "keras-folder": keras_folder,
    "bare-decode": bare_decode,
    "bare-inserts": bare_inserts,
    "bare-draft": bare_draft,
    "bare-products": bare_products,
    "array-again": array_again,
    "draw": draw,
}


if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
