"""Descriptions of series, as operators in several countries write them."""

from __future__ import annotations

import pytest

from glioseg.core.sequence_words import described

SAID: dict[str, tuple[str | None, bool | None]] = {
    "t1_mprage_sag_p2_iso KM": ("t1", True),
    "T1w SE ax ohne KM": ("t1", False),
    "T1 nativ": ("t1", False),
    "T1nativ": ("t1", False),
    "Ax T1 w/o": ("t1", False),
    "AX T1 POST": ("t1", True),
    "T1+C": ("t1", True),
    "MPRAGE GD+": ("t1", True),
    "3D BRAVO +C": ("t1", True),
    "T1 sagital sin contraste": ("t1", False),
    "T1 3D con contraste": ("t1", True),
    "3DT1 avec injection": (None, True),
    "T1 sans injection": ("t1", False),
    "T1 senza mdc": ("t1", False),
    "T1 dopo mdc": ("t1", True),
    "T1 pós-gadolínio": ("t1", True),
    "T1 natywny bez kontrastu": ("t1", False),
    "Т1 с контрастом": ("t1", True),
    "Т2 без контраста": ("t2w", False),
    "T1增强": ("t1", True),
    "T1 造影": ("t1", True),
    "AX T2 FLAIR": ("t2f", None),
    "t2_tirm_tra_dark-fluid": ("t2f", None),
    "TIRM cor": ("t2f", None),
    "sag cube t2 flair": ("t2f", None),
    "FLAIR_T1 ax": ("t1", None),
    "T2 TSE post op": ("t2w", None),
    "T1 POST-OP nativ": ("t1", False),
    "T1 with fat sat": ("t1", None),
    "T2* GRE": ("other", None),
    "ep2d_diff_b1000_ADC": ("other", None),
    "3D TOF": ("other", None),
    "localizer": ("other", None),
    "T\u036f1 po\u0301s KM": ("t1", True),  # accents apart, up to the last of their block
    "Brain": (None, None),
}


@pytest.mark.parametrize("text", SAID)
def test_what_descriptions_say(text: str) -> None:
    said = described(text)
    assert (said.weighting, said.agent) == SAID[text]


def test_only_words_that_say_something_are_kept() -> None:
    assert described("DOE JANE 1932 t1 mprage MRN4711 KM").words == ("t1", "mprage", "km")
