"""The README is tried, not believed."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

import digit_classification_detector as detector
import digit_classification_model_trainer as trainer
from digit_classification.config import FIELDS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def flags(parser: argparse.ArgumentParser) -> set[str]:
    return {
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    }


@pytest.mark.parametrize("script", [trainer, detector])
def test_every_flag_is_in_the_readme(script: object) -> None:
    documented = set(re.findall(r"--[a-z][a-z-]+", README))
    assert flags(script.build_parser()) <= documented  # type: ignore[attr-defined]


def test_the_readme_names_no_flag_that_does_not_exist() -> None:
    known = flags(trainer.build_parser()) | flags(detector.build_parser())
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) <= known


def test_the_readme_names_no_setting_that_does_not_exist() -> None:
    sections = {key.split(".")[0] for key in FIELDS}
    named = set(re.findall(rf"`((?:{'|'.join(sections)})\.[a-z_]+)`", README))
    assert named <= set(FIELDS)
    assert named


def test_exit_codes_are_in_the_help() -> None:
    for parser in (trainer.build_parser(), detector.build_parser()):
        assert "exit status:\n  0 " in parser.format_help()
        assert "  130  interrupted" in parser.format_help()


@pytest.mark.parametrize("script", [trainer, detector])
def test_every_option_has_help_and_the_help_an_example(script: object) -> None:
    parser: argparse.ArgumentParser = script.build_parser()  # type: ignore[attr-defined]
    assert all(action.help for action in parser._actions)
    assert "\nexample:\n" in parser.format_help()


@pytest.mark.parametrize("script", [trainer, detector])
def test_links_and_files_of_the_readme_exist(script: object) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
