"""The randomised mode: patients that look like none in particular, for networks that shall work on all.

Networks that learn from synthetic images alone do better on scans of any kind if contrasts are drawn far beyond what is
real than if they are right [1]_ [2]_. Here each scan draws its tissues' signals anew, within orders that define the
task (a rim enhances, oedema is no darker than white matter on FLAIR), and with them what differs between hospitals and
patients: how the skull was stripped, bright or dark posterior fossa and skull base, coil shading, thick slices, motion
and sequences that do not quite lie on each other, old cavities, and tumours of many shapes, with and without rim,
necrosis, oedema or enhancement.

All of it is a function of millimetres, but for noise and blur.

.. [1] Billot B et al. SynthSeg: segmentation of brain MRI scans of any contrast and resolution without retraining.
   Medical Image Analysis 86 (2023) 102789.
.. [2] Tobin J et al. Domain randomization for transferring deep neural networks from simulation to the real world. IROS
   (2017) 23-30.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.cohorts.phantom.anatomy import Anatomy, Tissues
from glioseg.cohorts.phantom.contrast import (
    DETAIL,
    MODALITIES,
    PARTS,
    SIGNALS,
    Appearance,
    Scanner,
    bias,
    healthy,
    received,
    with_mimics,
    with_tumour,
)
from glioseg.cohorts.phantom.fields import Floats, Frame, draw_field, draw_fields, smoothstep, total
from glioseg.cohorts.phantom.mimics import Mimics
from glioseg.cohorts.phantom.tumour import PhantomLesion, TumourMaps

Bools = npt.NDArray[np.bool_]

_FWHM = 2.355
_N_REGIONS = 7
_MAX_MIXED = 4


@dataclass(frozen=True)
class Coverings:
    """What the stripping left around the brain, and regions of their own brightness: shares at the N brain voxels.

    Args:
        remains: bits of dura, fat and muscle.
        fossa: cerebellum and brain stem.
        base: 1 at the lowest parts of the brain, above the skull base, 0 at the level of the ventricles.
        regions: (K, N) soft regions, the same on both sides, of grey or white matter alone: limbic cortex that is
            bright on FLAIR, tracts that are bright on T2, dark cerebella are of this kind, and none is a tumour.
        sinuses: tentorium and transverse sinuses, which enhance.
    """

    remains: Floats
    fossa: Floats
    base: Floats
    regions: Floats
    sinuses: Floats


@dataclass(frozen=True)
class Acquisition:
    """How one sequence was acquired.

    Args:
        scanner: noise, gain, bias and coil.
        remains: signal of what the stripping left.
        fossa, base: how much brighter posterior fossa and skull base are, relative to the signal,
        regions: and each of the regions.
        thick: axis across the slices, and
        thickness_mm: full width at half maximum of their profile.
        blur_mm: the same along all axes.
        moved_mm: how far the sequence lies off the others, along X, Y and Z.
        ghost: strength of a copy that motion has left, and
        ghost_mm: its distance along Y.
    """

    scanner: Scanner
    remains: float
    fossa: float
    base: float
    regions: tuple[float, ...]
    thick: int
    thickness_mm: float
    blur_mm: float
    moved_mm: tuple[float, float, float]
    ghost: float
    ghost_mm: float


def with_random_stripping(rng: np.random.Generator, anatomy: Anatomy) -> Anatomy:
    """The same brain, stripped of its skull too tightly or too loosely."""
    return replace(anatomy, stripping=(float(rng.uniform(0.1, 0.6)), float(rng.uniform(0.04, 0.22))))


def draw_random_look(rng: np.random.Generator, high_grade: bool) -> Appearance:
    """Draw a patient's signals around the usual ones, far apart; what defines a tumour stays.

    Cores are anything from solid to fluid, of low grade mostly solid.
    """
    spread = float(rng.uniform(0.04, 0.25))
    severity, solidity, faint = float(rng.uniform(0.4, 1.7)), float(rng.uniform(0.3, 1.4)), float(rng.uniform(0.2, 1.5))
    fluid_like = float(rng.uniform(0.15, 1.0) if high_grade else rng.uniform(0.0, 1.0) ** 4.0)
    blood = float(rng.uniform(0.1, 0.6) * (rng.random() < 0.12))
    darker = float(rng.uniform(0.02, 0.42))
    signals = {}
    for name in MODALITIES:
        usual = dict(zip(PARTS, SIGNALS[name], strict=True))
        row = {part: usual[part] * float(np.exp(rng.normal(0.0, spread))) for part in ("csf", "gm", "wm")}
        wm = row["wm"]
        if name in ("t1n", "t1c"):
            row["oedema"] = wm * (1.0 - darker * float(rng.uniform(0.5, 1.1)))
            row["solid"] = wm * (1.0 - max(darker * float(rng.uniform(0.9, 1.8)), 0.1))
            row["gliosis"] = wm * (1.0 - 0.3 * float(rng.uniform(0.2, 1.2)))
        else:
            row["oedema"] = wm + severity * (usual["oedema"] - usual["wm"]) * float(rng.uniform(0.75, 1.25))
            row["solid"] = wm + solidity * (usual["solid"] - usual["wm"]) * float(rng.uniform(0.75, 1.25))
            row["gliosis"] = wm + (usual["gliosis"] - usual["wm"]) * float(rng.uniform(0.2, 1.1))
        if name == "t2f":  # however faint, it stands out from the cortex
            row["oedema"] = max(row["oedema"], 1.05 * max(row["gm"], wm))
        row["core"] = row["solid"] + fluid_like * (row["csf"] - row["solid"])
        row["core"] += blood if name in ("t1n", "t1c") else -blood * 0.8 * row["core"]
        row["rim"] = row["solid"] + float(rng.normal(0.0, 0.06))
        signals[name] = row
    signals["t1c"]["rim"] = signals["t1c"]["wm"] * (1.0 + faint) + 0.15
    detail = {name: DETAIL[name] * float(rng.uniform(0.0, 1.9)) for name in MODALITIES}
    return Appearance(signals, detail, texture=float(rng.uniform(0.008, 0.06)))


def draw_session(rng: np.random.Generator, scanner: Scanner) -> Acquisition:
    """Draw how one sequence was acquired on ``scanner``."""
    thick = rng.random() < 0.35
    moved = rng.random() < 0.3
    return Acquisition(
        scanner=replace(
            scanner,
            noise=float(np.exp(rng.uniform(np.log(0.006), np.log(0.09)))),
            bias=float(rng.uniform(0.3, 3.5)),
            coil=float(rng.normal(0.08, 0.12)),
        ),
        remains=float(np.exp(rng.uniform(np.log(0.15), np.log(1.9)))),
        fossa=float(rng.normal(0.0, 0.16)),
        base=float(rng.normal(0.05, 0.16)),
        regions=tuple(float(value) for value in rng.normal(0.0, 0.13, size=_N_REGIONS)),
        thick=int(rng.choice(3, p=(0.15, 0.15, 0.7))),
        thickness_mm=float(rng.uniform(2.5, 6.5)) if thick else 0.0,
        blur_mm=float(rng.uniform(0.5, 2.6)) if rng.random() < 0.5 else 0.0,
        moved_mm=_triple(rng.normal(0.0, 0.7, size=3)) if moved else (0.0, 0.0, 0.0),
        ghost=float(rng.uniform(0.02, 0.09)) if rng.random() < 0.2 else 0.0,
        ghost_mm=float(rng.uniform(12.0, 70.0)),
    )


def varied(rng: np.random.Generator, lesions: Sequence[PhantomLesion]) -> tuple[PhantomLesion, ...]:
    """Lesions of more shapes and kinds than the faithful ones: each redrawn, some grown together from several."""
    drawn: list[PhantomLesion] = []
    for lesion in lesions:
        redrawn = _redrawn(rng, lesion)
        drawn.append(redrawn)
        n_daughters = int(rng.integers(1, _MAX_MIXED)) if rng.random() < 0.4 else 0
        drawn += [_daughter(rng, redrawn) for _ in range(n_daughters)]
    return tuple(drawn)


def _redrawn(rng: np.random.Generator, lesion: PhantomLesion) -> PhantomLesion:
    lumpiness, oedema = float(rng.uniform(0.5, 1.7)), float(rng.uniform(0.2, 1.9))
    return replace(
        lesion,
        radius_mm=float(np.clip(lesion.radius_mm * np.exp(rng.normal(0.1, 0.3)), 3.0, 33.0)),
        metric=lesion.metric * np.exp(rng.normal(0.0, 0.15, size=3))[:, None],
        lobes=tuple((field, amplitude * lumpiness) for field, amplitude in lesion.lobes),
        enhancing=lesion.enhancing and bool(rng.random() > 0.03),
        rim=float(rng.uniform(0.0, 0.94)),
        necrosis=tuple((field, amplitude * float(rng.uniform(0.5, 1.6))) for field, amplitude in lesion.necrosis),
        push=float(np.clip(lesion.push * rng.uniform(0.2, 1.25), 0.0, 0.85)),
        oedema_mm=max(lesion.oedema_mm * oedema, 0.5),
    )


def _daughter(rng: np.random.Generator, parent: PhantomLesion) -> PhantomLesion:
    """A lesion that overlaps or touches its parent, with a structure of its own."""
    away = rng.normal(size=3)
    away *= parent.radius_mm * rng.uniform(0.5, 1.4) / np.sqrt((away**2).sum())
    x, y, z = (float(here + step) for here, step in zip(parent.centre, away, strict=True))
    radius = parent.radius_mm * float(rng.uniform(0.3, 0.8))
    return replace(
        parent,
        centre=(x, y, z),
        radius_mm=max(radius, 3.0),
        enhancing=parent.enhancing and bool(rng.random() > 0.1),
        rim=float(rng.uniform(0.0, 0.94)),
        push=parent.push * 0.4,
        oedema_mm=parent.oedema_mm * float(rng.uniform(0.3, 1.0)),
    )


def varied_mimics(rng: np.random.Generator, mimics: Mimics, frame: Frame, tissues: Tissues) -> Mimics:
    """Mimics of random strength, and in some patients the cavity of an earlier operation."""
    scar, cavity, rim = _operated(rng, frame, tissues)
    weights = [np.float32(rng.uniform(low, 1.3)) for low in (0.1, 0.0, 0.2)]
    return Mimics(
        gliosis=np.maximum(weights[0] * mimics.gliosis, scar),
        cavity=np.maximum(mimics.cavity, cavity),
        unsuppressed=weights[1] * mimics.unsuppressed,
        enhancing=np.maximum(weights[2] * mimics.enhancing, rim),
    )


def _operated(rng: np.random.Generator, frame: Frame, tissues: Tissues) -> tuple[Floats, Floats, Floats]:
    """Gliosis around, fluid in, and thin enhancement of an operation's cavity; in nine of ten patients none."""
    noise = total(draw_fields(rng, ((12.0, 0.2), (5.0, 0.1))), frame)
    has_one, radius = rng.random() < 0.1, np.float32(rng.uniform(8.0, 20.0))
    wanted, wall, glow = rng.uniform((-60.0, -80.0, 0.0), (60.0, 70.0, 65.0)), rng.uniform(0.0, 0.3), rng.random()
    nothing = np.zeros_like(tissues.csf)
    if not has_one:
        return nothing, nothing, nothing
    squares = sum((axis - np.float32(wanted[i])) ** 2 for i, axis in enumerate(frame.open_axes()))
    level = (np.sqrt(np.asarray(squares, dtype=np.float32)) / radius + noise)[tissues.mask]
    cavity = smoothstep((1.0 - level) * radius / np.float32(2.0) + 0.5)
    scar = smoothstep((np.float32(1.0 + wall) - level) * radius / np.float32(3.0) + 0.5) * (1.0 - tissues.csf)
    rim = cavity * smoothstep((level - np.float32(0.9)) * radius / np.float32(2.0) + 0.5)
    return np.asarray(scar, np.float32), np.asarray(cavity, np.float32), np.asarray(np.float32(glow) * rim, np.float32)


