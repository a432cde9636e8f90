"""Settings: their types, defaults and ranges, and where their values come from.

The command line wins over the environment, the environment over config.yaml, and config.yaml
over the defaults below.  `training.epochs`, for example, is set by

    --epochs 20                      on the command line
    DIGITS_TRAINING_EPOCHS=20        in the environment
    training: {epochs: 20}           in config.yaml

This module is the one place for defaults; config.yaml is written from it:

    python -m digit_classification.config > config.yaml
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

ENVIRONMENT_PREFIX = "DIGITS_"
PARQUET = "parquet:"  # begins the URL of a database that is a Parquet dataset
PASSWORD_VARIABLE = "DIGITS_DATABASE_PASSWORD"
# Variables that begin like a setting but are none: the secret, and what only the tests read.
OTHER_VARIABLES = (PASSWORD_VARIABLE, "DIGITS_TEST_")
CONFIG_NAME = "config.yaml"


# Where pydantic's own words are for programmers.
REASONS = {
    "int_parsing": "it should be a whole number",
    "int_from_float": "it should be a whole number",
    "float_parsing": "it should be a number",
    "bool_parsing": "it should be true or false",
}


class SettingsError(Exception):
    """A setting is wrong; the message is one sentence for the user."""


class Section(BaseModel):
    """What all sections agree on: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DatasetSettings(Section):
    path: Path = Field(
        Path("dataset/mnist-train.zip"),
        description="folder or zip of training images, one folder per digit (0 to 9)",
    )
    test_path: Path | None = Field(
        Path("dataset/mnist-test.zip"),
        description="folder or zip of test images; null takes test_fraction of `path` instead",
    )
    test_fraction: float = Field(
        0.2, gt=0, lt=1, description="part of the dataset held back as test set"
    )
    validation_fraction: float = Field(
        0.1, gt=0, lt=1, description="part of the training images held out for validation"
    )
    corrections: Path | None = Field(
        None,
        description="CSV file of pictures to learn as well, with the labels that a person "
        "gave them; the detector's review page writes it",
    )
    strict: bool = Field(False, description="an unreadable image ends the training")
    cache: bool = Field(
        True, description="keep the prepared images in a file beside the dataset for the next time"
    )


class ModelSettings(Section):
    path: Path = Field(
        Path("digit_classification.keras"),
        description="the model file: written by the trainer, read by the detector",
    )


