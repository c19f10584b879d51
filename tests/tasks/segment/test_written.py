"""What is told of a mask that was written, and what scans of a training look like."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glioseg.tasks.segment import checked
from glioseg.tasks.segment.prediction import written_case


@pytest.mark.parametrize(
    ("unit", "volume", "words"), [("ml", 71.2345, "WT 71.2 ml"), ("voxels", 1234567.0, "WT 1,234,567 voxels")]
)
def test_voxels_are_counted_and_never_rounded(unit: str, volume: float, words: str) -> None:
    facts = {"case": "a", "mask": "a.png", "volumes": {"unit": unit, "WT": volume}, "warnings": []}
    written = written_case(facts, Path("out"))
    assert written.text == f"{Path('out/a.png')}: {words}"
    assert written.row["WT"] == volume


@pytest.mark.parametrize(("n", "looked_at"), [(3, 3), (200, 200), (201, 101), (399, 200), (1000, 200)])
def test_what_a_training_looks_like_is_told_by_200_cases_at_most(
    n: int, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked, "channels_of", lambda prepared, modalities: (0,))
    monkeypatch.setattr(checked, "fit_intensities", lambda modalities, features: {"n": len(list(features))})
    case = SimpleNamespace(images=np.ones((1, 1, 2, 2), dtype=np.float16))
    part: Any = SimpleNamespace(prepared=SimpleNamespace(cases=[case] * n))
    predictor: Any = SimpleNamespace(modalities=("t2f",))
    found: Any = checked.training_intensities(predictor, part)
    assert found == {"n": looked_at}
