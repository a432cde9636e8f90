"""The settings of both scripts: their types, ranges and defaults, and config.yaml's text.

This module is the one place for defaults.  Where a value comes from instead is in `config`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from digit_classification.image_formats import FORMATS, MAX_PIXELS, FormatName
from digit_classification.urls import SQLITE

PASSWORD_VARIABLE = "DIGITS_DATABASE_PASSWORD"


class Section(BaseModel):
    """What all sections agree on: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DatasetSettings(Section):
    path: Path = Field(
        Path("dataset/mnist-train.zip"),
        description="training images: a folder for each digit (0 to 9), or another form of "
        "docs/datasets.md",
    )
    test_path: Path | None = Field(
        Path("dataset/mnist-test.zip"),
        description="test images; null takes those that `path` holds as well, or test_fraction of "
        "it",
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
    lenient: bool = Field(
        False,
        description="leave out images whose label is no digit or has another beside it; train "
        "without digits that have none",
    )
    cache: bool = Field(
        True, description="keep the prepared images in a file beside the dataset for the next time"
    )


class ModelSettings(Section):
    path: Path = Field(
        Path("digit_classification.keras"),
        description="the model file: written by the trainer, read by the detector, which uses "
        "the one that comes with the program until there is one",
    )


class TrainingSettings(Section):
    hidden_units: tuple[int, ...] = Field(
        (1200,), min_length=1, description="width of each hidden layer, one number per layer"
    )
    epochs: int = Field(80, ge=1, description="passes over the training images")
    batch_size: int = Field(512, ge=2, description="images per step of the optimiser")
    learning_rate: float = Field(1.0, gt=0, le=10, description="peak step size of the optimiser")
    distort: bool = Field(
        True,
        description="distort the training images, afresh in each epoch: slower, but more accurate",
    )
    drawn_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="digits in styles that MNIST lacks, drawn by the program and added to the "
        "training images, as a share of those; 0 adds none",
    )
    scenes: int = Field(
        9_000,
        ge=0,
        le=1_000_000,
        description="simulated pictures, half of them of anything but one digit, from which the "
        "judge learns what one whole digit is; 0 trains no judge",
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


class ImageSettings(Section):
    formats: tuple[FormatName, ...] = Field(
        FORMATS,
        min_length=1,
        description="formats that are opened; AVIF and JPEG2000 can be added; PGM includes "
        "PBM and PPM; HEIC and PDF need requirements-formats.txt",
    )
    max_pixels: int = Field(
        MAX_PIXELS,
        ge=1,
        le=2**31 - 1,
        description="pictures and pages of more pixels are errors, so that a small file cannot "
        "fill the memory: up to 12 bytes a pixel",
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


# So sure is what is read as `ok`, unless the user says otherwise.  Any of several signs of a number
# may be wrong: from its own line on about as many of them are right as of digits, and of the cells
# of a form, from the other on.
SURE, SURE_OF_NUMBER = 0.85, 0.92


def least_confidence(read: str, given: float | None) -> float:
    """Return with which confidence, 0 to 1, what is read is `ok`: what the user gave, if at all."""
    if given is not None:
        return given
    return SURE_OF_NUMBER if read == "number" else SURE


class DetectionSettings(Section):
    read: Literal["digit", "number", "form"] = Field(
        "digit",
        description="what a picture shows: one digit; one number in one line, such as 1984, -3 or "
        "12,5; or a form, with a number in each cell of its table",
    )
    constraint: str | None = Field(
        None,
        description="regular expression that a number fits as a whole, such as \\d{4}; only with "
        "`read: number` and `read: form`",
    )
    template: Path | None = Field(
        None,
        description="YAML file of a form that returns: its fields, each with its own constraint; "
        "with it, forms are read",
    )
    min_confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="a digit or number read with less is `uncertain`; null takes "
        f"{SURE_OF_NUMBER} with `read: number`, and {SURE} otherwise",
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

    @property
    def least_confidence(self) -> float:
        """With which, 0 to 1, what is read is `ok`."""
        return least_confidence(self.read, self.min_confidence)

    @field_validator("constraint")
    @classmethod
    def _compilable(cls, value: str | None, others: ValidationInfo) -> str | None:
        """Refuse what would be found out by each picture, or by none."""
        if value is None:
            return None
        if others.data.get("read") == "digit":
            raise ValueError("it is for numbers; add `--read number`, or leave it out")
        check_constraint(value)
        return value

    @field_validator("template")
    @classmethod
    def _is_for_forms(cls, value: Path | None, others: ValidationInfo) -> Path | None:
        if value is None:
            return None
        if others.data.get("read") != "form":
            raise ValueError("it is for forms; add `--read form`, or leave it out")
        if others.data.get("constraint") is not None:
            raise ValueError("its fields have constraints of their own; leave out `--constraint`")
        return value


def check_constraint(value: str) -> None:
    """Raise ValueError if that is no regular expression."""
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no regular expression: {error}") from None


class DatabaseSettings(Section):
    url: str = Field(
        f"{SQLITE}digit_classification.db",
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


def with_template(settings: Settings, template: str | os.PathLike[str] | None) -> Settings:
    """Return settings with which forms of that template are read; None changes nothing."""
    if template is None:
        return settings
    changed = {"read": "form", "constraint": None, "template": Path(template)}
    return settings.model_copy(update={"detection": settings.detection.model_copy(update=changed)})


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    """Every key as `section.key`, with its definition, in the order of config.yaml."""
    for section, section_field in Settings.model_fields.items():
        for key, field in section_field.default.__class__.model_fields.items():
            yield f"{section}.{key}", field


FIELDS: dict[str, FieldInfo] = dict(_fields())


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
    text = as_text(value)
    if not isinstance(value, str | Path):
        return text
    try:
        plain = "\n" not in text and yaml.safe_load(f"key: {text}") == {"key": text}
    except yaml.YAMLError:
        plain = False
    return text if plain else json.dumps(text)  # JSON's strings are YAML's, too


def as_text(value: object) -> str:
    """A value as config.yaml would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_text(part) for part in value) + "]"
    return value.as_posix() if isinstance(value, Path) else str(value)
