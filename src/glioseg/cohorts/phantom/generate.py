"""Patients of the phantom cohort, one by one or streamed from several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from glioseg.cohorts.parallel import in_order, n_processors
from glioseg.cohorts.phantom.anatomy import (
    Anatomy,
    Tissues,
    atlas_points,
    brain_mask,
    draw_anatomy,
    resting_points,
    tissues_at,
)
from glioseg.cohorts.phantom.atlas import Atlas, load_atlas
from glioseg.cohorts.phantom.contrast import MODALITIES, SCANNERS, draw_look, draw_signal
from glioseg.cohorts.phantom.fields import Frame
from glioseg.cohorts.phantom.mimics import draw_mimics
from glioseg.cohorts.phantom.patient_facts import PatientFacts, draw_facts, facts_of
from glioseg.cohorts.phantom.randomised import (
    draw_coverings,
    draw_random_look,
    draw_random_signal,
    varied,
    varied_mimics,
    with_random_stripping,
)
from glioseg.cohorts.phantom.tumour import PhantomLesion, TumourMaps, draw_lesions, front_times, pushed, tumour_maps
from glioseg.core import Grid, Image, LabelMap, scheme_named
from glioseg.core.case import Facts
from glioseg.options import Options

_VOLUME_MM = (240.0, 240.0, 155.0)
"""Extent of the volume: that of BraTS."""
_PLAN_MM = 3.0
"""Spacing at which tumours are placed and oedema spreads, whatever the patient's: the same patient at every spacing."""
_PLAN_EXTENT_MM = (174.0, 213.0, 155.0)
"""Holds every brain, and little more."""
_Number = TypeVar("_Number", np.int16, np.uint8)
_PURPOSES = ("facts", "anatomy", "tumour", "maps", "mimics", "look", *MODALITIES, "variety", "coverings")


class PhantomOptions(Options):
    """What decides a phantom cohort.

    Args:
        n_patients: how many patients.
        spacing_mm: distance of the voxels on all axes; 1 mm gives 240 x 240 x 155 as BraTS, 3 mm 80 x 80 x 52.
        seed: decides everything that is random.
        share_several: share of patients with two to four lesions.
        share_high_grade: share of patients whose tumours enhance.
        n_randomised: of how many patients, the first, contrasts, shapes and acquisition are drawn far beyond what is
            usual (``phantom.randomised``), to train networks for real scans; the others stay as they are without.
    """

    n_patients: int = Field(default=20, ge=1)
    spacing_mm: float = Field(default=2.0, ge=1.0, le=6.0)
    seed: int = Field(default=0, ge=0)
    share_several: float = Field(default=0.2, ge=0.0, le=1.0)
    share_high_grade: float = Field(default=0.75, ge=0.0, le=1.0)
    n_randomised: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class PhantomPatient:
    """One synthetic patient.

    Args:
        id: ``phantom-0000``, by index.
        image: modalities t1n, t1c, t2w, t2f; (4, X, Y, Z) int16 in arbitrary units, 0 outside the brain and nowhere
            else; axes grow to left, posterior and superior, as BraTS stores them.
        labels: the tumour in the scheme of BraTS 2023.
        tissues: CSF, GM and WM in the scheme of IBSR; 0 outside the brain and, since a tumour is none of the three, in
            the whole tumour.
        facts: age in years, survival in days, grade, site and so on.
    """

    id: str
    image: Image
    labels: LabelMap
    tissues: LabelMap
    facts: Facts


def generate(options: PhantomOptions, *, n_workers: int | None = None) -> Iterator[PhantomPatient]:
    """Stream the cohort in the order of the patients.

    Patients do not depend on each other: the result is the same, bit for bit, for any number of workers. At most two
    patients per worker are held at a time, however large the cohort is.

    Args:
        options: the cohort.
        n_workers: processes; 1 stays in this one, None takes one per processor.
    """
    workers = min(n_processors() if n_workers is None else n_workers, options.n_patients)
    yield from in_order(partial(generate_patient, options), range(options.n_patients), n_workers=workers)


def generate_patient(options: PhantomOptions, index: int) -> PhantomPatient:
    """One patient; a function of the seed, the index, the spacing, the shares and whether it is randomised alone.

    Anatomy, tumour and mimics are the same at every spacing; only the noise differs.
    """
    atlas = load_atlas(options.spacing_mm)
    person = draw_facts(_rng(options, index, "facts"), options.share_high_grade, options.share_several)
    anatomy = draw_anatomy(_rng(options, index, "anatomy"), person.age)
    variety = _rng(options, index, "variety") if index < options.n_randomised else None
    anatomy = with_random_stripping(variety, anatomy) if variety is not None else anatomy
    plan, lesions, times = _plan_tumour(_rng(options, index, "tumour"), anatomy, person, variety)
    whole = _frame(options.spacing_mm)
    box = _brain_box(plan, whole)
    frame = whole.window(box)
    tissues = _grown(anatomy, atlas, frame, lesions)
    tumour = tumour_maps(_rng(options, index, "maps"), lesions, times, plan[0], frame, tissues)
    array = _draw_modalities(options, index, person, anatomy, frame, tissues, tumour)
    painted = np.zeros((4, *whole.shape), dtype=np.int16)
    painted[(slice(None), *box)] = array
    tumour_labels = np.zeros(whole.shape, dtype=np.uint8)
    tumour_labels[box][tissues.mask] = tumour.labels
    tissue_labels = np.zeros(whole.shape, dtype=np.uint8)
    tissue_labels[box][tissues.mask] = _tissue_labels(tissues, tumour)
    grid = _grid(whole)
    return PhantomPatient(
        id=f"phantom-{index:04d}",
        image=Image(_as_brats(painted), MODALITIES, grid),
        labels=LabelMap(_as_brats(tumour_labels), scheme_named("brats2023"), grid),
        tissues=LabelMap(_as_brats(tissue_labels), scheme_named("ibsr"), grid),
        facts=facts_of(person, lesions, tumour.labels, options.spacing_mm),
    )