def draw_coverings(rng: np.random.Generator, frame: Frame, tissues: Tissues) -> Coverings:
    """Where bits of the head remain, and where the posterior fossa and the skull base are."""
    noise = total(draw_fields(rng, ((18.0, 0.8), (6.0, 0.5))), frame)[tissues.mask]
    patchy = smoothstep((noise - np.float32(rng.uniform(-0.6, 1.6))) * 2.0)
    reach = np.float32(rng.uniform(0.3, 2.5))
    outside = smoothstep((reach - tissues.depth) / np.float32(1.2))
    x, y, z = tissues.atlas_mm
    tentorium = np.float32(-18.0) + np.float32(0.25) * np.maximum(-y - 20.0, 0.0)
    stem = (np.abs(x) < 16.0) & (z < -22.0) & (y < -8.0)
    fossa = np.maximum(smoothstep((tentorium - z) / 8.0 + 0.5) * smoothstep((-30.0 - y) / 10.0 + 0.5), stem)
    level = np.float32(4.0 + rng.normal(0.0, 4.0)) - np.float32(0.55) * np.abs(x)
    sheet = smoothstep(np.float32(rng.uniform(1.2, 3.2)) - np.abs(z - level)) * smoothstep((-30.0 - y) / 12.0 + 0.5)
    sheet *= np.maximum(smoothstep((14.0 - tissues.depth) / 8.0), np.float32(rng.uniform(0.0, 0.7)))
    return Coverings(
        remains=np.asarray(patchy * outside, dtype=np.float32),
        fossa=np.asarray(fossa, dtype=np.float32),
        base=smoothstep((np.float32(-8.0) - z) / np.float32(26.0)),
        regions=np.stack([_region(rng, tissues) for _ in range(_N_REGIONS)]),
        sinuses=np.asarray(np.float32(rng.uniform(0.2, 1.1)) * sheet, dtype=np.float32),
    )


