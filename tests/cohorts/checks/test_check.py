"""Every finding has a fake that triggers it, and damage never ends in a traceback."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest

from glioseg.cohorts.checks import measure
from glioseg.cohorts.checks.check import check
from glioseg.cohorts.parallel import n_workers_for
from glioseg.cohorts.summary import CaseSummary
from glioseg.core import Case, Cohort, Finding, Grid, Source
from glioseg.io.nifti import write_nifti
from tests.cohorts.hand_made import SHAPE, cohort, head, picture_case, ras, tumour, volume_case
from tests.fakes.damage import as_empty, as_text, truncate


def only(cohort: Cohort) -> CaseSummary:
    (summary,) = check(cohort, n_workers=1)
    return summary


def kinds(summary: CaseSummary) -> list[tuple[str, str]]:
    return [(finding.severity, finding.kind) for finding in summary.findings]


# --- sound cases ------------------------------------------------------------------------------------------------------


def test_a_sound_case_has_no_findings(tmp_path: Path) -> None:
    images = {"t1c": head(1), "t2f": head(2)}
    summary = only(cohort(volume_case(tmp_path, "a", images, tumour((3, 4, 2), (3, 5, 2), (3, 4, 3), value=3))))
    assert summary.findings == ()
    assert (summary.shape, summary.spacing, summary.orientation, summary.has_mm) == (
        SHAPE,
        (1.0, 1.0, 1.0),
        "RAS",
        True,
    )
    assert summary.n_voxels == 12 * 10 * 6
    assert summary.n_brain_voxels == 10 * 8 * 6  # all but the frame
    assert summary.labels == ("NCR", "ED", "ET")
    assert summary.slices.label_voxels.tolist() == [[0, 0, n] for n in (0, 0, 2, 1, 0, 0)]
    assert summary.slices.tumour_voxels.tolist() == [0, 0, 2, 1, 0, 0]
    assert summary.n_tumour_slices == 2
    assert summary.tumour_voxels == 3
    assert summary.tumour_ml == pytest.approx(0.003)
    assert summary.slices.non_black.tolist() == pytest.approx([80 / 120] * 6)


def test_noise_is_not_black_and_shows_nothing(tmp_path: Path) -> None:
    """Slices of LGG before the head hold noise of up to 7 of 255: all of it counts, none of it is seen."""
    pictures = [np.full((8, 6), 5, dtype=np.uint8) for _ in range(3)]
    pictures[1][:2] = 200  # 12 of 48 pixels
    slices = only(cohort(picture_case(tmp_path, "a", pictures))).slices
    assert slices.non_black.tolist() == [1, 1, 1]
    assert slices.seen["grey"].tolist() == [0, 0.25, 0]


def test_volumes_are_in_millilitres(tmp_path: Path) -> None:
    grid = ras(spacing=2.0)  # 8 mm³ a voxel
    case = volume_case(tmp_path, "a", {"t2f": head()}, tumour((3, 4, 2), (4, 4, 2)), grid=grid)
    assert only(cohort(case)).tumour_ml == pytest.approx(0.016)


def test_pictures_have_no_millimetres(tmp_path: Path) -> None:
    picture, mask = np.full((8, 6), 200, dtype=np.uint8), np.zeros((8, 6), dtype=np.uint8)
    picture[:4] = 0
    mask[6, 3] = 255
    summary = only(cohort(picture_case(tmp_path, "a", [picture], [mask]), scheme="binary"))
    assert (summary.shape, summary.orientation, summary.has_mm) == ((8, 6, 1), None, False)
    assert (summary.tumour_voxels, summary.tumour_ml, summary.tumour_centre) == (1, None, (6, 3, 0))
    assert summary.slices.non_black.tolist() == [0.5]


def test_tissues_are_no_tumour(tmp_path: Path) -> None:
    summary = only(cohort(volume_case(tmp_path, "a", {"t1n": head()}, tumour((3, 4, 2), value=2)), scheme="ibsr"))
    assert summary.has_reference
    assert summary.tumour_voxels is None
    assert summary.slices.label_voxels.sum(axis=0).tolist() == [0, 1, 0]
    assert summary.n_tumour_slices == 0


def test_the_resection_cavity_is_no_tumour(tmp_path: Path) -> None:
    labels = tumour((3, 4, 2), value=4) + tumour((5, 4, 3), value=2)
    summary = only(cohort(volume_case(tmp_path, "a", {"t1n": head()}, labels), scheme="brats2024"))
    assert summary.tumour_voxels == 1
    assert summary.slices.tumour_voxels.tolist() == [0, 0, 0, 1, 0, 0]


def test_labels_without_a_scheme_are_counted_by_value(tmp_path: Path) -> None:
    labels = tumour((3, 4, 2), value=2) + tumour((5, 4, 3), value=9)
    summary = only(cohort(volume_case(tmp_path, "a", {"t1n": head()}, labels), scheme=None))
    assert summary.labels == ("label 2", "label 9")
    assert summary.tumour_voxels == 2
    assert summary.findings == ()


def test_an_empty_mask_is_a_negative_case(tmp_path: Path) -> None:
    for scheme in ("brats2023", None):
        summary = only(cohort(volume_case(tmp_path, "a", {"t1n": head()}, tumour()), scheme=scheme))
        assert (summary.has_reference, summary.tumour_voxels, summary.tumour_centre) == (True, 0, None)
        assert summary.heat == ()


# --- findings ---------------------------------------------------------------------------------------------------------


def test_modalities_on_different_grids(tmp_path: Path) -> None:
    case = volume_case(tmp_path, "a", {"t1c": head(1), "t2f": head(2)[:, :, :5]})
    summary = only(cohort(case))
    assert kinds(summary) == [("error", "modality-geometry")]
    assert "shape 12x10x6 against 12x10x5" in summary.findings[0].message
    assert list(summary.modalities) == ["t1c"]


def test_modalities_that_lie_apart(tmp_path: Path) -> None:
    case = volume_case(tmp_path, "a", {"t1c": head(1), "t2f": head(2)})
    shifted = ras().affine.copy()
    shifted[0, 3] = 4.0
    write_nifti(case.images["t2f"].paths[0], head(2), Grid(SHAPE, shifted))
    summary = only(cohort(case))
    assert kinds(summary) == [("error", "modality-geometry")]
    assert set(summary.modalities) == {"t1c", "t2f"}


def test_headers_that_round_differently_are_a_warning(tmp_path: Path) -> None:
    """0.028 mm on voxels of 1 mm: what four decimals of a direction come to over a head."""
    other = np.array(ras().affine)
    other[0, 3] += 0.028
    case = volume_case(tmp_path, "a", {"t1c": head(1), "t2f": head(2)}, tumour((3, 4, 2), (4, 4, 2)))
    write_nifti(case.images["t2f"].paths[0], head(2), Grid(SHAPE, other))
    summary = only(cohort(case))
    assert kinds(summary) == [("warning", "modality-geometry")]
    assert "0.028 mm apart, as rounding does" in summary.findings[0].message
    assert set(summary.modalities) == {"t1c", "t2f"}


def test_files_that_are_not_what_their_names_say(tmp_path: Path) -> None:
    case = volume_case(tmp_path, "a", {"t2f": head(1)}, tumour((3, 4, 2), (4, 4, 2)))
    (path,) = case.images["t2f"].paths
    path.write_bytes(gzip.compress(path.read_bytes()))
    summary = only(cohort(case))
    assert kinds(summary) == [("note", "odd-file")]
    assert "compressed" in summary.findings[0].message


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    case = volume_case(tmp_path, "a", {"t2f": head()}, tumour((1, 1, 1), shape=(12, 10, 5)))
    summary = only(cohort(case))
    assert kinds(summary) == [("error", "mask-geometry")]
    assert not summary.has_reference
    assert summary.tumour_voxels is None


def test_a_picture_mask_of_another_size(tmp_path: Path) -> None:
    case = picture_case(tmp_path, "a", [noise(0)], [np.zeros((5, 6), dtype=np.uint8)])
    assert kinds(only(cohort(case, scheme="binary"))) == [("error", "mask-size")]


def test_label_values_outside_the_scheme(tmp_path: Path) -> None:
    labels = tumour((3, 4, 2), value=4) + tumour((5, 4, 3), value=2)
    summary = only(cohort(volume_case(tmp_path, "a", {"t2f": head()}, labels), scheme="brats2023"))
    assert kinds(summary) == [("error", "unknown-labels")]
    assert "holds 4" in summary.findings[0].message
    assert "`--scheme brats2015` or `--scheme brats2021` or `--scheme brats2024`" in summary.findings[0].message
    assert summary.labels == ("NCR", "ED", "ET", "unknown 4")
    assert summary.tumour_voxels == 1  # of the ED voxel alone


def test_label_values_that_are_not_whole(tmp_path: Path) -> None:
    labels = tumour((3, 4, 2)).astype(np.float32) * 0.5
    summary = only(cohort(volume_case(tmp_path, "a", {"t2f": head()}, labels)))
    assert kinds(summary) == [("error", "unknown-labels")]
    assert not summary.has_reference


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    image = head().astype(np.float32)
    image[5, 5, :2] = bad
    summary = only(cohort(volume_case(tmp_path, "a", {"t1c": head(1), "t2f": image}, tumour((5, 5, 0)))))
    assert kinds(summary) == [("error", "nan-or-inf")]
    assert "t2f" in summary.findings[0].message
    assert "in 2 of its voxels" in summary.findings[0].message
    assert np.isfinite(summary.modalities["t2f"].mean)


def test_a_volume_of_nothing_but_nan(tmp_path: Path) -> None:
    image = np.full(SHAPE, np.nan, dtype=np.float32)
    summary = only(cohort(volume_case(tmp_path, "a", {"t2f": image}, tumour((5, 5, 0)))))
    assert ("error", "nan-or-inf") in kinds(summary)
    assert summary.modalities == {}
    assert summary.fingerprint.content is None


@pytest.mark.parametrize(("value", "look"), [(0, "black everywhere"), (7, r"the same everywhere \(7\)")])
def test_constant_images(tmp_path: Path, value: int, look: str) -> None:
    flat = np.full(SHAPE, value, dtype=np.int16)
    summary = only(cohort(volume_case(tmp_path, "a", {"t1c": head(), "t2f": flat})))
    assert kinds(summary) == [("warning", "constant-image")]
    assert summary.findings[0].message == f"t2f is {look}".replace("\\", "")
    assert np.isnan(summary.correlation[0, 1])


def test_missing_modality_and_mask(tmp_path: Path) -> None:
    full = volume_case(tmp_path, "a", {"t1c": head(1), "t2f": head(2)}, tumour((3, 4, 2)))
    bare = volume_case(tmp_path, "b", {"t2f": head(3)})
    first, second = check(cohort(full, bare), n_workers=1)
    assert first.findings == ()
    assert kinds(second) == [("warning", "missing-modality"), ("warning", "missing-mask")]
    assert second.findings[0].message == "t1c is missing"


def test_a_cohort_without_masks_lacks_none(tmp_path: Path) -> None:
    assert only(cohort(volume_case(tmp_path, "a", {"t2f": head()}))).findings == ()


def test_what_the_reader_has_said_is_not_said_again(tmp_path: Path) -> None:
    full = volume_case(tmp_path, "a", {"t1c": head(1), "t2f": head(2)}, tumour((3, 4, 2)))
    bare = volume_case(tmp_path, "b", {"t2f": head(3)})
    findings = (Finding("warning", "missing-modality", "no t1c", "b"), Finding("warning", "missing-mask", "no", "b"))
    assert [summary.findings for summary in check(cohort(full, bare, findings=findings), n_workers=1)] == [(), ()]


def test_a_channel_that_repeats_another(tmp_path: Path) -> None:
    summary = only(cohort(volume_case(tmp_path, "a", {"t1c": head(1), "t2w": head(2), "t2f": head(2)})))
    assert kinds(summary) == [("warning", "repeated-channel")]
    assert summary.findings[0].message.startswith("t2w and t2f hold the same voxels")


def noise(seed: int, columns: int = 8, rows: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(30, 255, (columns, rows)).astype(np.uint8)


def test_grey_pictures_in_colours_are_no_fault(tmp_path: Path) -> None:
    case = picture_case(tmp_path, "a", [np.stack([noise(1)] * 3, axis=-1)])
    coloured = Case("a", "a", dict(zip(("red", "green", "blue"), case.images.values(), strict=True)))
    assert kinds(only(cohort(coloured, scheme=None))) == [("note", "grey-as-colour")]


# --- damage -----------------------------------------------------------------------------------------------------------


def no_rights(path: Path) -> None:
    """A file that may not be read, also where the tests run as root: a folder in its place."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [truncate, as_text, as_empty, Path.unlink, no_rights])
