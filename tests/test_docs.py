"""The pages in docs/ are tried, not believed."""

from __future__ import annotations

import re

import pytest

from tests import documents
from tests.sentences import collect, plain

TROUBLESHOOTING = documents.ROOT / "docs/troubleshooting.md"


# ------------------------------------------------------------------------------- troubleshooting


def sentences_on_the_page() -> list[str]:
    """Return what stands in code, on lines of its own, at the top of each entry."""
    found = []
    for entry in re.split(r"^- ", TROUBLESHOOTING.read_text(encoding="utf-8"), flags=re.MULTILINE):
        found += re.findall(
            r"^ *(`{1,2}) ?((?:(?!\1).)+?) ?\1 \\$", entry, re.DOTALL | re.MULTILINE
        )
    return [plain(sentence) for _, sentence in found]


def test_troubleshooting_has_every_sentence_of_the_program_and_no_other() -> None:
    said, unknown = collect()
    assert unknown == set(), "teach tests/sentences.py where these get their words from"
    shown = sentences_on_the_page()
    assert len(shown) == len(set(shown))
    missing = [f"{place}: {sentence}" for sentence, place in said.items() if sentence not in shown]
    assert missing == [], f"put them into {TROUBLESHOOTING.name}, each as the others are"
    assert set(shown) - set(said) == set(), "the program does not say this any more"
