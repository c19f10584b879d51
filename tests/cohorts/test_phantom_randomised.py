"""The randomised phantoms: repeatable, far apart, still brains with tumours; and the faithful ones as they were."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import pytest

from glioseg.cohorts.phantom import MODALITIES, PhantomOptions, PhantomPatient, generate_patient
from glioseg.cohorts.phantom.contrast import SCANNERS
from glioseg.cohorts.phantom.fields import Frame
from glioseg.cohorts.phantom.randomised import Acquisition, disturbed, draw_random_look

OPTIONS = PhantomOptions(n_patients=6, spacing_mm=4.0, seed=5, n_randomised=5)
STILL = Acquisition(SCANNERS[0], 0.5, 0.0, 0.0, (), 2, 0.0, 0.0, (0.0, 0.0, 0.0), 0.0, 20.0)


@lru_cache(maxsize=1)
def patients() -> tuple[PhantomPatient, ...]:
    return tuple(generate_patient(OPTIONS, index) for index in range(OPTIONS.n_patients))


def digest(patient: PhantomPatient) -> str:
    arrays = (patient.image.array, patient.labels.array, patient.tissues.array)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def line(n: int, spacing_mm: float = 1.0) -> Frame:
    axis = (np.arange(n) * spacing_mm).astype(np.float32)
    return Frame((axis, axis, axis))


def test_the_same_options_give_the_same_patient() -> None:
    assert digest(generate_patient(OPTIONS, 2)) == digest(patients()[2])


def test_those_beyond_the_first_are_as_without() -> None:
    faithful = generate_patient(OPTIONS.model_copy(update={"n_randomised": 0}), 5)
    assert digest(faithful) == digest(patients()[5])
    assert digest(generate_patient(OPTIONS.model_copy(update={"n_randomised": 6}), 5)) != digest(faithful)


def test_they_are_brains_with_tumours() -> None:
    for patient in patients():
        brain = patient.image.array[0] > 0
        assert all(((channel > 0) == brain).all() for channel in patient.image.array)
        assert 0.6e6 < brain.sum() * 64 < 2.4e6  # mm³
        assert set(np.unique(patient.labels.array)) <= {0, 1, 2, 3}
        assert patient.labels.array.any()
        assert not (patient.labels.array > 0)[~brain].any()


def test_contrasts_are_far_apart() -> None:
    """Grey over white matter on FLAIR: of faithful patients within a tenth of 1.32, here anywhere from about 0.9."""
    looks = [draw_random_look(np.random.default_rng(seed), high_grade=True).signals for seed in range(200)]
    ratios = [look["t2f"]["gm"] / look["t2f"]["wm"] for look in looks]
    assert np.std(ratios) > 0.15
    assert min(ratios) < 1.0 < 1.6 < max(ratios)


@pytest.mark.parametrize("high_grade", [True, False])
def test_what_defines_a_tumour_stays(high_grade: bool) -> None:
    for seed in range(200):
        look = draw_random_look(np.random.default_rng(seed), high_grade).signals
        assert tuple(look) == MODALITIES
        assert look["t1c"]["rim"] > 1.1 * max(look["t1c"]["wm"], look["t1c"]["solid"])
        assert look["t2f"]["oedema"] > max(look["t2f"]["wm"], look["t2f"]["gm"])
        assert look["t2w"]["oedema"] > look["t2w"]["wm"]


def test_blur_keeps_a_constant_and_takes_nothing_from_outside() -> None:
    mask = np.zeros((9, 9, 9), dtype=np.bool_)
    mask[2:7, 2:7, 2:7] = True
    signal = np.full(125, 0.7, dtype=np.float32)
    thick = Acquisition(**{**vars(STILL), "thickness_mm": 5.0, "blur_mm": 1.0})
    assert disturbed(signal, STILL, line(9), mask) is signal
    np.testing.assert_allclose(disturbed(signal, thick, line(9), mask), 0.7, rtol=1e-5)


def test_motion_is_in_millimetres() -> None:
    """A plane of ones at x = 4 is found at x = 5 after 2 mm on voxels of 2 mm."""
    mask = np.ones((9, 9, 9), dtype=np.bool_)
    dense = np.zeros((9, 9, 9), dtype=np.float32)
    dense[4] = 1.0
    moved = Acquisition(**{**vars(STILL), "moved_mm": (2.0, 0.0, 0.0)})
    found = disturbed(dense[mask], moved, line(9, 2.0), mask).reshape(9, 9, 9)
    expected = np.zeros((9, 9, 9))
    expected[5] = 1.0
    np.testing.assert_allclose(found[1:], expected[1:], atol=1e-5)


def test_a_ghost_is_a_faint_copy_along_y() -> None:
    mask = np.ones((9, 9, 9), dtype=np.bool_)
    dense = np.zeros((9, 9, 9), dtype=np.float32)
    dense[:, 2] = 1.0
    ghosted = Acquisition(**{**vars(STILL), "ghost": 0.1, "ghost_mm": 3.0})
    found = disturbed(dense[mask], ghosted, line(9), mask).reshape(9, 9, 9)
    assert found[4, 2, 4] == pytest.approx(1.0)
    assert found[4, 5, 4] == pytest.approx(0.1)
