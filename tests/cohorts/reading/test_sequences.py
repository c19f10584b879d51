"""What a series is taken for, by its parameters first: values of usual protocols of the three large makers.

References:
    [1] Ellingson BM et al. Consensus recommendations for a standardized Brain Tumor Imaging Protocol in clinical
        trials. Neuro-Oncology 17, 2015: the bounds of its tables.
"""

from __future__ import annotations

import pytest

from glioseg.cohorts.reading.sequences import taken_for
from glioseg.io.dicom.instance import Technique


def _made(
    words: str, te: float | None = None, tr: float | None = None, ti: float | None = None, **more: object
) -> Technique:
    return Technique(
        sequences=frozenset(words.split()),
        echo_time_ms=te,
        repetition_time_ms=tr,
        inversion_time_ms=ti,
        **more,  # type: ignore[arg-type]
    )


BY_PARAMETERS: dict[str, tuple[Technique, str | None]] = {
    "Siemens MPRAGE": (_made("GR IR", 2.3, 1900, 900), "t1n"),
    "GE BRAVO": (_made("GR", 3.2, 8.2, 450, flip_angle=12.0), "t1n"),
    "Philips 3D TFE": (_made("GR", 3.7, 8.1, flip_angle=8.0), "t1n"),
    "T1 spin echo": (_made("SE", 9, 500), "t1n"),
    "GE T1 FLAIR": (_made("SE IR", 22, 2500, 860), "t1n"),
    "T2 TSE": (_made("SE", 98, 5500), "t2w"),
    "3D T2 SPACE": (_made("SE", 408, 3200), "t2w"),
    "FLAIR 2D": (_made("SE IR", 90, 9000, 2500), "t2f"),
    "FLAIR 3D SPACE": (_made("SE IR", 388, 5000, 1800), "t2f"),
    "consensus T1 at 1.5 T [1]": (_made("GR IR", 3.5, 2100, 1100, flip_angle=15.0), "t1n"),
    "consensus T2 [1]": (_made("SE", 80, 2600), "t2w"),
    "consensus FLAIR at 1.5 T [1]": (_made("SE IR", 140, 6100, 2200), "t2f"),
    "consensus FLAIR at 3 T [1]": (_made("SE IR", 100, 8000, 2500), "t2f"),
    "T1 SPACE": (_made("SE", 11, 700), "t1n"),
    "Philips T1 IR-TSE at 3 T": (_made("SE IR", 20, 2000, 800), "t1n"),
    "Philips 3D FLAIR": (_made("SE IR", 293, 4800, 1650), "t2f"),
    "GE CUBE FLAIR": (_made("SE IR", 120, 6300, 1710), "t2f"),
    "proton density": (_made("SE", 12, 3000), None),
    "STIR": (_made("SE IR", 60, 4500, 160), None),
    "T2* gradient echo": (_made("GR", 20, 700), None),
    "CISS": (_made("GR", 2.8, 6.0, variants=frozenset({"SS"}), flip_angle=60.0), None),
    "time of flight": (_made("GR", 3.6, 22, variants=frozenset({"SP", "TOF"}), flip_angle=20.0), None),
    "diffusion": (_made("EP", 90, 8000, b_value=1000.0), None),
    "localiser": (_made("GR", 4, 8, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), None),
    "ADC": (_made("SE", 98, 5500, image_type=("DERIVED", "PRIMARY", "ADC")), None),
    "mosaic": (_made("SE", 98, 5500, image_type=("ORIGINAL", "PRIMARY", "M", "MOSAIC")), None),
    "says T1": (_made("", contrast="T1"), "t1n"),
    "says FLAIR": (_made("", contrast="FLUID_ATTENUATED"), "t2f"),
    "says diffusion": (_made("SE", 98, 5500, contrast="DIFFUSION"), None),
    "says nothing": (Technique(), None),
}


@pytest.mark.parametrize("name", BY_PARAMETERS)
def test_taken_by_how_they_were_made(name: str) -> None:
    technique, modality = BY_PARAMETERS[name]
    taken = taken_for(technique)
    assert taken.modality == modality
    assert taken.why
    assert (taken.confidence > 0) == (modality is not None)


AGENTS: dict[str, tuple[dict[str, object], str, float]] = {
    "header": ({"has_agent": True}, "t1c", 0.8),
    "header and words": ({"has_agent": True, "description": "T1 KM"}, "t1c", 0.9),
    "words alone": ({"description": "T1 post Gd"}, "t1c", 0.75),
    "words against": ({"description": "T1 ohne KM"}, "t1n", 0.75),
    "header against words": ({"has_agent": True, "description": "T1 nativ"}, "t1c", 0.4),
    "given later": ({"has_agent": True, "agent_later": True}, "t1n", 0.8),
    "header says none": ({"has_agent": False}, "t1n", 0.8),
    "nothing": ({"description": "T1"}, "t1n", 0.5),
}


@pytest.mark.parametrize("name", AGENTS)
def test_contrast_by_the_header_and_then_by_words(name: str) -> None:
    more, modality, confidence = AGENTS[name]
    taken = taken_for(_made("GR IR", 2.3, 1900, 900, **more))
    assert (taken.modality, taken.confidence) == (modality, confidence)


def test_parameters_decide_where_words_contradict() -> None:
    taken = taken_for(_made("SE IR", 90, 9000, 2500, description="t1 se"))
    assert (taken.modality, taken.confidence) == ("t2f", 0.4)
    assert taken.why == "TR 9000, TE 90, TI 2500 ms are those of FLAIR, though it is called t1"


def test_words_decide_where_parameters_are_silent() -> None:
    taken = taken_for(_made("", description="Ax T2 FLAIR"))
    assert (taken.modality, taken.confidence) == ("t2f", 0.6)
