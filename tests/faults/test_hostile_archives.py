"""Zips and model files made to escape, to explode, or to run code: what becomes of each."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digit_classification.network.inference import MAX_WIDTH, packed_size
from digit_classification.network.model_file import CARD, WEIGHTS, ModelError, load_model
from digit_classification.pictures import archive, images
from digit_classification.pictures.archive import Archive, ArchiveError
from digit_classification.pictures.prepare import Prepared, prepare
from digit_classification.pictures.sources import find_sources
from digit_classification.training.datasets.dataset import DatasetError
from digit_classification.training.datasets.reading import read_dataset
from tests.drawing import draw_digit, png, write_dataset, zip_folder
from tests.faults.hostile import as_zip, members, sound_model

DIGITS = np.full((3, 28, 28), 99, np.uint8)


def read(path: Path) -> list[Prepared]:
    return [prepare(source) for source in find_sources([str(path)])]


def state_size(path: Path, name: str, size: int) -> None:
    """Make a zip say that a member unpacks to `size` bytes, whatever it holds."""
    with zipfile.ZipFile(path) as whole:
        info = whole.getinfo(name)
        content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, info.header_offset + 22, size)
    entry = content.index(b"PK\1\2")
    while content[entry + 46 : entry + 46 + len(name)] != name.encode():
        entry = content.index(b"PK\1\2", entry + 4)
    struct.pack_into("<I", content, entry + 24, size)
    path.write_bytes(content)


# ----------------------------------------------------------------------------------------- zips


@pytest.mark.parametrize(
    "name", ["../../7.png", "/tmp/7.png", "..\\..\\7.png", "C:\\7.png", "a/../7.png"]
)
def test_a_member_s_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep/deeper"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "digits.zip", "w") as whole:
        whole.writestr(zipfile.ZipInfo(name), png(draw_digit(7)))
    before = sorted(tmp_path.rglob("*"))
    (result,) = read(folder / "digits.zip")
    assert result.digit is not None
    assert sorted(tmp_path.rglob("*")) == before
    assert not os.path.lexists("/tmp/7.png")


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "digits.zip"
    path.write_bytes(as_zip({"1.png": png(draw_digit(1)), "2.png": png(draw_digit(2))}))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as whole:
        content[whole.getinfo("2.png").header_offset + 6] |= 1
    content[content.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    assert {one.source.name: one.error for one in read(path)} == {
        f"{path}/1.png": None,
        f"{path}/2.png": "encrypted",
    }


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_compress_are_refused(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "digits.zip", "w", method) as whole:
        whole.writestr("1.png", png(draw_digit(1)))
    (result,) = read(tmp_path / "digits.zip")
    assert result.error == "compressed in another way than deflate: pack the zip again"


def test_a_zip_bomb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as whole:
        whole.writestr("0/0.png", b"")
        whole.writestr("1/1.png", os.urandom(2**20))
    state_size(path, "1/1.png", 1025 * 2**20)
    (result,) = read(path)
    assert result.error == "a zip bomb: 1 MiB that unpack to 1,025 MiB"
    with pytest.raises(DatasetError) as caught:
        read_dataset(path)
    assert str(caught.value) == (
        f"The dataset '{path}' cannot be read: a zip bomb: 1 MiB that unpack to 1,025 MiB. "
        "Name a folder or a zip."
    )


def test_members_that_share_their_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w") as whole:
        whole.writestr("kernel.png", os.urandom(5000))
        for number in range(50):
            again = zipfile.ZipInfo(f"{number}.png")
            info = whole.getinfo("kernel.png")
            again.header_offset, again.CRC = info.header_offset, info.CRC
            again.compress_size, again.file_size = info.compress_size, info.file_size
            whole.filelist.append(again)
            whole.NameToInfo[again.filename] = again
    (result,) = read(path)
    assert result.error is not None
    assert "overlap" in result.error


@pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from /proc")
def test_a_member_that_holds_more_than_it_says_is_not_unpacked(tmp_path: Path) -> None:
    """In a process of its own, whose memory tells."""
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as whole:
        whole.writestr("1.png", bytes(400 * 2**20))
    state_size(path, "1.png", 1000)
    code = (
        "import sys\n"
        "from digit_classification.pictures.archive import Archive, ArchiveError\n"
        "try: Archive(sys.argv[1]).read_member('1.png', 10**6)\n"
        "except ArchiveError as error: print(error)\n"
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    problem, peak = done.stdout.splitlines()
    assert problem.startswith("damaged in the zip (Bad CRC-32")
    assert int(peak) < 100 * 2**10  # KiB


def test_a_member_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "digits.zip"
    path.write_bytes(as_zip({"1.png": b"\0" * (3 * 2**20)}))
    with Archive(path) as whole, pytest.raises(ArchiveError, match=r"^larger than 2 MiB$"):
        whole.read_member("1.png", 2 * 2**20)


def test_a_list_of_members_that_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(as_zip({f"{number}.png": b"" for number in range(2000)}))
    assert len(read(path)) == 2000
    monkeypatch.setattr(archive, "MAX_LIST_BYTES", 2**16)
    os.utime(path, (1, 1))  # opened anew
    (result,) = read(path)
    assert result.error == "its list of members is longer than 0 MiB"


def test_a_damaged_zip_among_others_is_a_result(tmp_path: Path) -> None:
    zip_folder(write_dataset(tmp_path / "digits", per_class=1), tmp_path / "whole.zip")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "whole.zip").read_bytes()[:-30])
    paths = [str(tmp_path / name) for name in ("cut.zip", "whole.zip")]
    results = [prepare(source) for source in find_sources(paths)]
    assert results[0].error == "no zip archive, or a damaged one"
    assert [one.error for one in results[1:]] == [None] * 10


# --------------------------------------------------------------------------------------- models


def refusal(path: Path) -> str:
    """Return the sentence about a model that must not be loaded, or computes nonsense."""
    with pytest.raises(ModelError) as caught:
        load_model(path).network(DIGITS)
    return str(caught.value)


def changed(path: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """Write a sound model to `path`, but with its card and members changed."""
    content = members(sound_model())
    card = json.loads(content[CARD])
    change(card, content)
    content[CARD] = json.dumps(card).encode()
    path.write_bytes(as_zip(content))
    return path


def test_a_sound_model_is_loaded(tmp_path: Path) -> None:
    probabilities = load_model(changed(tmp_path / "m.keras", lambda card, content: None)).network(
        DIGITS
    )
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


class _Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploited",)


@pytest.mark.parametrize("name", ["model.keras", "model.pkl"])
def test_a_pickle_is_refused_unread(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(pickle.dumps(_Exploit()))
    sentence = (
        f"'{name}' is a pickle, which can run code when it is loaded: "
        "name a .keras file with --model, or train a new one."
    )
    assert refusal(Path(name)) == sentence
    Path(name).write_bytes(as_zip({"archive/data.pkl": pickle.dumps(_Exploit())}))  # PyTorch's
    assert refusal(Path(name)) == sentence
    assert not Path("exploited").exists()


def test_an_hdf5_model_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 1000)
    assert refusal(path) == (
        f"'{path}' is an HDF5 model, which can run code when it is loaded. If you trust it, "
        "save it as .keras in Python, and name that with --model:\n"
        "    import keras\n"
        f"    keras.models.load_model({str(path)!r}).save({str(tmp_path / 'new.keras')!r})"
    )


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"'{tmp_path}' is a folder: name a .keras file with --model."


@pytest.mark.parametrize(
    ("widths", "reason"),
    [
        ([784, MAX_WIDTH + 1, 10], "a width is not from 1 to 65536"),
        ([784, MAX_WIDTH, MAX_WIDTH, 10], "more than 134,217,728 weights"),
        ([784, *[16] * 100, 10], "no list of widths"),
        ([784, 16.0, 10], "a width is not from 1 to 65536"),
        ([784, True, 10], "a width is not from 1 to 65536"),
        ([783, 16, 10], "not from images to ten digits"),
        ([784, 17, 10], "weights of another length"),
        ("784 16 10", "no list of widths"),
        (None, "no list of widths"),
    ],
)
def test_absurd_shapes(widths: object, reason: str, tmp_path: Path) -> None:
    path = changed(tmp_path / "m.keras", lambda card, content: card.update(widths=widths))
    assert refusal(path) == (
        f"The network in '{path}' cannot be used ({reason}): train the model again, or name "
        "another with --model."
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(value: float, tmp_path: Path) -> None:
    weights = np.full(packed_size([784, 16, 10]) // 4, value, "<f4").tobytes()
    path = changed(tmp_path / "m.keras", lambda card, content: content.update({WEIGHTS: weights}))
    assert "a weight is no number" in refusal(path)


def test_weights_that_give_no_probabilities(tmp_path: Path) -> None:
    widths = [784, *[16] * 20, 10]
    weights = np.full(packed_size(widths) // 4, 3e38, "<f4").tobytes()

    def change(card: dict[str, Any], content: dict[str, bytes]) -> None:
        card["widths"], content[WEIGHTS] = widths, weights

    assert "computes no probabilities" in refusal(changed(tmp_path / "m.keras", change))


def test_weights_that_hold_more_than_they_say(tmp_path: Path) -> None:
    path = changed(
        tmp_path / "m.keras", lambda card, content: content.update({WEIGHTS: b"\0" * 10**6})
    )
    assert "(larger than 0 MiB)" in refusal(path)


@pytest.mark.parametrize(
    "card",
    [
        b"[" * 100_000,
        b"{}",
        b"\xff",
        b'{"preparation": 1' + b"0" * 5000 + b"}",
        b" " * (2**24 + 1),
        b'{"preparation": {}, "created": 7}',
    ],
    ids=["deep", "empty", "no text", "a long number", "large", "no date"],
)
def test_a_damaged_card(card: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(as_zip({**members(sound_model()), CARD: card}))
    assert refusal(path) == f"'{path}' has a damaged card: train the model again."


def test_a_stranger_s_words_do_not_reach_the_terminal_as_they_are(tmp_path: Path) -> None:
    path = changed(
        tmp_path / "m.keras", lambda card, _: card.update(preparation="\x1b]0;title\x07" * 100)
    )
    sentence = refusal(path)
    assert sentence.isprintable()
    assert len(sentence) < 1500


def _without_weights(_: dict[str, Any], content: dict[str, bytes]) -> None:
    del content[WEIGHTS]


def test_a_model_of_an_earlier_version(tmp_path: Path) -> None:
    path = changed(tmp_path / "m.keras", _without_weights)
    assert refusal(path) == (
        f"'{path}' holds no '{WEIGHTS}', as one of an earlier version: train the model again."
    )


# ----------------------------------------------------------------------- models made elsewhere


def sequential(*layers: object) -> dict[str, Any]:
    first = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, 28, 28], "dtype": "float32", "name": "input"},
        "registered_name": None,
    }
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "sequential", "layers": [first, *layers]},
        "registered_name": None,
    }


def layer(name: str, module: str = "keras.layers", **config: object) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def foreign(path: Path, config: object, **further: bytes) -> Path:
    path.write_bytes(
        as_zip(
            {
                "metadata.json": b'{"keras_version": "3.12.0"}',
                "config.json": json.dumps(config).encode(),
                "model.weights.h5": b"",
                **further,
            }
        )
    )
    return path


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (layer("Lambda", function={"class_name": "__lambda__"}), "keras.layers.Lambda"),
        (layer("TFSMLayer", filepath="/tmp/model"), "keras.layers.TFSMLayer"),
        (layer("system", "os", command="touch exploited"), "os.system"),
        (layer("get_file", "keras.utils", origin="http://x"), "keras.utils.get_file"),
        (layer("function", "builtins"), "builtins.function"),
        (layer("Dense", kernel_initializer={"class_name": "__lambda__"}), "None.__lambda__"),
        ({"module": "keras.layers", "class_name": ["Dense"]}, "keras.layers.['Dense']"),
        ({"module": {}, "class_name": "Dense"}, "{}.Dense"),
    ],
)
def test_a_configuration_that_names_more_than_layers(
    part: dict[str, Any], named: str, tmp_path: Path
) -> None:
    path = foreign(tmp_path / "m.keras", sequential(part))
    assert refusal(path) == (
        f"The network in '{path}' cannot be used (it holds {named}, which is no layer of a plain "
        "network of digits): train the model again, or name another with --model."
    )


def test_a_configuration_with_code_of_its_own(tmp_path: Path) -> None:
    part = {**layer("Dense", units=10), "registered_name": "evil>Dense"}
    assert "it holds code of its own, evil>Dense" in refusal(
        foreign(tmp_path / "m.keras", sequential(part))
    )


@pytest.mark.parametrize("config", [[], "text", None])
def test_a_configuration_that_is_none(config: object, tmp_path: Path) -> None:
    assert "its configuration is damaged" in refusal(foreign(tmp_path / "m.keras", config))


@pytest.mark.parametrize("name", ["../../evil.py", "/etc/cron.d/evil", "assets/words.txt"])
def test_further_members_are_refused(name: str, tmp_path: Path) -> None:
    path = foreign(tmp_path / "m.keras", sequential(), **{name: b"evil"})
    assert f"it holds '{name}', which no plain network of digits needs" in refusal(path)


def test_keras_runs_in_a_process_that_may_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from digit_classification.network import made_elsewhere

    monkeypatch.setattr(made_elsewhere, "_serve", _crash)
    path = foreign(tmp_path / "m.keras", sequential(layer("Flatten"), layer("Dense", units=10)))
    assert "(Keras's process crashed, exit code " in refusal(path)


def _crash(*_: object) -> None:
    os._exit(11)


def test_keras_may_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from digit_classification.network import made_elsewhere

    monkeypatch.setattr(made_elsewhere, "_serve", _hang)
    monkeypatch.setattr(made_elsewhere, "TIMEOUT_S", 0.1)
    path = foreign(tmp_path / "m.keras", sequential(layer("Flatten"), layer("Dense", units=10)))
    assert "(Keras has not answered for 0.1 s)" in refusal(path)


def _hang(*_: object) -> None:
    time.sleep(60)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        (
            [layer("Flatten"), layer("Dense", units=10**9), layer("Dense", units=10)],
            "more than 134,217,728 weights",
        ),
        (
            [layer("Reshape", target_shape=[28, 28, 1]), layer("ZeroPadding2D", padding=5000)],
            "computes more than 1,048,576 values",
        ),
    ],
    ids=["weights", "values"],
)
def test_absurd_shapes_of_a_model_made_elsewhere(
    layers: list[dict[str, Any]], reason: str, tmp_path: Path
) -> None:
    """Nothing of that size is ever allocated: the refusal names the size, not the memory."""
    assert reason in refusal(foreign(tmp_path / "m.keras", sequential(*layers)))


def test_preparation_has_not_changed() -> None:
    """A model is refused when pictures are prepared in another way; bounds are no other way."""
    assert images.PREPARATION == {"version": 3, "side": 28, "box": 20, "deslant": True}


def test_checksums_are_of_the_whole_file(tmp_path: Path) -> None:
    path = changed(tmp_path / "m.keras", lambda card, content: None)
    assert load_model(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
