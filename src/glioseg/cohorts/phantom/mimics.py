"""What looks like tumour in one modality or another and is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glioseg.cohorts.phantom.anatomy import Tissues
from glioseg.cohorts.phantom.fields import Floats, Frame, draw_field, draw_fields, smoothstep, total


@dataclass(frozen=True)
class Mimics:
    """Shares (N,) at the brain voxels, 0..1.

    Args:
        gliosis: bright on FLAIR and T2: periventricular caps and rims, lesions of age, rims of old infarcts.
        cavity: what an old infarct has left, as fluid.
        unsuppressed: fluid that is bright on FLAIR all the same.
        enhancing: vessels, dura and plexus, bright on t1c.
    """

    gliosis: Floats
    cavity: Floats
    unsuppressed: Floats
    enhancing: Floats


def draw_mimics(rng: np.random.Generator, age: float, frame: Frame, tissues: Tissues) -> Mimics:
    """Draw a patient's mimics; older patients have more lesions and thicker caps."""
    load = float(np.clip((age - 20.0) / 60.0 + rng.normal(0.0, 0.25), 0.0, 1.2))
    gliosis = np.maximum(_caps(rng, load, frame, tissues), _age_lesions(rng, load, frame, tissues))
    scar, cavity = _infarct(rng, load, frame, tissues)
    return Mimics(
        gliosis=np.maximum(gliosis, scar),
        cavity=cavity,
        unsuppressed=_unsuppressed(rng, frame, tissues),
        enhancing=_vessels(rng, frame, tissues),
    )


def _caps(rng: np.random.Generator, load: float, frame: Frame, tissues: Tissues) -> Floats:
    """Rims of the ventricles, thick at the horns."""
    noise = draw_field(rng, 9.0).on(frame)[tissues.mask]
    y = tissues.atlas_mm[1]
    horns = smoothstep((y - 8.0) / 14.0) + smoothstep((-28.0 - y) / 14.0)
    thickness = np.float32(1.2 + 0.8 * load) * (0.7 + np.float32(1.1 + 0.6 * load) * horns) * np.exp(0.3 * noise)
    near = smoothstep(1.5 - tissues.ventricle / np.maximum(thickness, np.float32(0.8)))
    strength = np.float32(rng.uniform(0.45, 0.95))
    return np.asarray(strength * near * (tissues.ventricle > -2.0) * (1.0 - tissues.csf), dtype=np.float32)


def _age_lesions(rng: np.random.Generator, load: float, frame: Frame, tissues: Tissues) -> Floats:
    """Spots and patches in the deep white matter."""
    noise = total(draw_fields(rng, ((9.0, 0.6), (4.0, 0.8))), frame)[tissues.mask]
    deep = smoothstep((tissues.depth - 8.0) / 8.0) * smoothstep((tissues.wm - 0.5) / 0.4)
    above = smoothstep((tissues.atlas_mm[2] + 8.0) / 10.0)
    spots = smoothstep((noise - np.float32(2.75 - 0.95 * load)) / np.float32(0.35))
    return np.asarray(np.float32(rng.uniform(0.6, 1.0)) * spots * deep * above, dtype=np.float32)


def _infarct(rng: np.random.Generator, load: float, frame: Frame, tissues: Tissues) -> tuple[Floats, Floats]:
    """One old infarct of the cortex in some patients: a fluid-filled defect with a gliotic rim."""
    noise = total(draw_fields(rng, ((8.0, 0.25), (4.0, 0.15))), frame)
    nothing = np.zeros_like(tissues.csf)
    has_one, radius = rng.random() < 0.15 + 0.25 * load, np.float32(rng.uniform(5.0, 11.0))
    place = rng.uniform((-70.0, -85.0, -10.0), (70.0, 85.0, 75.0))
    cortex = (tissues.depth > 3.0) & (tissues.depth < 12.0) & (tissues.atlas_mm[2] > -10.0)
    places = np.argwhere(tissues.mask)[cortex]
    if not has_one or len(places) == 0:
        return nothing, nothing
    # The cortex nearest to a point drawn in millimetres: the same spot at every spacing.
    head = np.stack([frame.axes[axis][places[:, axis]] for axis in range(3)], axis=1)
    centre = head[((head - place) ** 2).sum(axis=1).argmin()]
    squares = sum((axis - centre[i]) ** 2 for i, axis in enumerate(frame.open_axes()))
    level = (np.sqrt(np.asarray(squares, dtype=np.float32)) / radius + noise)[tissues.mask]
    scar = smoothstep((1.0 - level) * np.float32(2.5) + 0.5) * (1.0 - tissues.csf)
    cavity = smoothstep((0.55 - level) * np.float32(3.5) + 0.5)
    return scar.astype(np.float32), cavity.astype(np.float32)


def _unsuppressed(rng: np.random.Generator, frame: Frame, tissues: Tissues) -> Floats:
    """Sulci of some regions, and cisterns where the fluid pulsates."""
    noise = draw_field(rng, 16.0).on(frame)[tissues.mask]
    sulci = smoothstep(noise + np.float32(rng.uniform(-1.0, 0.4))) * (tissues.ventricle > 5.0)
    pulsing = smoothstep((-6.0 - tissues.atlas_mm[2]) / 12.0) * np.float32(rng.uniform(0.1, 0.7))
    return np.asarray(np.maximum(sulci, pulsing), dtype=np.float32)


def _vessels(rng: np.random.Generator, frame: Frame, tissues: Tissues) -> Floats:
    """Tubes along the zero lines of two fields, in sulci and at the surface; the sagittal sinus; the plexus."""
    first, second, third = (draw_field(rng, knot).on(frame)[tissues.mask] for knot in (11.0, 11.0, 5.0))
    tubes = smoothstep(1.6 - np.hypot(first, second) / np.float32(0.075 * np.sqrt(frame.spacing_mm) + 0.03))
    open_space = np.clip(1.6 * tissues.csf + (tissues.depth < 5.0) * 0.5, 0.0, 1.0) * (tissues.ventricle > 3.0)
    x, y, z = tissues.atlas_mm
    sinus = smoothstep((3.6 - np.hypot(x, 0.8 * (tissues.depth - 1.5))) / 1.6) * ((y < -55.0) | (z > 45.0))
    plexus = smoothstep((third - 0.5) * 2.0) * (tissues.ventricle < -0.5) * (y < -10.0)
    dura = smoothstep(third + 0.2) * smoothstep((2.6 - tissues.depth) / 1.5) * 0.45
    strength = np.float32(rng.uniform(0.55, 1.0))
    enhancing = np.maximum(np.maximum(tubes * open_space, sinus), np.maximum(0.8 * plexus, dura))
    return np.asarray(strength * enhancing, dtype=np.float32)
