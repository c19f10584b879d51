"""Write the pictures that ``model:tumour-or-none`` learns from: BRISC's, some with other contrasts, and phantom slices.

    python docs/make_tumour_or_none_pictures.py BRISC PHANTOMS OUT

``OUT/no`` and ``OUT/yes`` hold grey pictures. BRISC shows contrast-enhanced T1 alone; so that the network learns what a
tumour looks like in any contrast, a share of its pictures is written once more through a random curve that falls or
rises (Zhou et al., Models Genesis, 2021: non-linear intensity transformation), and slices of random phantom patients
come in all four modalities. What is drawn for a picture follows from its name alone.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

import glioseg
from glioseg.io import load_image, load_labels

DARK = 10
"""Grey values up to this are air; they stay as they are."""
CURVED_SHARE = 0.5
SLICES_EACH = 2
"""Of a phantom patient: so many with tumour and so many without."""
LEAST_SHARE = 0.01
"""Of a slice's brain: smaller tumours are neither yes nor no."""


def main(brisc: Path, phantoms: Path, out: Path) -> None:
    """All pictures; ``out`` must not exist."""
    for category in ("no", "yes"):
        (out / category).mkdir(parents=True)
    n = sum(1 for _ in from_brisc(brisc, out)) + sum(1 for _ in from_phantoms(phantoms, out))
    print(f"{n} pictures in {out}")


def from_brisc(brisc: Path, out: Path) -> Iterator[Path]:
    """The pictures as published, and for some a second one with another contrast."""
    for path in sorted((brisc / "classification_task").rglob("*.*")):
        category = "no" if path.parent.name == "no_tumor" else "yes"
        grey = np.asarray(Picture.open(path).convert("L"))
        yield save(grey, out / category / f"{path.stem}.png")
        random = drawn_from(path.stem)
        if random.random() < CURVED_SHARE:
            yield save(curved(grey, random), out / category / f"curved_{path.stem}.png")


def curved(grey: npt.NDArray[np.uint8], random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """(rows, columns) -> the same through a cubic Bezier curve, falling for three of four; air stays dark."""
    t = np.linspace(0, 1, 256)
    inner = np.sort(random.random((2, 2)), axis=1)
    xs, ys = ([0.0, *row, 1.0] for row in inner)
    weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
    x, y = (sum(w * p for w, p in zip(weights, points, strict=True)) for points in (xs, ys))
    if random.random() < 0.75:
        y = 1 - y
    inside = grey > DARK
    top = max(int(grey.max()), DARK + 1)
    share = (grey.astype(np.float64) - DARK) / (top - DARK)
    changed = 30 + 220 * np.interp(share, x, y)
    return np.where(inside, changed, grey).astype(np.uint8)


def from_phantoms(phantoms: Path, out: Path) -> Iterator[Path]:
    """Axial slices of each patient, one modality drawn for each slice."""
    cohort = glioseg.read(phantoms)
    for case in cohort.cases:
        random = drawn_from(case.id)
        image, labels = load_image(case), load_labels(case, cohort.scheme)
        volume = np.asarray(image.array)
        tumour = np.asarray(labels.array) > 0
        brain = (volume > 0).any(axis=0)
        n_brain, n_tumour = brain.sum(axis=(0, 1)), tumour.sum(axis=(0, 1))
        wide = n_brain > 0.35 * n_brain.max()
        groups = {"yes": wide & (n_tumour > LEAST_SHARE * n_brain), "no": wide & (n_tumour == 0)}
        for category, chosen in groups.items():
            indices = np.flatnonzero(chosen)
            for index in random.permutation(indices)[:SLICES_EACH]:
                modality = int(random.integers(len(image.modalities)))
                grey = volume[modality, :, :, index].T[::-1]
                top = np.percentile(grey[grey > 0], 99.7)
                pixels = (np.clip(grey / top, 0, 1) * 255).astype(np.uint8)
                yield save(pixels, out / category / f"{case.id}_{index:03d}_{image.modalities[modality]}.png")


def drawn_from(name: str) -> np.random.Generator:
    """Random numbers that the name decides."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def save(pixels: npt.NDArray[np.uint8], path: Path) -> Path:
    """Write a grey picture."""
    Picture.fromarray(pixels).save(path)
    return path


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
