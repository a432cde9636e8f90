"""The forms in which people have datasets, each with its own bytes, and what is said of others."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digit_classification.training.datasets.dataset import Dataset, DatasetError, Findings, digit_of
from digit_classification.training.datasets.found import Part, role_of
from digit_classification.training.datasets.reading import read_arrays, read_dataset
from tests.drawing import draw_digit, png, write_dataset, zip_folder

PER_CLASS = 3
LABELS = np.repeat(np.arange(10, dtype=np.uint8), PER_CLASS)


def pixels(first_seed: int = 0, side: int = 28) -> np.ndarray:
    """The pictures of `write_dataset`, (30, side, side) uint8, in the order of LABELS."""
    seeds = [first_seed + number for number in range(PER_CLASS)]
    return np.stack([draw_digit(digit, seed, side) for digit in range(10) for seed in seeds])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """What all forms of the same pictures should give."""
    return read_dataset(write_dataset(tmp_path_factory.mktemp("plain") / "digits", PER_CLASS))


def assert_same_digits(dataset: Dataset, plain: Dataset) -> None:
    """Whether the same pictures were read, in whatever order."""
    order = np.argsort(dataset.labels, kind="stable")
    np.testing.assert_array_equal(dataset.labels[order], plain.labels)
    np.testing.assert_array_equal(dataset.digits[order], plain.digits)


def message(path: Path, *, part: Part = "training", lenient: bool = False) -> str:
    with pytest.raises(DatasetError) as caught:
        read_dataset(path, part, lenient=lenient)
    return str(caught.value)


# --------------------------------------------------------------------------------- class folders


@pytest.mark.parametrize(
    ("label", "digit"),
    [
        *(("0", 0), ("9", 9), ("00", 0), ("07", 7), ("0.0", 0), ("3.0", 3), ("zero", 0)),
        *(("Nine", 9), ("digit_0", 0), ("digit-4", 4), ("class 5", 5), ("Sample001", 0)),
        *(("Sample010", 9), (" 8", 8), ("label6", 6)),
        *(("10", None), ("Sample011", None), ("Sample000", None), ("empty", None), ("", None)),
        *(("12", None), ("3.5", None), ("-1", None), ("x3", None), ("³", None)),
    ],
)
def test_what_a_label_stands_for(label: str, digit: int | None) -> None:
    assert digit_of(label) == digit


WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (WORDS.__getitem__, "class folders 'zero' to 'nine'"),
        (lambda digit: f"digit_{digit}", "class folders 'digit_0' to 'digit_9'"),
        (lambda digit: f"Sample{digit + 1:03}", "class folders 'Sample001' to 'Sample010'"),
        (lambda digit: f"0{digit}", "class folders '00' to '09'"),
        (lambda digit: f"{digit}.0", "class folders '0.0' to '9.0'"),
    ],
)
def test_class_folders_of_other_names(
    name: Callable[[int], str], form: str, tmp_path: Path, plain: Dataset
) -> None:
    folder = write_dataset(tmp_path / "digits", PER_CLASS)
    for digit in range(10):
        (folder / str(digit)).rename(folder / name(digit))
    dataset = read_dataset(folder)
    assert dataset.form == form
    assert_same_digits(dataset, plain)


def test_a_zip_below_several_folders(tmp_path: Path, plain: Dataset) -> None:
    folder = write_dataset(tmp_path / "digits", PER_CLASS)
    archive = zip_folder(folder, tmp_path / "packed.zip", "English/Hnd/Img/")
    dataset = read_dataset(archive)
    assert dataset.names[0] == "English/Hnd/Img/0/000.png"
    assert_same_digits(dataset, plain)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("names", [("train", "test"), ("Training", "Testing")])
def test_a_parent_of_train_and_test(
    names: tuple[str, str], packed: bool, tmp_path: Path, plain: Dataset
) -> None:
    path = tmp_path / "parent"
    write_dataset(path / names[0], PER_CLASS)
    write_dataset(path / names[1], PER_CLASS, first_seed=50)
    (path / "valid").mkdir()
    (path / "valid/1.png").write_bytes(png(draw_digit(1, 99)))
    if packed:
        path = zip_folder(path, tmp_path / "parent.zip", "mnist_png/")
    dataset, test = read_dataset(path), read_dataset(path, "test")
    assert dataset.holds_test
    assert_same_digits(dataset, plain)
    assert test.names[0] == f"{'mnist_png/' * packed}{names[1]}/0/000.png"
    assert test.sha256 != dataset.sha256
    assert len(test) == 30
    assert dataset.findings.unlabelled == [
        ("valid/", "is neither for the training nor for the test")
    ]


def test_a_test_folder_without_labels_is_no_test(tmp_path: Path, plain: Dataset) -> None:
    write_dataset(tmp_path / "train", PER_CLASS)
    (tmp_path / "test").mkdir()
    (tmp_path / "test/img.png").write_bytes(png(draw_digit(1, 99)))
    dataset = read_dataset(tmp_path)
    assert not dataset.holds_test
    assert dataset.findings.unlabelled == [("test/", "has no labels")]
    assert_same_digits(dataset, plain)


# ------------------------------------------------------------------------------------------- IDX


def write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    content = header + values.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("between", ["-", "."])
def test_the_four_files_of_mnist(suffix: str, between: str, tmp_path: Path, plain: Dataset) -> None:
    for name, seed in (("train", 0), ("t10k", 50)):
        write_idx(tmp_path / f"{name}-images{between}idx3-ubyte{suffix}", pixels(seed))
        write_idx(tmp_path / f"{name}-labels{between}idx1-ubyte{suffix}", LABELS)
    dataset, test = read_dataset(tmp_path), read_dataset(tmp_path, "test")
    assert dataset.findings == Findings()
    assert dataset.form == (
        f"IDX files 'train-images{between}idx3-ubyte{suffix}' and "
        f"'train-labels{between}idx1-ubyte{suffix}'"
    )
    assert dataset.holds_test
    assert dataset.names[0] == f"train-images{between}idx3-ubyte{suffix}, image 0"
    assert_same_digits(dataset, plain)
    assert len(test) == 30
    assert test.sha256 != dataset.sha256
    archive = zip_folder(tmp_path, tmp_path.parent / f"{tmp_path.name}.zip")
    assert_same_digits(read_dataset(archive), plain)


@pytest.mark.parametrize("named", ["images", "labels"])
def test_one_file_of_an_idx_pair_finds_the_other(
    named: str, tmp_path: Path, plain: Dataset
) -> None:
    for name, seed in (("train", 0), ("t10k", 50)):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", pixels(seed))
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte.gz", LABELS)
    (tmp_path / "notes.txt").write_text("from the web")
    suffix = "idx3-ubyte" if named == "images" else "idx1-ubyte.gz"
    dataset = read_dataset(tmp_path / f"train-{named}-{suffix}")
    assert not dataset.holds_test
    assert_same_digits(dataset, plain)


def test_idx_files_that_are_there_twice(tmp_path: Path, plain: Dataset) -> None:
    for name, values in (("images-idx3", pixels()), ("labels-idx1", LABELS)):
        write_idx(tmp_path / f"train-{name}-ubyte/train-{name}-ubyte", values)
        write_idx(tmp_path / f"train-{name}.ubyte".replace("-idx", ".idx"), values)
        write_idx(tmp_path / f"train-{name}-ubyte.gz", values)
    assert_same_digits(read_dataset(tmp_path), plain)


def test_the_images_of_emnist_are_turned(tmp_path: Path, plain: Dataset) -> None:
    on_their_side = pixels().transpose(0, 2, 1)
    write_idx(tmp_path / "emnist-digits-train-images-idx3-ubyte.gz", on_their_side)
    write_idx(tmp_path / "emnist-digits-train-labels-idx1-ubyte.gz", LABELS)
    assert_same_digits(read_dataset(tmp_path), plain)
    rows = np.column_stack([LABELS, on_their_side.reshape(len(LABELS), -1)])
    np.savetxt(tmp_path / "emnist-digits-train.csv", rows, "%d", ",")
    assert_same_digits(read_dataset(tmp_path / "emnist-digits-train.csv"), plain)


def test_an_idx_file_that_claims_too_much(tmp_path: Path) -> None:
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 2**30, 2**10, 28))
    assert message(file) == (
        "'train-images-idx3-ubyte' claims 29,360,128 MiB of pixels, more than the 1,024 MiB that "
        "are read: take a part of it."
    )


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_idx_file_that_is_cut_off(suffix: str, tmp_path: Path) -> None:
    write_idx(tmp_path / f"train-images-idx3-ubyte{suffix}", pixels())
    write_idx(tmp_path / f"train-labels-idx1-ubyte{suffix}", LABELS)
    file = tmp_path / f"train-images-idx3-ubyte{suffix}"
    file.write_bytes(file.read_bytes()[:-1000])
    assert message(tmp_path) == (
        f"'train-images-idx3-ubyte{suffix}' is cut off, or damaged: copy or download it anew."
    )


def test_a_bomb_in_gzip_costs_no_more_than_its_header_says(tmp_path: Path) -> None:
    header = struct.pack(">4B3I", 0, 0, 8, 3, 30, 28, 28)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(header + pixels().tobytes() + bytes(64 * 2**20))
    )
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    assert len(read_dataset(tmp_path)) == 30


def test_images_without_labels(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", pixels())
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS[:-1])
    assert message(tmp_path) == (
        "There are arrays, but no images with as many labels ('train-images-idx3-ubyte' of "
        "30×28×28, 'train-labels-idx1-ubyte' of 29): put the file of the labels beside that of the "
        "images, or both into one with numpy.savez('digits.npz', images=…, labels=…)."
    )
    (tmp_path / "train-images-idx3-ubyte").unlink()
    labels = tmp_path / "train-labels-idx1-ubyte"
    assert message(labels) == (
        f"'{labels}' holds labels, and no file of as many images lies beside it: name the file of "
        "the images, in the same folder, with --dataset."
    )


# ------------------------------------------------------------------------------------ NumPy arrays


def test_keras_s_mnist_npz(tmp_path: Path, plain: Dataset) -> None:
    file = tmp_path / "mnist.npz"
    np.savez_compressed(file, x_train=pixels(), y_train=LABELS, x_test=pixels(50), y_test=LABELS)
    dataset, test = read_dataset(file), read_dataset(file, "test")
    assert dataset.form == "NumPy arrays 'x_train' and 'y_train'"
    assert test.form == "NumPy arrays 'x_test' and 'y_test'"
    assert dataset.holds_test
    assert_same_digits(dataset, plain)
    assert test.sha256 != dataset.sha256


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (pixels().reshape(30, 784), LABELS.astype(np.int64)),
        (pixels()[..., np.newaxis], LABELS.astype(str)),
        (pixels()[:, np.newaxis], LABELS[:, np.newaxis]),
        (pixels() / 255, LABELS.astype(np.float64)),
        ((pixels() / 127.5 - 1).astype(np.float32), np.eye(10)[LABELS]),
        (pixels().astype(np.uint16) * 257, LABELS.astype("S")),
        (np.asfortranarray(pixels()), LABELS),
    ],
    ids=["flat", "channel last", "channel first", "0 to 1", "-1 to 1", "16 bits", "Fortran"],
)
def test_arrays_as_people_have_them(
    images: np.ndarray, labels: np.ndarray, tmp_path: Path, plain: Dataset
) -> None:
    np.savez(tmp_path / "digits.npz", images=images, labels=labels)
    assert_same_digits(read_dataset(tmp_path / "digits.npz"), plain)
    assert_same_digits(read_arrays(images, labels), plain)
    np.save(tmp_path / "X.npy", images)
    np.save(tmp_path / "y.npy", labels)
    assert_same_digits(read_dataset(tmp_path / "X.npy"), plain)


def test_pairs_in_files_of_their_own(tmp_path: Path, plain: Dataset) -> None:
    for name, seed in (("train", 0), ("test", 50)):
        np.savez(tmp_path / f"kmnist-{name}-imgs.npz", pixels(seed))
        np.savez(tmp_path / f"kmnist-{name}-labels.npz", LABELS)
    dataset = read_dataset(tmp_path)
    assert dataset.form == (
        "NumPy arrays 'kmnist-train-imgs.npz/arr_0' and 'kmnist-train-labels.npz/arr_0'"
    )
    assert dataset.holds_test
    assert_same_digits(dataset, plain)


def test_arrays_of_colours_and_of_other_sizes_are_prepared(tmp_path: Path) -> None:
    """Dark on light and larger, they are found and turned around as photos are."""
    large = 255 - pixels(side=64)
    dataset = read_arrays(np.stack([large] * 3, axis=-1), LABELS)
    files = write_dataset(tmp_path / "digits", PER_CLASS)
    for digit in range(10):
        for number in range(PER_CLASS):
            picture = large[digit * PER_CLASS + number]
            (files / f"{digit}/{number:03}.png").write_bytes(png(picture))
    assert_same_digits(dataset, read_dataset(files))


def test_few_levels_are_spread_out() -> None:
    few = np.rint(pixels() / 255 * 16)
    spread = np.rint(few * (255 / 16)).astype(np.uint8)
    np.testing.assert_array_equal(
        read_arrays(few, LABELS).digits, read_arrays(spread, LABELS).digits
    )


def test_an_array_of_objects_is_refused_unread(tmp_path: Path) -> None:
    np.savez(tmp_path / "digits.npz", images=np.array([{"a": 1}] * 30), labels=LABELS)
    assert message(tmp_path / "digits.npz") == (
        "'images' holds Python objects, which can run code when they are loaded: save it as an "
        "array of numbers."
    )


def npy_header(shape: str, dtype: str = "|u1") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(118 - len("\n")) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (npy_header("(1099511627776, 28, 28)"), "claims 822,083,584 MiB of pixels"),
        (npy_header("(-30, 28, 28)"), "is damaged"),
        (npy_header("(30, 28, 28)", "|O"), "holds Python objects"),
        (npy_header("[" * 40 + "]" * 40), "is damaged"),
        (npy_header("(30, 28, 28)"), "is cut off"),
        (b"\x93NUMPY\1\0\xff\xff", "is damaged"),
        (b"\x93NUMPY\7\0\1\0", "is damaged"),
    ],
    ids=["2^40 images", "negative", "objects", "nested", "short", "no header", "version"],
)
def test_hostile_arrays(header: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "images.npy").write_bytes(header + b"123")
    np.save(tmp_path / "labels.npy", LABELS)
    assert reason in message(tmp_path)
    assert reason in message(tmp_path / "images.npy")


def test_a_bomb_in_an_npz_is_not_unpacked(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "digits.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as member:
            member.write(npy_header("(30, 28, 28)"))
            for _ in range(1100):
                member.write(bytes(2**20))
        with archive.open("labels.npy", "w") as member:
            np.save(member, LABELS)
    assert message(tmp_path / "digits.npz") == (
        f"'{tmp_path / 'digits.npz'}' cannot be read: a zip bomb: 1 MiB that unpack to 1,100 MiB."
    )


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (pixels().astype(str), LABELS, "'images' holds <U3 instead of pixels: save it as numbers."),
        (
            pixels().astype(np.int32) * 1000,
            LABELS,
            "'images' holds pixels from 0 to 255000: bring them to 0 to 255, or 0 to 1.",
        ),
        (
            np.full((30, 28, 28), np.nan),
            LABELS,
            "'images' holds pixels from nan to nan: bring them to 0 to 255, or 0 to 1.",
        ),
        (
            pixels().reshape(30, 7, 112, 1, 1),
            LABELS,
            "'images' has the shape 30×7×112×1×1, which is not one picture for each label: make it "
            "(number, height, width).",
        ),
        (pixels(), LABELS[1:], "'images' has 30 images and 29 labels: give each image one."),
        (
            pixels(),
            np.ones((30, 10)),
            "The ten columns of the labels of 'images' are not a 1 and nine times 0 in each row: "
            "give a label for each image, 0 to 9.",
        ),
        (
            pixels(),
            np.ones((30, 4)),
            "The labels of 'images' are float64 of 30×4: give a label for each image, 0 to 9.",
        ),
    ],
)
def test_arrays_that_are_no_dataset(images: np.ndarray, labels: np.ndarray, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read_arrays(images, labels)
    assert str(caught.value) == said


# -------------------------------------------------------------------------------- tables of pixels


def write_table(
    file: Path,
    order: Sequence[int] | None = None,
    *,
    header: str | None = None,
    delimiter: str = ",",
    label_last: bool = False,
    form: str = "%d",
    first_seed: int = 0,
) -> Path:
    columns = [LABELS, *pixels(first_seed).reshape(30, -1).T]
    if label_last:
        columns = columns[1:] + columns[:1]
    rows = np.column_stack(columns)
    if order is not None:
        rows = rows[:, order]
    text = header or ""
    np.savetxt(file, rows, form, delimiter, header=text, comments="")
    if header is None:
        file.write_text(file.read_text().removeprefix("\n"))
    return file


PIXELS = [f"pixel{number}" for number in range(784)]
SHUFFLED = np.random.default_rng(0).permutation(785)


@pytest.mark.parametrize(
    ("options", "suffix"),
    [
        ({}, ".csv"),
        ({"label_last": True}, ".csv"),
        ({"header": ",".join(["label", *PIXELS])}, ".csv"),
        ({"header": ",".join([*PIXELS, "class"]), "label_last": True}, ".csv"),
        (
            {
                "header": ",".join(f'"{["label", *PIXELS][column]}"' for column in SHUFFLED),
                "order": SHUFFLED,
            },
            ".csv",
        ),
        (
            {
                "header": ",".join(
                    ["label", *(f"{y}x{x}" for y in range(1, 29) for x in range(1, 29))]
                )
            },
            ".csv",
        ),
        ({"delimiter": ";"}, ".txt"),
        ({"delimiter": " ", "form": "%.4f"}, ".train"),
        ({"delimiter": "\t"}, ".tsv"),
    ],
    ids=["MNIST", "last", "Kaggle", "OpenML", "shuffled", "28x28", ";", "floats", "tabs"],
)
def test_tables_of_pixels(
    options: dict[str, object], suffix: str, tmp_path: Path, plain: Dataset
) -> None:
    file = write_table(tmp_path / f"digits{suffix}", **options)  # type: ignore[arg-type]
    dataset = read_dataset(file)
    assert dataset.form == f"table of 785 columns 'digits{suffix}'"
    assert_same_digits(dataset, plain)
    packed = tmp_path / f"digits{suffix}.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert_same_digits(read_dataset(packed), plain)


def test_the_columns_of_a_table_that_are_neither_label_nor_pixel(
    tmp_path: Path, plain: Dataset
) -> None:
    rows = np.column_stack([np.arange(30), LABELS, pixels().reshape(30, -1)])
    header = ",".join(["id", "label", *PIXELS])
    np.savetxt(tmp_path / "digits.csv", rows, "%d", ",", header=header, comments="")
    assert_same_digits(read_dataset(tmp_path / "digits.csv"), plain)


def test_kaggle_s_zip_with_a_test_that_has_no_labels(tmp_path: Path, plain: Dataset) -> None:
    folder = tmp_path / "digit-recognizer"
    folder.mkdir()
    write_table(folder / "train.csv", header=",".join(["label", *PIXELS]))
    unlabelled = pixels(50).reshape(30, -1)
    np.savetxt(folder / "test.csv", unlabelled, "%d", ",", header=",".join(PIXELS), comments="")
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n2,0\n")
    dataset = read_dataset(zip_folder(folder, tmp_path / "digit-recognizer.zip"))
    assert not dataset.holds_test
    assert sorted(dataset.findings.stray) == ["sample_submission.csv", "test.csv"]
    assert_same_digits(dataset, plain)
    assert message(folder / "test.csv") == (
        "'test.csv' has 784 columns of pixels and none of labels: name a table with one, such as "
        "Kaggle's train.csv."
    )


def test_tables_for_the_training_and_the_test(tmp_path: Path, plain: Dataset) -> None:
    write_table(tmp_path / "mnist_train.csv")
    write_table(tmp_path / "mnist_test.csv", first_seed=50)
    dataset = read_dataset(tmp_path)
    assert dataset.holds_test
    assert_same_digits(dataset, plain)
    assert read_dataset(tmp_path, "test").form == "table of 785 columns 'mnist_test.csv'"
    (tmp_path / "mnist_test.csv").rename(tmp_path / "mnist_more.csv")
    assert message(tmp_path) == (
        "'mnist_more.csv' and 'mnist_train.csv' are both tables of pixels: name one of them with "
        "--dataset."
    )


def test_a_table_whose_labels_could_be_in_two_columns(tmp_path: Path) -> None:
    rows = np.column_stack([LABELS, pixels().reshape(30, -1)[:, 1:], LABELS])
    np.savetxt(tmp_path / "digits.csv", rows, "%d", ",")
    assert message(tmp_path / "digits.csv") == (
        "Neither the first nor the last column of 'digits.csv' holds labels of 0 to 9 for certain: "
        "give the columns names in a first line, that of the labels label."
    )


def test_a_table_of_a_billion_columns_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "digits.csv"
    with file.open("wb") as stream:  # without taking the space
        stream.write(b"label," + b"0," * 2**20)
        stream.truncate(2 * 10**9)
    assert message(file) == (
        "'digits.csv' has a line of more than 1 MiB, which is no picture: check the file."
    )


def test_a_line_of_a_table_that_never_ends(tmp_path: Path) -> None:
    file = write_table(tmp_path / "digits.csv")
    with file.open("ab") as stream:
        stream.write(b"0," * 2**20)
    assert message(file) == (
        "'digits.csv' has a line of more than 1 MiB, which is no picture: check the file."
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("five," + ",".join("0" * 784), "'digits.csv' cannot be read in or after row 1, where"),
        ("5," + ",".join("0" * 700), "'digits.csv' cannot be read in or after row 1, where"),
    ],
)
def test_a_table_with_a_wrong_row(line: str, said: str, tmp_path: Path) -> None:
    file = write_table(tmp_path / "digits.csv")
    with file.open("a") as stream:
        stream.write(line + "\n")
    assert message(file).startswith(said)


def test_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "digits.csv").write_text(",".join(["label", *PIXELS]) + "\n")
    assert message(tmp_path / "digits.csv") == (
        "'digits.csv' has names of columns, and no rows: check the file."
    )


# ------------------------------------------------------------------------------- flat folders


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Thirty pictures in one folder, whose names say nothing."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for number, picture in enumerate(pixels()):
        (folder / f"scan{number:04}.png").write_bytes(png(picture))
    return folder


def rows(form: str) -> str:
    return "".join(form.format(number, label) + "\n" for number, label in enumerate(LABELS))


@pytest.mark.parametrize(
    "table",
    [
        "path,digit\n" + rows("scan{:04}.png,{}"),
        rows("scan{:04}.png;{}"),
        "id,label,writer,image\n" + rows("7,{1},3,./scan{0:04}.png"),
        rows("C:\\scans\\flat\\scan{:04}.png,{}").replace("C:\\scans\\", ""),
        '"file"\t"class"\r\n' + rows('"scan{:04}.png"\t"{}"'),
        "\ufefffilename,digit\n" + rows("flat/scan{:04}.png,{}.0"),
    ],
    ids=["plain", "no header", "more columns", "Windows", "tabs", "wrapped"],
)
def test_a_table_of_labels(table: str, flat: Path, plain: Dataset) -> None:
    place = flat.parent if "flat" in table else flat
    (place / "labels.csv").write_text(table, encoding="utf-8")
    dataset = read_dataset(place)
    assert dataset.form == "pictures with labels in 'labels.csv'"
    assert_same_digits(dataset, plain)
    by_file = read_dataset(place / "labels.csv")
    assert by_file.names[0] == str(flat / "scan0000.png")
    assert_same_digits(by_file, plain)


def test_pictures_that_a_table_lacks_and_rows_without_a_picture(flat: Path) -> None:
    (flat / "more.png").write_bytes(png(draw_digit(1, 99)))
    (flat / "labels.csv").write_text("path,digit\n" + rows("scan{:04}.png,{}") + "gone.png,3\n")
    assert read_dataset(flat).findings.unlabelled == [
        ("gone.png", "in 'labels.csv', but not there"),
        ("more.png", "not in 'labels.csv'"),
    ]


def test_a_table_with_two_columns_of_digits(flat: Path) -> None:
    (flat / "labels.csv").write_text("path,first,second\n" + rows("scan{0:04}.png,{1},{1}"))
    assert message(flat) == (
        "'labels.csv' names pictures, but 2 of its columns may hold their digits: give the one "
        "that does the name label."
    )


def test_a_picture_with_two_labels(flat: Path) -> None:
    (flat / "labels.csv").write_text("path,digit\n" + rows("scan{:04}.png,{}") + "scan0000.png,3\n")
    assert message(flat) == (
        "'scan0000.png' has two labels in 'labels.csv', '3' and '0': delete the wrong row."
    )


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("{1}_{0:03}.png", "first"),
        ("{1} ({0:02}).png", "first"),
        ("img-{0:04}-{1}.png", "last"),
        ("scan{0:04}_digit{1}_anna.png", "behind a word"),
        ("label-{1}.{0:03}.png", "behind a word"),
    ],
)
def test_labels_in_names(name: str, place: str, flat: Path, plain: Dataset) -> None:
    for number, label in enumerate(LABELS):
        (flat / f"scan{number:04}.png").rename(flat / name.format(number, label))
    dataset = read_dataset(flat)
    assert dataset.form == f"pictures whose names have their digit {place}"
    assert_same_digits(dataset, plain)


def test_names_with_two_digits_are_ambiguous(flat: Path) -> None:
    for number, label in enumerate(LABELS):
        (flat / f"scan{number:04}.png").rename(flat / f"{number % 3}_{number:02}_{label}.png")
    assert message(flat) == (
        "The names of the pictures hold a digit in two places, as '0_00_0.png' does (first and "
        "last): write the right ones into a labels.csv beside them, with the columns path and "
        "digit."
    )


def test_names_that_say_nothing(flat: Path) -> None:
    assert message(flat) == (
        f"Nothing in '{flat}' says which digits its pictures show (found 30 pictures in one "
        "folder): sort them into folders named 0 to 9, or write a labels.csv beside them with the "
        "columns path and digit."
    )


# -------------------------------------------------------------------- what is left out, and lenient


def test_folders_of_no_digit(tmp_path: Path, plain: Dataset) -> None:
    folder = write_dataset(tmp_path / "digits", PER_CLASS)
    for name in ("10", "empty"):
        (folder / name).mkdir()
        (folder / name / "1.png").write_bytes(png(draw_digit(1, 99)))
    assert message(folder) == (
        f"'{folder}' has the class folders '10', 'empty', which are no digits: leave them out with "
        "--lenient."
    )
    dataset = read_dataset(folder, lenient=True)
    assert dataset.findings.unlabelled == [
        ("10/", "1 image of no digit"),
        ("empty/", "1 image of no digit"),
    ]
    assert_same_digits(dataset, plain)


def test_labels_of_no_digit_in_arrays(plain: Dataset) -> None:
    images, labels = np.concatenate([pixels(), pixels(50)[:2]]), np.append(LABELS, [10, 11])
    with pytest.raises(DatasetError) as caught:
        read_arrays(images, labels)
    assert str(caught.value) == (
        "'arrays' has the labels '10', '11', which are no digits: leave them out with --lenient."
    )
    dataset = read_arrays(images, labels, lenient=True)
    assert dataset.findings.unlabelled == [
        ("label '10'", "1 image of no digit"),
        ("label '11'", "1 image of no digit"),
    ]
    assert_same_digits(dataset, plain)


def test_missing_digits(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "digits", PER_CLASS)
    shutil.rmtree(folder / "0")
    assert message(folder) == (
        f"'{folder}' has no images of the digit 0 (found '1', '2', '3', '4', '5', '6', '7', '8', "
        "'9'): add some, or train without with --lenient."
    )
    assert read_dataset(folder, lenient=True).counts["0"] == 0
    for digit in range(2, 10):
        shutil.rmtree(folder / str(digit))
    assert message(folder, lenient=True) == (
        f"'{folder}' has images of 1 digits: a network learns to tell two or more apart."
    )


def test_an_image_with_two_labels_is_left_out_both_times(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "digits", PER_CLASS)
    (folder / "7/one.png").write_bytes((folder / "1/000.png").read_bytes())
    dataset = read_dataset(folder, lenient=True)
    assert "1/000.png" not in dataset.names
    assert dataset.findings.unlabelled == [
        ("7/one.png", "labelled 7, but 1 as 1/000.png"),
        ("1/000.png", "labelled 1, and otherwise elsewhere"),
    ]
    assert (dataset.counts["1"], dataset.counts["7"]) == (2, 3)
    assert len(dataset.checksums) == len(dataset.names) == len(dataset.digits) == 29


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *(("x_train", "training"), ("X_test", "test"), ("t10k-images-idx3-ubyte", "test")),
        *(("mnist_test.csv", "test"), ("testSet/1", "test"), ("latest.csv", "training")),
        *(("val_labels", "validation"), ("values.npy", "training"), ("Xtest", "test")),
    ],
)
def test_what_a_file_is_for_by_its_name(name: str, role: str) -> None:
    assert role_of(name) == role


# ------------------------------------------------------------------------------ what is not taken

SAVE = (
    "load it in Python, save it with numpy.savez('digits.npz', images=…, labels=…), and give "
    "--dataset digits.npz"
)


@pytest.mark.parametrize(
    ("start", "kind", "cure"),
    [
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file", SAVE),
        (b"MATLAB 5.0 MAT-file", "a MATLAB file", SAVE),
        (b"PAR1\x15\x04", "a Parquet file", SAVE),
        (b"\x80\x04\x95", "a pickle, which can run code when it is loaded", SAVE),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it, and name the folder with --dataset"),
        (
            gzip.compress(b"\x80\x04\x95", mtime=0),
            "a file packed with gzip",
            "unpack it, and name the folder with --dataset",
        ),
        (
            bytes(257) + b"ustar\0",
            "a tar archive",
            "unpack it, and name the folder with --dataset",
        ),
    ],
)
def test_files_of_other_forms(start: bytes, kind: str, cure: str, tmp_path: Path) -> None:
    file = tmp_path / "mnist"
    file.write_bytes(start + bytes(1000))
    assert message(file) == f"The dataset '{file}' is {kind}: {cure}."
    assert message(tmp_path) == f"'mnist' in '{tmp_path}' is {kind}: {cure}."


def test_folders_of_other_things(tmp_path: Path) -> None:
    assert message(tmp_path) == (
        f"'{tmp_path}' is empty: put a folder of pictures for each digit into it."
    )
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        Image.new("L", (30, 30)).save(tmp_path / name / "1.png")
    assert "(found the folders 'cats', 'dogs')" in message(tmp_path)


def test_a_picture_is_no_dataset(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(png(draw_digit(1)))
    assert message(file) == (
        f"The dataset '{file}' is neither a folder nor a file of a known form: name a folder with "
        "a folder of pictures for each digit, or a form of docs/datasets.md."
    )