def _region(rng: np.random.Generator, tissues: Tissues) -> Floats:
    """A blurred ellipsoid on both sides of the midline, of grey, white or both matters."""
    centre, reach = rng.uniform((0.0, -95.0, -45.0), (62.0, 60.0, 65.0)), rng.uniform(8.0, 30.0, size=3)
    kind = rng.random()
    x, y, z = tissues.atlas_mm
    squares = sum(
        ((axis - np.float32(centre[i])) / np.float32(reach[i])) ** 2 for i, axis in enumerate((np.abs(x), y, z))
    )
    share = tissues.wm if kind < 0.45 else tissues.gm if kind < 0.8 else tissues.wm + tissues.gm
    return np.asarray(np.exp(-0.5 * np.asarray(squares, dtype=np.float32)) * share, dtype=np.float32)


def draw_random_signal(
    rng: np.random.Generator,
    modality: str,
    look: Appearance,
    scanner: Scanner,
    anatomy: Anatomy,
    frame: Frame,
    tissues: Tissues,
    tumour: TumourMaps,
    mimics: Mimics,
    coverings: Coverings,
) -> npt.NDArray[np.int16]:
    """One modality at the N brain voxels, in scanner units, 1 or more; as ``contrast.draw_signal``, disturbed."""
    session = draw_session(rng, scanner)
    row: Mapping[str, float] = look.signals[modality]
    signal = healthy(modality, look, anatomy, frame, tissues)
    signal *= 1.0 + np.float32(session.fossa) * coverings.fossa + np.float32(session.base) * coverings.base
    for strength, region in zip(session.regions, coverings.regions, strict=True):
        signal *= 1.0 + np.float32(strength) * region
    if modality == "t1c":
        signal += coverings.sinuses
    signal = with_mimics(modality, row, signal, tissues, mimics)
    signal = with_tumour(rng, row, signal, frame, tissues, tumour)
    lumpy = np.float32(session.remains) * np.exp(np.float32(0.3) * draw_field(rng, 7.0).on(frame)[tissues.mask])
    signal = signal + coverings.remains * (lumpy - signal)
    signal = signal * bias(rng, modality, session.scanner, frame, tissues)
    signal = disturbed(np.asarray(signal, dtype=np.float32), session, frame, tissues.mask)
    return received(rng, modality, session.scanner, signal)


