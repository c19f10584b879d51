"""What was asked of a prediction, and whether a case that was predicted before has it."""

from __future__ import annotations

from typing import Any

import pytest

from glioseg.inference.uncertainty import UncertaintyOptions
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.tasks.wanted import Wanted

WRITTEN: dict[str, Any] = {"forms": {"nifti": "a.nii.gz", "report": ["a.png"], "seg": "a.seg.dcm"}, "explanation": {}}
OPTIONS = UncertaintyOptions().model_dump(mode="json")
NAMED = Wanted(write=("nifti", "seg"))
NOBODY = Wanted(write=("nifti", "seg"), deidentify=True)


@pytest.mark.parametrize(
    ("wanted", "more", "is_in"),
    [
        (Wanted(), {}, True),
        (Wanted(write=("stl",)), {}, False),
        (Wanted(explain=True), {}, True),
        (Wanted(uncertainty=UncertaintyOptions()), {}, False),
        (Wanted(ready=ReadyOptions(n4=True, register=True)), {}, False),
        (Wanted(uncertainty=UncertaintyOptions()), {"uncertainty": {"options": OPTIONS}}, True),
        (Wanted(uncertainty=UncertaintyOptions(flips="all")), {"uncertainty": {"options": OPTIONS}}, False),
        (Wanted(uncertainty=UncertaintyOptions()), {"uncertainty": {}}, False),
        (Wanted(), {"uncertainty": {"options": OPTIONS}}, True),
        (NAMED, {}, True),
        (NAMED, {"deidentified": False}, True),
        (NAMED, {"deidentified": True}, False),
        (NOBODY, {}, False),
        (NOBODY, {"deidentified": False}, False),
        (NOBODY, {"deidentified": True}, True),
        (Wanted(), {"deidentified": True}, True),
    ],
)
def test_a_case_has_what_is_wanted(wanted: Wanted, more: dict[str, Any], is_in: bool) -> None:
    assert wanted.is_in(WRITTEN | more) is is_in
