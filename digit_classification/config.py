"""Where the values of settings come from.

The command line wins over the environment, the environment over config.yaml, and config.yaml
over the defaults, which are in `settings`.  `training.epochs`, for example, is set by

    --epochs 20                      on the command line
    DIGITS_TRAINING_EPOCHS=20        in the environment
    training: {epochs: 20}           in config.yaml

config.yaml itself is written by

    python -m digit_classification.config > config.yaml
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import yaml
from pydantic import ValidationError

from digit_classification.errors import UserError
from digit_classification.settings import (
    FIELDS,
    PASSWORD_VARIABLE,
    DatabaseSettings,
    DatasetSettings,
    DetectionSettings,
    ImageSettings,
    ModelSettings,
    Settings,
    TrainingSettings,
    as_text,
    config_text,
)
from digit_classification.urls import PARQUET, SQLITE

__all__ = [  # with the classes of settings: who uses the toolkit from Python needs one module
    "DatabaseSettings",
    "DatasetSettings",
    "DetectionSettings",
    "ImageSettings",
    "ModelSettings",
    "Settings",
    "SettingsError",
    "TrainingSettings",
    "add_setting",
    "load_settings",
]

ENVIRONMENT_PREFIX = "DIGITS_"
# Variables that begin like a setting but are none: the secret, and what only the tests read.
OTHER_VARIABLES = (PASSWORD_VARIABLE, "DIGITS_TEST_")
VARIABLES: dict[str, str] = {
    ENVIRONMENT_PREFIX + key.replace(".", "_").upper(): key for key in FIELDS
}
CONFIG_NAME = "config.yaml"
PACKAGE = Path(__file__).resolve().parent
INSTALLED_DATASET = PACKAGE / "dataset"  # in a checkout it is beside the package: see setup.py

# libyaml's, where PyYAML was built with it: a tenth of the time.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Where pydantic's own words are for programmers.
REASONS = {
    "int_parsing": "it should be a whole number",
    "int_from_float": "it should be a whole number",
    "float_parsing": "it should be a number",
    "bool_parsing": "it should be true or false",
}


class SettingsError(UserError):
    """A setting is wrong; the message is one sentence for the user."""


class Origin(NamedTuple):
    """A value and where it came from, for the error message."""

    value: object
    source: str


def add_setting(group: Any, flag: str, key: str, **options: Any) -> None:
    """Add `flag` to an argparse group as an override of the setting `key`.

    Its help is the setting's description and default, so that neither is written twice.
    """
    field = FIELDS[key]
    default = as_text(field.default)
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
    `model.path` as config.yaml comes names no model: `model_fields_set` then lacks it.

    Raises SettingsError with one sentence that names the value and where it came from.
    """
    file = _find_config(config)
    flags = vars(arguments) if arguments is not None else {}
    layers = [
        _bundled_dataset(),
        _read_config(file) if file is not None else {},
        _read_environment(os.environ if environment is None else environment),
        {key: Origin(flags[key], "the command line") for key in FIELDS if key in flags},
    ]
    values: dict[str, Origin] = {}
    for layer in layers:
        # Another dataset does not go with the test set of the one it replaces.
        if "dataset.path" in layer:
            values["dataset.test_path"] = Origin(None, layer["dataset.path"].source)
        # A template is one of a form, whatever is read without it.
        template = layer.get("detection.template")
        if template is not None and template.value is not None:
            values["detection.read"] = Origin("form", template.source)
        values.update(layer)
    settings = _validate(values)
    if "model.path" in values and _is_as_it_comes(values["model.path"], file):
        settings.model.model_fields_set.remove("path")
    return settings


def _bundled_dataset() -> dict[str, Origin]:
    """Return where the MNIST that comes along is, if this package was installed."""
    if not INSTALLED_DATASET.is_dir():
        return {}  # in a checkout, config.yaml tells
    names = {key: FIELDS[key].default.name for key in ("dataset.path", "dataset.test_path")}
    return {
        key: Origin(str(INSTALLED_DATASET / name), "the package") for key, name in names.items()
    }


def _is_as_it_comes(model: Origin, file: Path | None) -> bool:
    """Whether the settings file gives the path of the model, and as its default."""
    if file is None or model.source != f"'{file}'":
        return False
    return model.value == str(file.parent / FIELDS["model.path"].default)


def _find_config(config: Path | None) -> Path | None:
    if config is not None:
        if not config.is_file():
            raise SettingsError(f"There is no settings file '{config}': check --config.")
        return config
    # Beside an installed package is what other packages have installed.
    beside_the_scripts = [] if INSTALLED_DATASET.is_dir() else [PACKAGE.parent]
    for folder in (Path(), *beside_the_scripts):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    return None


def _read_config(file: Path) -> dict[str, Origin]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), LOADER)
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
            f"{name} = {as_text(value)} (from {source}) is not valid: {reason}."
        ) from None


def _relative_to(folder: Path, name: str, value: object) -> object:
    """Read a relative path of the file `folder`/config.yaml as relative to `folder`."""
    if not isinstance(value, str):
        return value
    if "Path" in str(FIELDS[name].annotation):
        return str(folder / value)
    if name == "database.url" and value.startswith(SQLITE):
        return SQLITE + (folder / value.removeprefix(SQLITE)).as_posix()
    if name == "database.url" and value.startswith(PARQUET) and "://" not in value:
        return PARQUET + (folder / value.removeprefix(PARQUET)).as_posix()
    return value


def _hint(word: str, known: Iterator[str] | Sequence[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f": did you mean '{close[0]}'?" if close else f"; known are {', '.join(known)}."


if __name__ == "__main__":
    sys.stdout.write(config_text())