class TrainingSettings(Section):
    hidden_units: tuple[int, ...] = Field(
        (800,), min_length=1, description="width of each hidden layer, one number per layer"
    )
    epochs: int = Field(100, ge=1, description="passes over the training images")
    batch_size: int = Field(512, ge=2, description="images per step of the optimiser")
    learning_rate: float = Field(1.0, gt=0, le=10, description="peak step size of the optimiser")
    distort: bool = Field(
        True,
        description="distort the training images, afresh in each epoch: slower, but more accurate",
    )
    drawn_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="digits in styles that MNIST lacks, drawn by the program and added to the "
        "training images, as a share of those; 0 adds none",
    )
    early_stopping: int | None = Field(
        None,
        ge=1,
        description="epochs without a lower validation loss after which the training ends; null "
        "trains all epochs",
    )
    seed: int = Field(42, ge=0, lt=2**32, description="fixes the split, the weights, the batches")

    @field_validator("hidden_units", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        """Accept 800, "800 400" and "800,400" (the environment has only text) beside a list."""
        if isinstance(value, str):
            return value.replace(",", " ").split()
        return value if isinstance(value, list | tuple) else [value]

    @field_validator("hidden_units")
    @classmethod
    def _bounded(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= units <= 65_536 for units in value):
            raise ValueError("each width should be from 1 to 65536")
        return value


FormatName = Literal["PNG", "JPEG", "BMP", "GIF", "TIFF", "WebP", "PGM", "AVIF", "JPEG2000"]


class ImageSettings(Section):
    formats: tuple[FormatName, ...] = Field(
        ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WebP", "PGM"),
        min_length=1,
        description="formats that are opened; AVIF and JPEG2000 can be added; PGM includes "
        "PBM and PPM",
    )
    max_pixels: int = Field(
        89_478_485,
        ge=1,
        le=2**31 - 1,
        description="pictures of more pixels are errors, so that a small file cannot fill the "
        "memory: up to 12 bytes a pixel",
    )

    @field_validator("formats", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        """Accept "PNG JPEG" and "png,jpeg" (the environment has only text) beside a list."""
        names = value.replace(",", " ").split() if isinstance(value, str) else value
        known = {name.upper(): name for name in get_args(FormatName)}
        if not isinstance(names, list | tuple):
            return names
        return [known.get(str(name).upper(), name) for name in names]


class DetectionSettings(Section):
    min_confidence: float = Field(
        0.6, ge=0, le=1, description="a digit read with less confidence is `uncertain`"
    )
    invert: Literal["auto", "always", "never"] = Field(
        "auto",
        description="auto finds the polarity of each picture; always: dark ink on light; never: "
        "light ink on dark",
    )
    batch_size: int = Field(
        1000, ge=1, le=100_000, description="images per call of the network and per transaction"
    )
    workers: int = Field(
        0, ge=0, le=1024, description="processes that read images; 0 takes the cores it may use"
    )


class DatabaseSettings(Section):
    url: str = Field(
        "sqlite:///digit_classification.db",
        description="where results go: sqlite:///FILE, mysql://USER@HOST:PORT/NAME, "
        "parquet:FOLDER or parquet:s3://BUCKET/FOLDER, or none",
    )
    option_file: Path | None = Field(
        None, description="MySQL option file whose [client] group holds user and password"
    )
    tls_ca: Path | None = Field(
        None, description="certificate authority that the MySQL server's certificate is checked by"
    )
    tls_required: bool = Field(False, description="refuse a MySQL connection without TLS")
    connections: int = Field(
        8, ge=1, le=1000, description="the most connections that a cluster opens to a MySQL server"
    )
    retry_seconds: float = Field(
        60,
        ge=0,
        le=86_400,
        description="how long a run waits for a database that went away; 0 does not wait",
    )


class Settings(Section):
    """All settings of both scripts."""

    dataset: DatasetSettings = Field(DatasetSettings(), description="what the trainer learns from")
    model: ModelSettings = Field(ModelSettings(), description="what the scripts share")
    training: TrainingSettings = Field(TrainingSettings(), description="how the trainer learns")
    images: ImageSettings = Field(
        ImageSettings(), description="which pictures are opened, by both scripts"
    )
    detection: DetectionSettings = Field(
        DetectionSettings(), description="how the detector reads pictures"
    )
    database: DatabaseSettings = Field(
        DatabaseSettings(), description=f"its password comes from {PASSWORD_VARIABLE}"
    )


class Origin(NamedTuple):
    """A value and where it came from, for the error message."""

    value: object
    source: str


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    """Every key as `section.key`, with its definition, in the order of config.yaml."""
    for section, section_field in Settings.model_fields.items():
        for key, field in section_field.default.__class__.model_fields.items():
            yield f"{section}.{key}", field


FIELDS: dict[str, FieldInfo] = dict(_fields())
VARIABLES: dict[str, str] = {
    ENVIRONMENT_PREFIX + key.replace(".", "_").upper(): key for key in FIELDS
}


def add_setting(group: Any, flag: str, key: str, **options: Any) -> None:
    """Add `flag` to an argparse group as an override of the setting `key`.

    Its help is the setting's description and default, so that neither is written twice.
    """
    field = FIELDS[key]
    default = _as_text(field.default)
    options.setdefault("help", f"{field.description} (default: {default})")
    action = group.add_argument(flag, dest=key, default=argparse.SUPPRESS, **options)
    if get_origin(field.annotation) is Literal:  # the shell completes these (argcomplete)
        action.completer = lambda **_: get_args(field.annotation)


def load_settings(
    arguments: argparse.Namespace | None = None,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Merge defaults, config.yaml, the environment and the command line, and check the result.

    `config` names the file; without it, config.yaml in the working directory is read, or else
    the one beside the scripts.  Relative paths in the file are relative to the file.

    Raises SettingsError with one sentence that names the value and where it came from.
    """
    file = _find_config(config)
    flags = vars(arguments) if arguments is not None else {}
    layers = [
        _read_config(file) if file is not None else {},
        _read_environment(os.environ if environment is None else environment),
        {key: Origin(flags[key], "the command line") for key in FIELDS if key in flags},
    ]
    values: dict[str, Origin] = {}
    for layer in layers:
        # Another dataset does not go with the test set of the one it replaces.
        if "dataset.path" in layer:
            values["dataset.test_path"] = Origin(None, layer["dataset.path"].source)
        values.update(layer)
    return _validate(values)


def _find_config(config: Path | None) -> Path | None:
    if config is not None:
        if not config.is_file():
            raise SettingsError(f"There is no settings file '{config}': check --config.")
        return config
    beside_the_scripts = Path(__file__).resolve().parent.parent
    for folder in (Path(), beside_the_scripts):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    return None


def _read_config(file: Path) -> dict[str, Origin]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The settings file '{file}' cannot be read: {error}: check --config."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "bad syntax"
        raise SettingsError(f"'{file}' is not valid YAML{where}: {problem}.") from None
    if not isinstance(content, dict | None):
        raise SettingsError(f"'{file}' should hold sections such as `training:`, not a list.")

    values = {}
    for section, keys in (content or {}).items():
        if section not in Settings.model_fields:
            known = [*Settings.model_fields, *FIELDS]
            raise SettingsError(f"Unknown section '{section}' in '{file}'{_hint(section, known)}")
        if not isinstance(keys, dict | None):
            # Not repeated: it may be the URL of a database, with a password in it.
            key = next(name for name in FIELDS if name.startswith(f"{section}.")).split(".")[1]
            raise SettingsError(f"'{section}' in '{file}' should hold keys such as `{key}:`.")
        for key, value in (keys or {}).items():
            name = f"{section}.{key}"
            if name not in FIELDS:
                raise SettingsError(f"Unknown key '{name}' in '{file}'{_hint(name, FIELDS)}")
            values[name] = Origin(_relative_to(file.parent, name, value), f"'{file}'")
    return values


def _read_environment(environment: Mapping[str, str]) -> dict[str, Origin]:
    values = {}
    for variable, value in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable.startswith(OTHER_VARIABLES):
            continue
        if variable not in VARIABLES:
            raise SettingsError(
                f"Unknown environment variable {variable}{_hint(variable, VARIABLES)}"
            )
        # An empty variable means null, as in test_path: use no separate test set.
        values[VARIABLES[variable]] = Origin(value or None, variable)
    return values


def _validate(values: Mapping[str, Origin]) -> Settings:
    nested: dict[str, dict[str, object]] = {}
    for name, (value, _) in values.items():
        section, key = name.split(".")
        nested.setdefault(section, {})[key] = value
    try:
        return Settings.model_validate(nested)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(str(part) for part in problem["loc"][:2])
        value, source = values[name]
        message = problem["msg"].removeprefix("Value error, ")
        reason = REASONS.get(problem["type"], message[0].lower() + message[1:])
        raise SettingsError(
            f"{name} = {_as_text(value)} (from {source}) is not valid: {reason}."
        ) from None


def _relative_to(folder: Path, name: str, value: object) -> object:
    """Read a relative path of the file `folder`/config.yaml as relative to `folder`."""
    if not isinstance(value, str):
        return value
    if "Path" in str(FIELDS[name].annotation):
        return str(folder / value)
    sqlite = "sqlite:///"
    if name == "database.url" and value.startswith(sqlite):
        return sqlite + (folder / value.removeprefix(sqlite)).as_posix()
    parquet = "parquet:"
    if name == "database.url" and value.startswith(parquet) and "://" not in value:
        return parquet + (folder / value.removeprefix(parquet)).as_posix()
    return value


def _hint(word: str, known: Iterator[str] | Sequence[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f": did you mean '{close[0]}'?" if close else f"; known are {', '.join(known)}."


def _as_text(value: object) -> str:
    """A value as config.yaml would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_as_text(part) for part in value) + "]"
    return value.as_posix() if isinstance(value, Path) else str(value)


def config_text() -> str:
    """Return config.yaml with every key at its default, one comment each."""
    return (
        "# Settings of both scripts. The command line and DIGITS_SECTION_KEY in the environment\n"
        "# override them; a relative path is relative to this file.\n\n"
    ) + settings_text(Settings(), [*Settings.model_fields])


def settings_text(settings: Settings, sections: Sequence[str], *, absolute: bool = False) -> str:
    """Return these sections as config.yaml would hold them, one comment for each key.

    With `absolute` paths, the text means the same in any folder.
    """
    blocks = []
    for name in sections:
        section = getattr(settings, name)
        lines = [f"{name}:  # {Settings.model_fields[name].description}"]
        for key, field in type(section).model_fields.items():
            value = getattr(section, key)
            if absolute and isinstance(value, Path):
                value = value.absolute()
            lines += [f"  # {field.description}", f"  {key}: {_as_yaml(value)}"]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _as_yaml(value: object) -> str:
    """A value in YAML: as a person would write it where that is read back as the same value."""
    text = _as_text(value)
    if not isinstance(value, str | Path):
        return text
    try:
        plain = "\n" not in text and yaml.safe_load(f"key: {text}") == {"key": text}
    except yaml.YAMLError:
        plain = False
    return text if plain else json.dumps(text)  # JSON's strings are YAML's, too


if __name__ == "__main__":
    sys.stdout.write(config_text())
