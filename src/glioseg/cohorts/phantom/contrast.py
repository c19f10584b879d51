"""From tissue to signal: what a scanner shows of a patient in four modalities.

Signals are relative to white matter on T1. Their order follows what is seen at 1.5 to 3 T: fluid is dark on T1 and
FLAIR and bright on T2; white matter is brighter than grey on T1 and darker on T2 and, a little, on FLAIR. As BrainWeb
does [1]_, the tissues' signals are mixed by their shares in a voxel, multiplied by a smooth bias, and Rician noise is
added [2]_. Each site has a gain, a noise level and a habit of its own.

What makes the cohort harder than a threshold is here as well: bright caps and rims of the ventricles, white matter
lesions of age, old infarcts, fluid that FLAIR did not suppress, receiver coils that brighten the cortex; and on the
contrast-enhanced T1 vessels, dura and plexus that enhance without being tumour.

.. [1] Collins DL et al. Design and construction of a realistic digital brain phantom. IEEE TMI 17 (1998) 463-468.
.. [2] Gudbjartsson H, Patz S. The Rician distribution of noisy MRI data. MRM 34 (1995) 910-914.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.phantom.anatomy import Anatomy, Tissues
from glioseg.cohorts.phantom.fields import Floats, Frame, draw_field, draw_fields, smoothstep, total
from glioseg.cohorts.phantom.mimics import Mimics
from glioseg.cohorts.phantom.tumour import TumourMaps

MODALITIES = ("t1n", "t1c", "t2w", "t2f")

PARTS = ("csf", "gm", "wm", "oedema", "core", "rim", "solid", "gliosis")
SIGNALS: Mapping[str, tuple[float, ...]] = {
    "t1n": (0.24, 0.70, 0.95, 0.68, 0.50, 0.66, 0.62, 0.70),
    "t1c": (0.22, 0.72, 0.92, 0.66, 0.48, 1.75, 0.64, 0.69),
    "t2w": (1.75, 0.68, 0.50, 1.05, 1.35, 0.88, 1.12, 1.00),
    "t2f": (0.14, 0.70, 0.53, 1.12, 0.74, 0.98, 1.00, 1.00),
}
"""Signals of fluid, grey and white matter, oedema, necrosis, enhancing rim, solid core without enhancement, gliosis."""

DETAIL = {"t1n": 0.75, "t1c": 0.70, "t2w": -0.45, "t2f": -0.30}
"""How much of what the average T1 shows within a tissue each modality shows: deep nuclei, layers, tracts."""

GAIN = {"t1n": 620.0, "t1c": 780.0, "t2w": 640.0, "t2f": 700.0}


@dataclass(frozen=True)
class Scanner:
    """A site's scanner.

    Args:
        name: of the site.
        noise: standard deviation relative to white matter.
        gain, bias: relative to the usual.
        coil: by how much it brightens the cortex, as a logarithm; more on FLAIR.
    """

    name: str
    noise: float
    gain: float
    bias: float
    coil: float


SCANNERS = (
    Scanner("site-A", 0.022, 1.0, 0.8, 0.04),
    Scanner("site-B", 0.030, 1.4, 1.2, 0.11),
    Scanner("site-C", 0.038, 0.8, 1.0, 0.07),
    Scanner("site-D", 0.026, 1.8, 1.5, 0.15),
)


@dataclass(frozen=True)
class Appearance:
    """How a patient shows: signals per modality, and what of the average's detail and of texture is added to them.

    Args:
        signals: modality -> part -> signal relative to white matter on T1; the parts are those of ``PARTS``.
        detail: modality -> how much of what the average T1 shows within a tissue it shows.
        texture: strength of fine variation within tissues, relative to the signal.
    """

    signals: Mapping[str, Mapping[str, float]]
    detail: Mapping[str, float] = field(default_factory=lambda: DETAIL)
    texture: float = 0.022


def draw_look(rng: np.random.Generator, high_grade: bool) -> Appearance:
    """Draw a patient's signals.

    Oedema runs from hardly brighter than the cortex to brighter than anything else on FLAIR, necrosis from fluid-like
    (dark on FLAIR) to protein-rich.
    """
    signals = {
        name: {part: value * rng.normal(1.0, 0.03) for part, value in zip(PARTS, values, strict=True)}
        for name, values in SIGNALS.items()
    }
    severity = rng.uniform(0.65, 1.15)
    for name in MODALITIES:
        row = signals[name]
        row["oedema"] = row["wm"] + severity * (row["oedema"] - row["wm"])
    signals["t1c"]["rim"] = float(rng.uniform(1.35, 2.2))
    fluid_like = rng.uniform(0.0, 1.0) if high_grade else 0.0
    for name in MODALITIES:
        row = signals[name]
        row["core"] += 0.55 * fluid_like * (row["csf"] - row["core"])
    if not high_grade:
        signals["t2f"]["solid"] *= rng.uniform(0.75, 1.1)
        for name in MODALITIES:
            signals[name]["core"] = signals[name]["solid"]
    return Appearance(signals)


def draw_signal(
    rng: np.random.Generator,
    modality: str,
    look: Appearance,
    scanner: Scanner,
    anatomy: Anatomy,
    frame: Frame,
    tissues: Tissues,
    tumour: TumourMaps,
    mimics: Mimics,
) -> npt.NDArray[np.int16]:
    """One modality at the N brain voxels, in scanner units, 1 or more.

    Args:
        rng: source of bias, heterogeneity, gain and noise.
        modality: one of ``MODALITIES``.
        look: the patient's signals.
        scanner: the site.
        anatomy: for its texture.
        frame: voxel centres.
        tissues: tissue shares after the mass effect.
        tumour: the tumour's shares.
        mimics: what looks like tumour and is none.
    """
    row = look.signals[modality]
    signal = healthy(modality, look, anatomy, frame, tissues)
    signal = with_mimics(modality, row, signal, tissues, mimics)
    signal = with_tumour(rng, row, signal, frame, tissues, tumour)
    signal *= bias(rng, modality, scanner, frame, tissues)
    return received(rng, modality, scanner, signal)


def received(rng: np.random.Generator, modality: str, scanner: Scanner, signal: Floats) -> npt.NDArray[np.int16]:
    """A signal (N,) with Rician noise, in scanner units, 1 or more."""
    noise = np.float32(scanner.noise * rng.uniform(0.8, 1.3))
    real, imaginary = rng.standard_normal((2, len(signal)), dtype=np.float32)
    magnitude = np.hypot(signal + noise * real, noise * imaginary)
    gain = GAIN[modality] * scanner.gain * np.exp(rng.normal(0.0, 0.18))
    return np.asarray(np.clip(np.round(magnitude * np.float32(gain)), 1, 32767), dtype=np.int16)


def healthy(modality: str, look: Appearance, anatomy: Anatomy, frame: Frame, tissues: Tissues) -> Floats:
    """Signal (N,) of the brain before anything grew in it."""
    row = look.signals[modality]
    signal = np.float32(row["csf"]) * tissues.csf + np.float32(row["gm"]) * tissues.gm
    signal += np.float32(row["wm"]) * tissues.wm
    usual = 0.30 * tissues.csf + 0.66 * tissues.gm + 0.865 * tissues.wm
    detail = np.clip(tissues.t1 - usual, -0.2, 0.2) * (1.0 - tissues.csf)
    signal += np.float32(look.detail[modality]) * detail
    texture = total(anatomy.texture, frame)[tissues.mask]
    return np.asarray(signal * (1.0 + np.float32(look.texture) * texture), dtype=np.float32)


def with_mimics(modality: str, row: Mapping[str, float], signal: Floats, tissues: Tissues, mimics: Mimics) -> Floats:
    """Blend in caps, lesions and infarcts; add unsuppressed fluid (FLAIR) and enhancement (t1c)."""
    gliosis = np.float32(row["gliosis"])
    signal = signal + mimics.gliosis * (gliosis - signal)
    signal += mimics.cavity * (np.float32(row["csf"]) - signal)
    if modality == "t2f":
        signal += mimics.unsuppressed * tissues.csf * np.float32(0.75)
    if modality == "t1c":
        signal += mimics.enhancing * np.float32(1.1)
    if modality == "t1n":
        signal += mimics.enhancing * np.float32(0.08)
    if modality == "t2w":
        signal *= 1.0 - np.float32(0.45) * mimics.enhancing
    return signal


def with_tumour(
    rng: np.random.Generator,
    row: Mapping[str, float],
    signal: Floats,
    frame: Frame,
    tissues: Tissues,
    tumour: TumourMaps,
) -> Floats:
    """Blend in oedema and core, unevenly."""
    uneven = total(draw_fields(rng, ((9.0, 0.06), (3.5, 0.07))), frame)[tissues.mask]
    # Oedema keeps a trace of the tissue it soaks and fades away from the core.
    fading = np.float32(0.72) + np.float32(0.4) * tumour.nearness
    soaked = np.float32(row["wm"]) + np.float32(row["oedema"] - row["wm"]) * fading
    soaked = (0.85 * soaked + 0.15 * signal) * (1.0 + 0.6 * uneven)
    mixed = signal + tumour.oedema * (soaked - signal)
    part = np.float32(row["core"]) + tumour.enhancing * np.float32(row["rim"] - row["core"])
    return np.asarray(mixed + tumour.core * (part * (1.0 + 1.4 * uneven) - mixed), dtype=np.float32)


def bias(rng: np.random.Generator, modality: str, scanner: Scanner, frame: Frame, tissues: Tissues) -> Floats:
    """Smooth multiplicative bias: transmit field and the nearness of receiver coils to the cortex."""
    field = draw_field(rng, 75.0).on(frame)[tissues.mask]
    near = 1.0 - smoothstep(tissues.depth / np.float32(38.0))
    lean = draw_field(rng, 60.0).on(frame)[tissues.mask]
    coil = np.float32(scanner.coil * (1.5 if modality == "t2f" else 1.0)) * near * (1.0 + np.float32(0.4) * lean)
    strength = np.float32(0.07 * scanner.bias * rng.uniform(0.6, 1.4))
    return np.asarray(np.exp(strength * field + coil), dtype=np.float32)