@pytest.mark.parametrize("which", ["t1c", "mask"])
def test_damaged_volumes(tmp_path: Path, damage: Callable[[Path], None], which: str) -> None:
    broken = volume_case(tmp_path, "a", {"t1c": head(1), "t2f": head(2)}, tumour((3, 4, 2)))
    sound = volume_case(tmp_path, "b", {"t1c": head(3), "t2f": head(4)}, tumour((3, 4, 2)))
    source = broken.labels if which == "mask" else broken.images[which]
    assert source is not None
    damage(source.paths[0])
    first, second = check(cohort(broken, sound), n_workers=1)
    assert kinds(first) == [("error", "unreadable-file")]
    assert str(source.paths[0]) in first.findings[0].message
    assert second.findings == ()
    if which == "t1c":
        assert list(first.modalities) == ["t2f"]
        assert first.tumour_voxels == 1


@pytest.mark.parametrize("damage", [truncate, as_text, as_empty, Path.unlink, no_rights])
@pytest.mark.parametrize("ending", [".tif", ".png", ".jpg"])
def test_damaged_pictures(tmp_path: Path, damage: Callable[[Path], None], ending: str) -> None:
    slices = [np.stack([noise(3 * z + c) for c in range(3)], axis=-1) for z in range(3)]
    masks = [np.zeros((8, 6), dtype=np.uint8)] * 3
    case = picture_case(tmp_path, "a", slices, masks, ending=ending)
    damage(case.images["flair"].paths[1])
    summary = only(cohort(case, scheme="lgg"))
    assert kinds(summary) == [("error", "unreadable-file")]  # once, though three channels lie in that file
    assert case.images["flair"].paths[1].name in summary.findings[0].message
    assert summary.modalities == {}
    assert summary.shape == (8, 6, 3)  # by the masks
    assert np.isnan(summary.slices.non_black).all()


