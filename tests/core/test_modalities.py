"""Names of modalities: older ones mean ours, and LGG's own stay."""

from __future__ import annotations

import pytest

from glioseg.core.modalities import modality_of, named_among, our_names, sequence_of, split_sequence


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("FLAIR", "t2f"),
        ("T1Gd", "t1c"),
        ("t1ce", "t1c"),
        ("T1", "t1n"),
        ("T2-FLAIR", "t2f"),
        ("T1_post", "t1c"),
        ("T1+C", "t1c"),
        ("T1 + Gd", "t1c"),
        ("T1C+", "t1c"),
        ("Ax T1 post GD", "t1c"),
        ("t1_tse_tra_KM", "t1c"),
        ("MPRAGE", "t1n"),
        ("T1 without contrast", "t1n"),
        ("t1_pre", "t1n"),
        ("T1pre", "t1n"),
        ("FLAIR_ax", "t2f"),
        ("FLAIR post", "t2f"),
        ("t2_tirm_dark-fluid", "t2f"),
        ("T2w_tse_sag", "t2w"),
        ("T1C_bias", "t1c"),
        ("T1 T2", None),
        ("c", None),
        ("p1_flair", None),
        ("pre", None),
        ("adc", None),
    ],
)
def test_older_names_mean_ours(word: str, ours: str | None) -> None:
    assert modality_of(word) == ours


@pytest.mark.parametrize(
    ("text", "name"), [("SWI_bias", "swi"), ("DTI_eddy_FA", "dti_fa"), ("FA", None), ("L1", None), ("2020", None)]
)
def test_other_sequences_keep_their_names(text: str, name: str | None) -> None:
    assert sequence_of(text) == name


@pytest.mark.parametrize(
    ("name", "case", "sequence"),
    [
        ("p1_T1_post", "p1", "T1_post"),
        ("TCGA-02-0006_1996.08.23_t1Gd", "TCGA-02-0006_1996.08.23", "t1Gd"),
        ("UPENN-GBM-00001_11_FLAIR_unstripped", "UPENN-GBM-00001_11", "FLAIR_unstripped"),
        ("00000057_brain_t1ce", "00000057", "brain_t1ce"),
        ("patient_c_t1", "patient_c", "t1"),  # a single letter is rather the patient's
        ("T1", "", "T1"),
        ("p1_seg", "p1_seg", ""),
    ],
)
def test_the_case_before_a_sequence(name: str, case: str, sequence: str) -> None:
    assert split_sequence(name) == (case, sequence)


def test_names_as_they_are_said() -> None:
    assert our_names(["t1", "t1ce", "t2", "flair", "adc"]) == ("t1n", "t1c", "t2w", "t2f", "adc")
    assert our_names(["pre", "flair", "post"]) == ("pre", "flair", "post")


def test_a_name_among_those_of_a_cohort() -> None:
    assert named_among("flair", ("t1c", "t2f")) == "t2f"
    assert named_among("flair", ("pre", "flair", "post")) == "flair"
    assert named_among("flair", ("t1c",)) == "flair"  # for an error that says what was asked for
    assert named_among("pet", ("t1c",)) == "pet"
