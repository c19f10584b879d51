"""Masks that cannot be right are named, and right ones are not.

The head of every volume is an ellipse of 14 x 18 voxels in a picture of 24 x 32, dark but for a bright tumour to its
left and front.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

from glioseg.cohorts.checks.check import check
from glioseg.cohorts.checks.masks import better_moves
from glioseg.cohorts.description import CohortDescription
from glioseg.cohorts.explore.describe import explore
from glioseg.core import Case, Cohort, Grid, Source, scheme_named
from glioseg.io.load import read_labels
from glioseg.report.cohort import write_cohort_report
from tests.cohorts.hand_made import cohort, volume_case

Array = npt.NDArray[Any]
SHAPE = (24, 32, 10)


def _head() -> Array:
    """(X, Y, Z) bool."""
    x, y, _ = np.indices(SHAPE)
    inside: Array = ((x - 11.5) / 7) ** 2 + ((y - 15.5) / 9) ** 2 < 1
    return inside


def _tumour() -> Array:
    """(X, Y, Z) bool: 4 x 4 x 4 voxels inside the head, off its middle along each axis."""
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[7:11, 19:23, 1:5] = True
    return mask


def _image(seed: int = 0) -> Array:
    noise = np.random.default_rng(seed).integers(0, 40, SHAPE)
    return np.where(_head(), 200 + noise + 300 * _tumour(), 0).astype(np.int16)


def _volume(folder: Path, mask: Array, name: str = "a") -> Cohort:
    return cohort(volume_case(folder, name, {"t2f": _image()}, mask.astype(np.uint8)))


def _kinds(about: CohortDescription) -> list[tuple[str, str]]:
    return [(each.severity, each.kind) for each in about.findings if "mask" in each.kind]


def _shifted() -> Array:
    """Half outside: the head is one voxel wide at its ends along Y, and 8 of 16 columns of the tumour leave it."""
    return np.roll(_tumour(), 7, axis=1)


@pytest.mark.parametrize(
    ("make", "expected", "words"),
    [
        pytest.param(_tumour, [], "", id="right"),
        pytest.param(lambda: ~_tumour(), ["inverted-mask"], "covers 99 % of the picture and 100 %", id="inverted"),
        pytest.param(lambda: np.ones(SHAPE, np.bool_), ["inverted-mask"], "covers 100 %", id="everything"),
        pytest.param(_head, ["brain-mask"], "covers 100 % of what is not black", id="the brain"),
        pytest.param(_shifted, ["mask-outside-head"], "% of the mask lies outside the head", id="displaced"),
        pytest.param(lambda: _tumour()[:, ::-1], ["mirrored-mask"], "better mirrored front to back", id="mirrored Y"),
        pytest.param(lambda: _tumour()[::-1], ["mirrored-mask"], "better mirrored left to right", id="mirrored X"),
        pytest.param(lambda: _tumour()[..., ::-1], ["mirrored-mask"], "better mirrored top to bottom", id="mirrored Z"),
        pytest.param(lambda: _tumour()[::-1, ::-1], ["mirrored-mask"], "better turned by 180°", id="turned"),
        pytest.param(lambda: np.zeros(SHAPE, np.bool_), ["empty-mask"], "every mask is empty (1)", id="empty"),
    ],
)
def test_a_volume_whose_mask_cannot_be_right(
    tmp_path: Path, make: Callable[[], Array], expected: list[str], words: str
) -> None:
    about = explore(_volume(tmp_path, make()), n_workers=1)
    assert _kinds(about) == [("warning", kind) for kind in expected]
    assert all(words in finding.message for finding in about.findings if finding.kind in expected)
    assert not about.has_errors


def test_an_empty_mask_among_others_is_but_a_note(tmp_path: Path) -> None:
    cases = [
        volume_case(tmp_path, name, {"t2f": _image(seed)}, mask.astype(np.uint8))
        for seed, (name, mask) in enumerate({"a": _tumour(), "b": np.zeros(SHAPE)}.items())
    ]
    assert ("note", "empty-mask") in _kinds(explore(cohort(*cases), n_workers=1))


def test_the_report_shows_the_case(tmp_path: Path) -> None:
    scans = _volume(tmp_path, ~_tumour())
    about = explore(scans, n_workers=1)
    assert [(mask.case, mask.kinds) for mask in about.doubtful_masks] == [("a", ("inverted-mask",))]
    page = write_cohort_report(scans, about, tmp_path / "report").read_text(encoding="utf-8")
    assert "Masks that seem wrong" in page
    assert (tmp_path / "report" / "figures" / "masks.png").stat().st_size > 1000


def test_how_much_better_a_moved_mask_fits() -> None:
    """Tumour 5, head 1 or 3 by turns: mean and deviation of the head are those of 2 values, the moved mask has 5."""
    image = np.where(np.indices((8, 4, 6)).sum(axis=0) % 2, 3.0, 1.0)
    image[:4, :2, :2] = 5.0
    head = np.ones((8, 4, 6), dtype=np.bool_)
    mask = np.zeros_like(head)
    mask[:4, :2, 4:] = True  # mirrored along X, the last axis
    moves = better_moves({"t2f": image}, head, mask, Grid.of_pictures((6, 4, 8)))
    mean, at_rest = image.mean(), 2.0  # the mask covers as many 1 as 3
    assert moves["mirrored left to right"] == pytest.approx((5 - mean) / (mean - at_rest))
    assert set(moves) == {"mirrored left to right"}


# --- pictures ---------------------------------------------------------------------------------------------------------


def _picture(folder: Path, mask: Array, name: str = "a", mode: str | None = None) -> Case:
    """The middle slice of the head, and a mask (rows, columns[, channels])."""
    paths = folder / f"{name}.png", folder / f"{name}_mask.png"
    Pillow.fromarray((_image()[..., 2] // 3).astype(np.uint8).T).save(paths[0])
    Pillow.fromarray(mask, mode).save(paths[1])
    return Case(name, name, {"grey": Source((paths[0],), "raster")}, Source((paths[1],), "raster"))


def _plain() -> Array:
    """(rows, columns) uint8."""
    return (255 * _tumour()[..., 2]).astype(np.uint8).T


def _in_alpha() -> Array:
    return np.dstack([np.full((*_plain().shape, 3), 255, np.uint8), _plain()])


def _overlay() -> Array:
    """The scan in grey with the tumour's outline in red."""
    grey = (_image()[..., 2] // 3).astype(np.uint8).T
    picture = np.dstack([grey, grey, grey])
    picture[19:23, 7:11] = (255, 0, 0)
    return picture


def _four_labels() -> Array:
    """A lesion of 4 x 8 pixels, half of it 85."""
    mask = _plain()
    mask[15:19] = mask[19:23] // 3
    return mask


@pytest.mark.parametrize(
    ("make", "expected", "words"),
    [
        pytest.param(_plain, [], "", id="right"),
        pytest.param(lambda: 255 - _plain(), [("warning", "inverted-mask")], "exchanged", id="inverted"),
        pytest.param(_in_alpha, [("note", "alpha-mask")], "its transparency (alpha) was read", id="alpha"),
        pytest.param(_overlay, [("warning", "unclear-mask")], "looks like a picture", id="red overlay"),
        pytest.param(
            _four_labels,
            [("warning", "unclear-mask")],
            "holds several values (85, 255), and the scheme has one label: those from half the largest count as "
            "tumour. If each means something of its own, say what with `--labels 85=NAME,255=NAME`",
            id="several greys",
        ),
    ],
)
def test_a_picture_whose_mask_is_odd(
    tmp_path: Path, make: Callable[[], Array], expected: list[tuple[str, str]], words: str
) -> None:
    about = explore(cohort(_picture(tmp_path, make()), scheme="binary", layout="pairs"), n_workers=1)
    # the overlay's bright half is the tumour alone, so that nothing else is wrong with it
    assert _kinds(about) == expected
    assert all(words in finding.message for finding in about.findings if "mask" in finding.kind)


def test_a_mask_in_alpha_is_the_mask(tmp_path: Path) -> None:
    case = _picture(tmp_path, _in_alpha())
    assert case.labels is not None
    (summary,) = check(cohort(case, scheme="binary", layout="pairs"), n_workers=1)
    assert summary.tumour_voxels == 16
    assert read_labels(case.labels, scheme_named("binary")).array.sum() == 16


def test_the_soft_edge_of_a_resized_mask_is_no_label(tmp_path: Path) -> None:
    soft = np.asarray(Pillow.fromarray(_plain()).resize((48, 64), Pillow.Resampling.BILINEAR))
    assert len(np.unique(soft)) > 2
    case = _picture(tmp_path, soft)
    Pillow.fromarray((_image()[..., 2] // 3).astype(np.uint8).T).resize((48, 64)).save(tmp_path / "a.png")
    assert _kinds(explore(cohort(case, scheme="binary", layout="pairs"), n_workers=1)) == []


def test_pictures_are_told_to_be_mirrored_together(tmp_path: Path) -> None:
    """One picture tells too little; twenty that agree do not."""
    mirrored = np.ascontiguousarray(_plain()[::-1])
    cases = [_picture(tmp_path, mirrored, f"p{number}") for number in range(20)]
    few = explore(cohort(*cases[:19], scheme="binary", layout="pairs"), n_workers=1)
    all_of_them = explore(cohort(*cases, scheme="binary", layout="pairs"), n_workers=1)
    assert "mirrored-mask" not in [finding.kind for finding in few.findings]
    (finding,) = [finding for finding in all_of_them.findings if finding.kind == "mirrored-mask"]
    assert finding.message == "20 of 20 masks would fit their pictures much better mirrored top to bottom"