def disturbed(signal: Floats, session: Acquisition, frame: Frame, mask: Bools) -> Floats:
    """Move, blur and ghost a signal (N,) at the voxels of ``mask``; what lies outside takes no part."""
    if not (any(session.moved_mm) or session.thickness_mm or session.blur_mm or session.ghost):
        return signal
    widths = [session.blur_mm] * 3
    widths[session.thick] = float(np.hypot(session.blur_mm, session.thickness_mm))
    sigmas = [width / _FWHM / frame.spacing_mm for width in widths]
    dense, weight = np.zeros(mask.shape, dtype=np.float32), mask.astype(np.float32)
    dense[mask] = signal
    steps = [step / frame.spacing_mm for step in session.moved_mm]
    if any(steps):
        dense, weight = (ndimage.shift(each, steps, order=1, prefilter=False) for each in (dense, weight))
    dense, weight = (ndimage.gaussian_filter(each, sigmas, mode="constant") for each in (dense, weight))
    there = weight[mask] > 0.05
    result = np.where(there, dense[mask] / np.maximum(weight[mask], 0.05), signal)
    if session.ghost:
        copy = np.roll(dense, round(session.ghost_mm / frame.spacing_mm), axis=1)[mask]
        result = result + np.float32(session.ghost) * copy
    return np.asarray(result, dtype=np.float32)


def _triple(array: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in array)
    return x, y, z