def _rng(options: PhantomOptions, index: int, purpose: str) -> np.random.Generator:
    """A generator of its own for each purpose, so that one more draw here changes nothing there."""
    return np.random.default_rng(np.random.SeedSequence([options.seed, index, _PURPOSES.index(purpose)]))


def _frame(spacing_mm: float, extent_mm: tuple[float, float, float] = _VOLUME_MM) -> Frame:
    """A volume, by default the whole one; the origin of head coordinates lies in its middle."""
    counts = [int(np.ceil(extent / spacing_mm - 1e-6)) for extent in extent_mm]
    x, y, z = (((np.arange(n) - (n - 1) / 2.0) * spacing_mm).astype(np.float32) for n in counts)
    return Frame((x, y, z))


def _grid(frame: Frame) -> Grid:
    """The frame's grid as BraTS writes it: x and y run to the left and to the back."""
    x, y, z = frame.axes
    affine = np.diag([-frame.spacing_mm, -frame.spacing_mm, frame.spacing_mm, 1.0])
    affine[:3, 3] = (x[-1], y[-1], z[0])
    return Grid(frame.shape, affine)


def _as_brats(array: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    return np.ascontiguousarray(array[..., ::-1, ::-1, :])


def _plan_tumour(
    rng: np.random.Generator, anatomy: Anatomy, person: PatientFacts, variety: np.random.Generator | None
) -> tuple[tuple[Frame, Tissues], tuple[PhantomLesion, ...], list[npt.NDArray[np.float32]]]:
    """Place the lesions and let their oedema spread on the coarse frame that all spacings share."""
    atlas, frame = load_atlas(_PLAN_MM), _frame(_PLAN_MM, _PLAN_EXTENT_MM)
    resting = resting_points(anatomy, frame)
    points = atlas_points(resting, anatomy, atlas, frame)
    healthy = tissues_at(anatomy, atlas, frame, points, brain_mask(anatomy, atlas, frame, points))
    lesions = draw_lesions(rng, person.high_grade, person.several, frame, healthy)
    lesions = varied(variety, lesions) if variety is not None else lesions
    grown = _grown(anatomy, atlas, frame, lesions, resting)
    return (frame, grown), lesions, front_times(lesions, frame, grown)


def _grown(
    anatomy: Anatomy,
    atlas: Atlas,
    frame: Frame,
    lesions: tuple[PhantomLesion, ...],
    resting: npt.NDArray[np.float32] | None = None,
) -> Tissues:
    """The tissues of a frame once the lesions have pushed them."""
    resting = resting_points(anatomy, frame) if resting is None else resting
    shift = pushed(lesions, frame, atlas.sample("depth", resting))
    points = atlas_points(resting, anatomy, atlas, frame, shift)
    return tissues_at(anatomy, atlas, frame, points, brain_mask(anatomy, atlas, frame, points))


def _brain_box(plan: tuple[Frame, Tissues], whole: Frame) -> tuple[slice, slice, slice]:
    """The part of the volume that holds the brain, from where the coarse frame has it."""
    coarse, tissues = plan
    cuts = []
    for axis in range(3):
        places = np.flatnonzero(tissues.mask.any(axis=tuple(other for other in range(3) if other != axis)))
        low, high = (float(coarse.axes[axis][places[i]]) for i in (0, -1))
        margin = 2.0 * _PLAN_MM
        cuts.append(slice(*np.searchsorted(whole.axes[axis], [low - margin, high + margin]).tolist()))
    return cuts[0], cuts[1], cuts[2]


def _draw_modalities(
    options: PhantomOptions,
    index: int,
    person: PatientFacts,
    anatomy: Anatomy,
    frame: Frame,
    tissues: Tissues,
    tumour: TumourMaps,
) -> npt.NDArray[np.int16]:
    """The four modalities on a frame, (4, X, Y, Z)."""
    draw: Callable[..., npt.NDArray[np.int16]] = draw_signal
    scanner = SCANNERS[person.site]
    mimics = draw_mimics(_rng(options, index, "mimics"), person.age, frame, tissues)
    if index < options.n_randomised:
        rng = _rng(options, index, "coverings")
        coverings, mimics = draw_coverings(rng, frame, tissues), varied_mimics(rng, mimics, frame, tissues)
        look = draw_random_look(_rng(options, index, "look"), person.high_grade)
        draw = partial(draw_random_signal, coverings=coverings)
    else:
        look = draw_look(_rng(options, index, "look"), person.high_grade)
    array = np.zeros((len(MODALITIES), *frame.shape), dtype=np.int16)
    for channel, modality in enumerate(MODALITIES):
        rng = _rng(options, index, modality)
        array[channel][tissues.mask] = draw(rng, modality, look, scanner, anatomy, frame, tissues, tumour, mimics)
    return array


def _tissue_labels(tissues: Tissues, tumour: TumourMaps) -> npt.NDArray[np.uint8]:
    """The largest share wins; nothing where the tumour is."""
    largest = np.argmax(np.stack([tissues.csf, tissues.gm, tissues.wm]), axis=0).astype(np.uint8) + np.uint8(1)
    return np.where(tumour.labels > 0, np.uint8(0), largest)