def test_slices_of_several_sizes(tmp_path: Path) -> None:
    case = picture_case(tmp_path, "a", [noise(1), noise(2, rows=7)])
    assert kinds(only(cohort(case))) == [("error", "file-geometry")]


def test_nothing_can_be_read(tmp_path: Path) -> None:
    case = volume_case(tmp_path, "a", {"t2f": head()}, tumour((3, 4, 2)))
    for source in (case.images["t2f"], case.labels):
        assert source is not None
        as_empty(source.paths[0])
    summary = only(cohort(case))
    assert kinds(summary) == [("error", "unreadable-file")] * 2
    assert (summary.shape, summary.n_slices, summary.n_voxels) == (None, 0, 0)


# --- the whole cohort -------------------------------------------------------------------------------------------------


def test_progress_and_order(tmp_path: Path) -> None:
    cases = [volume_case(tmp_path, name, {"t2f": head(row)}) for row, name in enumerate("abc")]
    steps: list[tuple[int, int]] = []
    names = [summary.case for summary in check(cohort(*cases), n_workers=1, progress=lambda *step: steps.append(step))]
    assert names == ["a", "b", "c"]
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_pictures_go_out_in_bundles_and_come_back_in_order(tmp_path: Path) -> None:
    cases = [picture_case(tmp_path, f"p{row:03d}", [noise(row)]) for row in range(70)]
    assert [summary.case for summary in check(cohort(*cases), n_workers=1)] == [case.id for case in cases]


