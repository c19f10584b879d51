"""Border terms are kept for slices with two components, and only for these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glioseg.core import scheme_named
from glioseg.io.nifti import write_nifti
from glioseg.preparation.border import BorderOptions, border_term
from glioseg.preparation.border_cache import border_maps
from glioseg.preparation.cache import prepare
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.store import PreparedCohort
from tests.preparation.toys import GRID, SHAPE, cohort_of, write_case

OPTIONS = PrepareOptions(regions=("WT", "ET"))


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedCohort:
    """Slice 1: one square of oedema; slice 2: two, one of them enhancing; nothing elsewhere. A second case without."""
    cases = [write_case(tmp_path, 0), write_case(tmp_path, 1, labels=False)]
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[3:5, 4:6, 1] = 2
    labels[3:5, 4:6, 2] = 2
    labels[8:10, 4:6, 2] = 4
    write_nifti(tmp_path / "case-0" / "seg.nii.gz", labels, GRID)
    cohort = cohort_of(*cases, scheme=scheme_named("brats2021"))
    return prepare(cohort, OPTIONS, tmp_path / "cache", n_workers=1)


def test_only_slices_with_two_components_have_a_map(prepared: PreparedCohort) -> None:
    maps = border_maps(prepared, BorderOptions())
    assert set(maps.maps) == {"case-0"}
    assert [z for z in range(SHAPE[2]) if maps.at("case-0", z) is not None] == [2]


def test_a_map_is_the_border_term_of_each_region(prepared: PreparedCohort) -> None:
    term = border_maps(prepared, BorderOptions(sigma=3.0)).at("case-0", 2)
    regions = prepared.cases[0].regions
    assert term is not None
    assert regions is not None
    assert term.dtype == np.float16
    np.testing.assert_allclose(term[0], border_term(regions[2, 0], sigma=3.0), rtol=1e-3)
    assert term[0].max() > 0
    assert not term[1].any()  # one component of enhancing tumour


def test_maps_are_made_once_for_each_choice(prepared: PreparedCohort) -> None:
    border_maps(prepared, BorderOptions())
    (first,) = _map_files(prepared)
    before = first.stat().st_mtime_ns
    border_maps(prepared, BorderOptions())
    assert first.stat().st_mtime_ns == before
    border_maps(prepared, BorderOptions(form="ronneberger"))
    assert len(_map_files(prepared)) == 2


def test_what_an_interruption_left_is_made_anew(prepared: PreparedCohort) -> None:
    border_maps(prepared, BorderOptions())
    (maps,) = _map_files(prepared)
    record, whole = maps.with_suffix(".json"), maps.read_bytes()
    record.unlink()  # the maps are written first
    border_maps(prepared, BorderOptions())
    assert record.exists()
    assert maps.read_bytes() == whole


def test_a_damaged_map_is_made_anew(prepared: PreparedCohort) -> None:
    before = np.array(border_maps(prepared, BorderOptions()).at("case-0", 2))  # a copy: what is mapped changes, too
    (path,) = _map_files(prepared)
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(data)
    after = border_maps(prepared, BorderOptions()).at("case-0", 2)
    assert after is not None
    np.testing.assert_array_equal(after, before)


def _map_files(prepared: PreparedCohort) -> list[Path]:
    return sorted(prepared.folder.glob("borders-*/*.npy"))
