"""A skull is seen where there is one, in every contrast, and not where it was removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glioseg.core import Grid, Image, Source
from glioseg.errors import GeometryError
from glioseg.io.load import read_sources
from glioseg.preparation.ready.skull import WITH_SKULL, has_skull, skull_share
from tests.conftest import _REAL_DATA
from tests.fakes.heads import patient, with_skull


def _shares(image: Image, codes: str = "RAS") -> list[float | None]:
    grid = image.grid.with_orientation(codes)
    turned = [nib.as_closest_canonical(nib.Nifti1Image(channel, image.grid.affine)) for channel in image.array]
    axes = nib.orientations.axcodes2ornt(codes)
    arrays = [
        each.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(each.affine), axes)) for each in turned
    ]
    return [skull_share(np.asarray(each.dataobj), grid) for each in arrays]


@pytest.fixture(scope="module")
def image() -> Image:
    return patient(2.0)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_heads_with_skull_and_without(image: Image, codes: str) -> None:
    without, having = _shares(image, codes), _shares(with_skull(image), codes)
    assert all(share is not None and share < WITH_SKULL for share in without)
    assert all(share is not None and share > WITH_SKULL for share in having)


def test_what_is_no_head_tells_nothing() -> None:
    grid = Grid((30, 30, 30), np.eye(4))
    assert skull_share(np.zeros(grid.shape), grid) is None
    ball = np.zeros(grid.shape)
    ball[10:20, 10:20, 10:20] = 1
    assert skull_share(ball, grid) is None


@pytest.mark.parametrize("codes", ["RAS", "PIR"])
def test_a_section_whose_middle_lies_outside_it_is_none_of_a_head(codes: str) -> None:
    """Two thighs that touch, say: from the middle between them most ways lead into neither."""
    grid = Grid((100, 100, 12), np.diag([2.0, 2.0, 5.0, 1.0]))
    legs = np.zeros(grid.shape, dtype=np.float32)
    legs[5:95, 5:30] = legs[5:30, 5:95] = legs[70:95, 5:95] = 1.0
    image = Image(legs[None], ("t1n",), grid)
    assert _shares(image, codes) == [None]
    assert has_skull(image) is None


def test_pictures_are_refused() -> None:
    with pytest.raises(GeometryError, match="looked for in volumes"):
        skull_share(np.zeros((9, 9, 9)), Grid.of_pictures((9, 9, 9)))


def _real() -> Iterator[Path]:
    yield from sorted((_REAL_DATA / "brats2021").rglob("*.nii.gz"))
    yield from sorted((_REAL_DATA / "ibsr").glob("*/*[0-9].nii.gz"))[:3]


@pytest.mark.realdata
@pytest.mark.skipif(not _REAL_DATA.is_dir(), reason="no real scans here")
def test_real_brains_without_skull() -> None:
    for path in _real():
        if "seg" not in path.name:
            channel = None if nib.load(path).ndim == 3 else 0
            voxels = read_sources({"scan": Source((path,), "nifti", channel)})["scan"]
            assert isinstance(voxels, tuple)
            share = skull_share(voxels.array, voxels.grid)
            assert share is not None
            assert share < WITH_SKULL, path.name
