"""Names of modalities: older ones mean ours, and LGG's own stay."""

from __future__ import annotations

import pytest

from glioseg.core.modalities import MODALITY_ALIASES, MODALITY_ORDER, modality_of, named_among, our_names


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("FLAIR", "t2f"),
        ("T1Gd", "t1c"),
        ("t1ce", "t1c"),
        ("T1", "t1n"),
        ("T2-FLAIR", "t2f"),
        ("pre", None),
        ("adc", None),
    ],
)
def test_older_names_mean_ours(word: str, ours: str | None) -> None:
    assert modality_of(word) == ours


def test_every_alias_is_of_one_of_ours() -> None:
    assert set(MODALITY_ALIASES.values()) == set(MODALITY_ORDER)


def test_names_as_they_are_said() -> None:
    assert our_names(["t1", "t1ce", "t2", "flair", "adc"]) == ("t1n", "t1c", "t2w", "t2f", "adc")
    assert our_names(["pre", "flair", "post"]) == ("pre", "flair", "post")


def test_a_name_among_those_of_a_cohort() -> None:
    assert named_among("flair", ("t1c", "t2f")) == "t2f"
    assert named_among("flair", ("pre", "flair", "post")) == "flair"
    assert named_among("flair", ("t1c",)) == "flair"  # for an error that says what was asked for
    assert named_among("pet", ("t1c",)) == "pet"
