"""In which form a dataset is: recognised by what is there, not by what it is called.

The first of these that fits: class folders; the folders `train` and `test`, each in a form of its
own; IDX files and NumPy arrays; a table of pixels; pictures with a table of labels; pictures whose
names hold their digit.  If none fits, the same is tried inside the only folder that is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from digit_classification.cli.wording import counted
from digit_classification.pictures.sources import Source, SourceError, is_zip, list_zip
from digit_classification.training.datasets.arrays import Array, find_pair, open_npy
from digit_classification.training.datasets.dataset import DatasetError, quoted
from digit_classification.training.datasets.flat import (
    is_picture,
    labelled_by_names,
    labelled_by_table,
)
from digit_classification.training.datasets.folders import (
    class_folders,
    list_files,
    train_and_test,
)
from digit_classification.training.datasets.found import (
    Contents,
    File,
    Found,
    Part,
    folders_in,
    name_of,
    role_of,
)
from digit_classification.training.datasets.idx import open_idx
from digit_classification.training.datasets.table import Table, find_table, has_pixels, open_table
from digit_classification.urls import OBJECT_STORES

_DEEPEST = 20  # folders that each hold but one, which are looked into
_MOST_FILES = 100  # beside pictures: a dataset has more only if these are none of its own

_SAVE = (
    "load it in Python, save it with numpy.savez('digits.npz', images=…, labels=…), and give "
    "--dataset digits.npz"
)
_UNPACK = "unpack it, and name the folder with --dataset"
# How a file begins, or where: what it is, and what can be done.
_FOREIGN: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", _SAVE),
    (0, b"MATLAB 5.0", "a MATLAB file", _SAVE),
    (0, b"MATLAB 7.3", "a MATLAB file", _SAVE),
    (0, b"PAR1", "a Parquet file", _SAVE),
    (0, b"\x80\x02", "a pickle, which can run code when it is loaded", _SAVE),
    (0, b"\x80\x03", "a pickle, which can run code when it is loaded", _SAVE),
    (0, b"\x80\x04", "a pickle, which can run code when it is loaded", _SAVE),
    (0, b"\x80\x05", "a pickle, which can run code when it is loaded", _SAVE),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x1f\x8b", "a file packed with gzip", _UNPACK),
    (0, b"BZh", "a file packed with bzip2", _UNPACK),
    (0, b"\xfd7zXZ", "a file packed with xz", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
)


def recognise(path: Path, part: Part) -> Found:
    """Return what the dataset at `path` is; of one that holds two, this part.

    Raises DatasetError if it cannot be read, or is in no form that is known.
    """
    if path.is_dir() or is_zip(str(path)):
        files = list_files(path)
        found = _in_tree(files, 0, part)
        if found is None:
            raise _why_not(path, files)
        return found
    if path.is_file():
        return _in_file(path, part)
    if path.exists():
        raise DatasetError(f"The dataset '{path}' is neither a file nor a folder: check --dataset.")
    if {start.rstrip("/") for start in OBJECT_STORES} & set(path.parts):  # Path("s3://b") is s3:/b
        raise DatasetError(
            f"The dataset '{path}' is in an object store, which the trainer does not read: copy it"
            " to a disk, and name the folder or file there with --dataset."
        )
    raise DatasetError(f"There is no dataset '{path}': name a folder or a file with --dataset.")


# ------------------------------------------------------------------------------ folders and zips


def _in_tree(files: Sequence[File], depth: int, part: Part) -> Found | None:
    """Return what is there at this depth of all names, or inside the only folders below it."""
    above: list[str] = []
    for level in range(depth, depth + _DEEPEST):
        found = _at(files, level, part)
        if found is not None:
            return replace(found, stray=[*above, *found.stray])
        if len(folders_in(files, level)) != 1:
            return None
        above += [name_of(file) for file in files if len(file[0]) <= level + 1]
        files = [file for file in files if len(file[0]) > level + 1]
    return None


def _at(files: Sequence[File], depth: int, part: Part) -> Found | None:
    if (found := class_folders(files, depth)) is not None:
        return found
    if (folders := train_and_test(files, depth)) is not None:
        return _in_parts(*folders, depth, part)
    others = [file for file in files if not is_picture(file[1])]
    if len(others) <= _MOST_FILES:
        if (found := find_pair(_arrays(others), part)) is not None:
            return _with_strays(found, files)
        tables = _tables(others)
        if (found := find_table(tables, part)) is not None:
            return _with_strays(found, files)
        if (found := labelled_by_table(files, tables, part)) is not None:
            return found
    return None if folders_in(files, depth) else labelled_by_names(files)


def _in_parts(
    training: Sequence[File], test: Sequence[File], further: Sequence[str], depth: int, part: Part
) -> Found | None:
    """Return what is in the folder for the training, or in the one for the test."""
    tested = _in_tree(test, depth + 1, "test")
    if part == "test" and tested is not None:
        return replace(tested, holds_test=True)
    found = _in_tree(training, depth + 1, "training")
    if found is None:
        return None
    unused = [(f"{name}/", "is neither for the training nor for the test") for name in further]
    if test and tested is None:
        unused.append((f"{test[0][0][depth]}/", "has no labels"))
    return replace(found, unlabelled=[*found.unlabelled, *unused], holds_test=tested is not None)


def _with_strays(found: Found, files: Sequence[File]) -> Found:
    """Add the files of a folder that are not those that a form uses."""
    used = {name for source in found.beside for name in (source.name, source.path)}
    return replace(found, stray=[name_of(file) for file in files if file[1].name not in used])


def _arrays(files: Sequence[File]) -> list[Array]:
    arrays: list[Array | None] = []
    for file in files:
        name, source = name_of(file), file[1]
        if source.member is None and source.path.lower().endswith(".npz"):
            arrays += _in_npz(source.path, f"{name}/")
        else:
            arrays.append(_array(name, source))
    return [array for array in arrays if array is not None]


def _array(name: str, source: Source) -> Array | None:
    try:
        return open_npy(name, source) or open_idx(name, source)
    except SourceError:  # whatever it is, it is no array
        return None


def _in_npz(path: str, prefix: str) -> list[Array | None]:
    try:
        members = [*list_zip(path)]
    except SourceError as error:
        raise DatasetError(f"'{path}' cannot be read: {error}.") from None
    return [
        open_npy(prefix + (source.member or "").removesuffix(".npy"), source) for source in members
    ]


def _tables(files: Sequence[File]) -> list[Table]:
    tables = []
    for file in files:
        try:
            table = open_table(name_of(file), file[1])
        except SourceError:
            continue
        if table is not None:
            tables.append(table)
    return tables


# -------------------------------------------------------------------------------------- one file


def _in_file(path: Path, part: Part) -> Found:
    """Return what a file is: a table, or arrays whose labels may be in the file beside it."""
    source = Source(str(path), str(path), explicit=True)
    try:
        if path.suffix.lower() == ".npz":
            found = find_pair([array for array in _in_npz(str(path), "") if array], part)
            if found is not None:
                return found
        elif (array := _array(path.name, source)) is not None:
            return _with_neighbour(path, array)
        elif (table := open_table(path.name, source)) is not None:
            found = find_table([table], part) if has_pixels(table) else _named_in(path, table)
            if found is not None:
                return found
        foreign = _foreign(source)
    except SourceError as error:
        raise DatasetError(f"The dataset '{path}' cannot be read: {error}.") from None
    if foreign is not None:
        kind, cure = foreign
        raise DatasetError(f"The dataset '{path}' is {kind}: {cure}.")
    raise DatasetError(
        f"The dataset '{path}' is neither a folder nor a file of a known form: name a folder with "
        "a folder of pictures for each digit, or a form of docs/datasets.md."
    )


def _with_neighbour(path: Path, array: Array) -> Found:
    """Return the pair that an array makes with another file in its folder."""
    files: list[File] = [
        ((file.name,), Source(str(file), str(file)))
        for file in sorted(path.parent.iterdir())
        if file.is_file() and file.suffix.lower() != ".npz"
    ]
    same_use = [
        file
        for file in files
        if role_of(file[0][0]) == role_of(path.name) and not is_picture(file[1])
    ]
    others = [other for other in _arrays(same_use[:_MOST_FILES]) if other.name != array.name]
    fitting = [
        other
        for other in others
        if other.shape[:1] == array.shape[:1]
        and (other.may_be_labels if array.may_be_images else other.may_be_images)
    ]
    found = find_pair([array, *fitting], "training")
    if found is None:
        raise DatasetError(
            f"'{path}' holds labels, and no file of as many images lies beside it: name the file "
            "of the images, in the same folder, with --dataset."
        )
    return replace(found, stray=[])


def _named_in(path: Path, table: Table) -> Found | None:
    """Return the pictures that a table names, whose paths are relative to its folder."""
    files = [file for file in list_files(path.parent) if file[1].path != table.source.path]
    found = labelled_by_table(files, [table], "training")
    if found is None:
        return None

    def read() -> Contents:
        contents = found.read()
        full = [contents.source(index).name for index in range(len(contents.names))]
        return replace(contents, names=full)

    absent = [(name, why) for name, why in found.unlabelled if "not there" in why]
    return replace(found, read=read, stray=[], unlabelled=absent)


# ------------------------------------------------------------------------------- what is not taken


def _foreign(source: Source) -> tuple[str, str] | None:
    """Return what a file of another form is, and what can be done."""
    start = source.start(512)
    for offset, begin, kind, cure in _FOREIGN:
        if start[offset:].startswith(begin):
            return kind, cure
    return None


def _why_not(path: Path, files: Sequence[File]) -> DatasetError:
    """Say what is there instead of a dataset."""
    if not files:
        return DatasetError(f"'{path}' is empty: put a folder of pictures for each digit into it.")
    for file in [file for file in files if not is_picture(file[1])][:_MOST_FILES]:
        try:
            foreign = _foreign(file[1])
        except SourceError:
            continue
        if foreign is not None:
            kind, cure = foreign
            return DatasetError(f"'{name_of(file)}' in '{path}' is {kind}: {cure}.")
    folders = folders_in(files, 0)
    pictures = counted(sum(is_picture(source) for _, source in files), "picture")
    found = f"the folders {quoted(folders)}" if folders else f"{pictures} in one folder"
    return DatasetError(
        f"Nothing in '{path}' says which digits its pictures show (found {found}): sort them into "
        "folders named 0 to 9, or write a labels.csv beside them with the columns path and "
        "digit."
    )
