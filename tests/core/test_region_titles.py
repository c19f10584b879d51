"""What the short names of regions stand for."""

from __future__ import annotations

import pytest

from glioseg.core.region_titles import region_meaning


@pytest.mark.parametrize(
    ("region", "labels", "meaning"),
    [
        ("WT", ("NCR", "ED", "ET"), "whole tumour: NCR + ED + ET"),
        ("ET", ("ET",), "enhancing tumour"),
        ("gm", ("gm",), ""),
        ("tumour", ("glioma", "meningioma"), "glioma + meningioma"),
    ],
)
def test_meanings(region: str, labels: tuple[str, ...], meaning: str) -> None:
    assert region_meaning(region, labels) == meaning