def test_small_cohorts_are_read_in_this_process() -> None:
    few = [Case(f"c{row}", "p", {"t2f": Source((Path(f"{row}.nii"),), "nifti")}) for row in range(8)]
    many = [Case(f"c{row}", "p", {"t2f": Source((Path(f"{row}.nii"),), "nifti")}) for row in range(9)]
    assert n_workers_for(cohort(*few), None) == 1
    assert n_workers_for(cohort(*few), 3) == 3
    assert n_workers_for(cohort(*many), None) >= 1
    assert n_workers_for(cohort(*many), 0) == 1


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    cases = [volume_case(tmp_path, name, {"t2f": head(row)}, tumour((3, 4, 2))) for row, name in enumerate("abc")]
    as_text(cases[1].images["t2f"].paths[0])
    alone = list(check(cohort(*cases), n_workers=1))
    together = list(check(cohort(*cases), n_workers=2))
    assert [summary.findings for summary in together] == [summary.findings for summary in alone]
    for first, second in zip(alone, together, strict=True):
        assert first.case == second.case
        assert first.slices.non_black.tolist() == pytest.approx(second.slices.non_black.tolist(), nan_ok=True)
        assert first.fingerprint.content == second.fingerprint.content


def test_forms_that_disagree_are_warned_of_once_a_case(tmp_path: Path) -> None:
    """Readers that go by the qform see the case 40 mm to the right of where readers of the sform see it."""
    case = volume_case(tmp_path, "a", {"t1c": head(1), "t2f": head(2)}, tumour((3, 4, 2)))
    assert case.labels is not None
    for path in [source.paths[0] for source in case.images.values()] + [case.labels.paths[0]]:
        image = nibabel.load(path)
        moved = image.affine.copy()
        moved[0, 3] += 40
        image.set_qform(moved, code=1)
        nibabel.save(image, path)
    summary = only(cohort(case))
    assert kinds(summary) == [("warning", "forms-disagree")]
    assert "t1c (a_t1c.nii.gz) put the voxels up to 40 mm apart" in summary.findings[0].message


