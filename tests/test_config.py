"""Settings: what wins over what, and what is said of a wrong one."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from digit_classification.config import Settings, SettingsError, add_setting, load_settings
from digit_classification.settings import FIELDS, config_text
from tests.documents import ROOT


def load(tmp_path: Path, text: str = "", arguments: str = "", **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_setting(parser, "--epochs", "training.epochs")
    add_setting(parser, "--dataset", "dataset.path")
    add_setting(parser, "--hidden-units", "training.hidden_units", nargs="+")
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return load_settings(parser.parse_args(arguments.split()), file, environment)


def test_the_config_file_is_the_one_written_from_the_defaults() -> None:
    assert (ROOT / "config.yaml").read_text(encoding="utf-8") == config_text()


def test_the_config_file_holds_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load_settings(None, Path("config.yaml"), {}) == Settings()


def test_command_line_over_environment_over_file_over_default(tmp_path: Path) -> None:
    default = Settings().training.epochs
    file, variable = "training: {epochs: 7}", {"DIGITS_TRAINING_EPOCHS": "8"}
    assert load(tmp_path).training.epochs == default
    assert load(tmp_path, file).training.epochs == 7
    assert load(tmp_path, file, **variable).training.epochs == 8
    assert load(tmp_path, file, "--epochs 9", **variable).training.epochs == 9


def test_hidden_units_are_read_from_every_layer(tmp_path: Path) -> None:
    assert load(tmp_path, "training: {hidden_units: 64}").training.hidden_units == (64,)
    assert load(tmp_path, "training: {hidden_units: [64, 32]}").training.hidden_units == (64, 32)
    assert load(tmp_path, "", "--hidden-units 64 32").training.hidden_units == (64, 32)
    variable = {"DIGITS_TRAINING_HIDDEN_UNITS": "64,32"}
    assert load(tmp_path, **variable).training.hidden_units == (64, 32)


def test_formats_are_read_from_every_layer(tmp_path: Path) -> None:
    assert load(tmp_path, "images: {formats: [png, WEBP]}").images.formats == ("PNG", "WebP")
    assert load(tmp_path, DIGITS_IMAGES_FORMATS="png,jpeg").images.formats == ("PNG", "JPEG")


def test_paths_of_the_file_are_relative_to_it(tmp_path: Path) -> None:
    settings = load(
        tmp_path, "dataset: {path: digits}\ndatabase: {url: 'sqlite:///results/digits.db'}"
    )
    assert settings.dataset.path == tmp_path / "digits"
    assert settings.database.url == f"sqlite:///{(tmp_path / 'results/digits.db').as_posix()}"


def test_another_dataset_does_not_keep_the_test_set_of_the_one_it_replaces(tmp_path: Path) -> None:
    file = "dataset: {path: a, test_path: b}"
    assert load(tmp_path, file).dataset.test_path == tmp_path / "b"
    assert load(tmp_path, file, "--dataset c").dataset.test_path is None
    assert load(tmp_path, "dataset: {path: c}").dataset.test_path is None


def test_an_empty_variable_is_null(tmp_path: Path) -> None:
    assert load(tmp_path, DIGITS_DATASET_TEST_PATH="").dataset.test_path is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "training: {epoch: 3}",
            "Unknown key 'training.epoch' in '{file}': did you mean 'training.epochs'?",
        ),
        ("trainig: {epochs: 3}", "Unknown section 'trainig' in '{file}': did you mean 'training'?"),
        (
            "training: {epochs: 0}",
            "training.epochs = 0 (from '{file}') is not valid: "
            "input should be greater than or equal to 1.",
        ),
        (
            "training: {hidden_units: []}",
            "training.hidden_units = [] (from '{file}') is not valid: "
            "tuple should have at least 1 item after validation, not 0.",
        ),
        (
            "training: {hidden_units: [800, 0]}",
            "training.hidden_units = [800, 0] (from '{file}') is not valid: "
            "each width should be from 1 to 65536.",
        ),
        ("training: 3", "'training' in '{file}' should hold keys such as `hidden_units:`."),
        (
            "database: mysql://user:hunter2@host/digits",
            "'database' in '{file}' should hold keys such as `url:`.",
        ),
        (
            "images: {formats: [PNG, EPS]}",
            "images.formats = [PNG, EPS] (from '{file}') is not valid: input should be 'PNG', "
            "'JPEG', 'BMP', 'GIF', 'TIFF', 'WebP', 'PGM', 'HEIC', 'PDF', 'AVIF' or 'JPEG2000'.",
        ),
        (
            "images: {max_pixels: 0}",
            "images.max_pixels = 0 (from '{file}') is not valid: "
            "input should be greater than or equal to 1.",
        ),
        ("- training", "'{file}' should hold sections such as `training:`, not a list."),
        (
            "training: [",
            "'{file}' is not valid YAML at line 2: did not find expected node content.",
        ),
    ],
)
def test_a_wrong_setting_in_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert str(caught.value) == message.format(file=tmp_path / "config.yaml")


def test_a_wrong_setting_elsewhere_says_where(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, DIGITS_TRAINING_EPOCHS="many")
    assert str(caught.value) == (
        "training.epochs = many (from DIGITS_TRAINING_EPOCHS) is not valid: "
        "it should be a whole number."
    )
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, "", "--epochs -1")
    assert str(caught.value) == (
        "training.epochs = -1 (from the command line) is not valid: "
        "input should be greater than or equal to 1."
    )


def test_a_misspelt_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, DIGITS_TRAINING_EPOCH="3")
    assert str(caught.value) == (
        "Unknown environment variable DIGITS_TRAINING_EPOCH: did you mean 'DIGITS_TRAINING_EPOCHS'?"
    )


def test_the_password_is_no_setting(tmp_path: Path) -> None:
    settings = load(tmp_path, DIGITS_DATABASE_PASSWORD="hunter2")
    assert "hunter2" not in settings.model_dump_json()


def test_a_config_file_that_is_not_there() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, Path("missing.yaml"), {})
    assert str(caught.value) == "There is no settings file 'missing.yaml': check --config."


def test_every_key_has_a_description() -> None:
    assert all(field.description for field in FIELDS.values())


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({}, 0.85),
        ({"read": "number"}, 0.92),  # any of its signs may be wrong
        ({"read": "form"}, 0.85),
        ({"read": "number", "min_confidence": 0.5}, 0.5),
        ({"min_confidence": 0.0}, 0.0),
    ],
)
def test_what_is_read_is_ok_from_this_confidence_on(given: dict[str, object], least: float) -> None:
    assert Settings.model_validate({"detection": given}).detection.least_confidence == least
