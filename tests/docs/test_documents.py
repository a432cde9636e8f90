"""What the tests of the documentation compare is what its readers would see."""

from __future__ import annotations

import pytest

from tests.documents import masked


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        ("7 99.9%", "7 98.4%"),
        ("8 100.0%", "8 99.9%"),
        ("a/7.png: 7 99.9%", "a/7.png: 7 71.0%"),
        ("7 99.9%, 1 0.1%, 2 0.0%", "7 98.4%, 2 1.1%, 9 0.2%"),
        ("a/3.png,3,1.000000,ok,", "a/3.png,3,0.987654,ok,"),
        ("21 images in 0.4 s (51 a second)", "21 images in 12 s (2 a second)"),
        ("Stored in x.db, run 20261122-211346-589d526d", "Stored in x.db, run 20270101-000000-a3"),
        (
            "Test accuracy: 99.53% of 10,000 images, loss 0.0141",
            "Test accuracy: 70.83% of 24 images, loss 0.7634",
        ),
        ("Saved the model to m.keras (5.1 MB).", "Saved the model to m.keras (0.4 MB)."),
        ("made 2026-11-22T21:13:43+00:00", "made 2027-01-01T00:00:00+01:00"),
        ("     0        2\n ─────\n\n", "0  2\n ───────────"),
    ],
)
def test_machines_hours_and_models_may_differ(shown: str, seen: str) -> None:
    assert masked(shown) == masked(seen)


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        ("7 99.9%", "3 99.9%"),
        ("7 99.9%", "7 99.9% (uncertain)"),
        ("a/7.png: 7 99.9%", "a/7.png: 1 99.9%"),
        ("a/7.png: 7 99.9%", "a/1.png: 7 99.9%"),
        ("7 99.9%, 1 0.1%, 2 0.0%", "1 99.9%, 7 0.1%, 2 0.0%"),
        ("7 99.9%, 1 0.1%, 2 0.0%", "7 99.9%, 1 0.1%"),
        ("a/3.png,3,1.000000,ok,", "a/3.png,8,1.000000,ok,"),
        ("a/3.png,3,1.000000,ok,", "a/3.png,3,1.000000,uncertain,"),
        ("21 images in 0.4 s (51 a second)", "20 images in 0.4 s (51 a second)"),
        ("     0        2", "     0        3"),
        ("rejected: 2", "rejected: 3"),
        ("rejected: 2", "rejected: 2\nuncertain: 1"),
        ("found 2 digits", "found 3 digits"),
        ("RunCounts(images=31, ok=28)", "RunCounts(images=31, ok=27)"),
        ("Read 121 images of my_digits", "Read 120 images of my_digits"),
    ],
)
def test_digits_counts_and_statuses_may_not(shown: str, seen: str) -> None:
    assert masked(shown) != masked(seen)


def test_a_page_may_leave_open_how_many_digits_are_read() -> None:
    shown = "20 images in 1 s\n\n     8        2\n     9        2\n\nuncertain: 3\nrejected: 1\n"
    seen = "20 images in 1 s\n\n     8        4\n     9        0\n\nrejected: 1\n"
    assert masked(shown) != masked(seen)
    assert masked(shown, readings=False) == masked(seen, readings=False)
    others = (seen.replace("20 images", "19 images"), seen.replace("rejected: 1", "rejected: 2"))
    for other in others:
        assert masked(shown, readings=False) != masked(other, readings=False)