@pytest.mark.parametrize("kind", [MemoryError, ZeroDivisionError, RecursionError])
def test_whatever_a_case_throws_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    cases = [volume_case(tmp_path, name, {"t2f": head(number)}) for number, name in enumerate("abc")]
    tissue, faults = measure.tissue, iter([None, kind("in the middle"), None, None])

    def failing(modalities: Mapping[str, npt.NDArray[np.int16]], shape: tuple[int, ...]) -> object:
        fault = next(faults)
        if fault is not None:
            raise fault
        return tissue(modalities, shape)

    monkeypatch.setattr(measure, "tissue", failing)
    first, second, third = check(cohort(*cases), n_workers=1)
    assert first.findings == third.findings == ()
    (finding,) = second.findings
    assert (finding.severity, finding.kind, finding.case) == ("error", "unreadable-file", "b")
    assert f"{kind.__name__}: in the middle" in finding.message
    assert second.shape is None


def test_an_image_in_the_place_of_a_mask(tmp_path: Path) -> None:
    """Hundreds of values are not listed."""
    labels = np.arange(12 * 10 * 6, dtype=np.int16).reshape(12, 10, 6)
    summary = only(cohort(volume_case(tmp_path, "a", {"t2f": head(1)}, labels)))
    (finding,) = [each for each in summary.findings if each.kind == "unknown-labels"]
    assert "720 values are an image's rather than a label map's" in finding.message
    assert len(finding.message) < 300
    assert (
        not summary.has_reference
    )  # hundreds of columns say nothing, and counting them takes hundreds of times as long


def test_an_image_in_the_place_of_a_mask_whose_labels_nobody_said(tmp_path: Path) -> None:
    labels = np.arange(12 * 10 * 6, dtype=np.int16).reshape(12, 10, 6)
    summary = only(cohort(volume_case(tmp_path, "a", {"t2f": head(1)}, labels), scheme=None))
    (finding,) = [each for each in summary.findings if each.severity == "error"]
    assert "720 values are an image's" in finding.message
    assert (summary.labels, summary.tumour_voxels) == ((), None)
