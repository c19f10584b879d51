"""Fit what tells sequences that were exchanged, on phantom patients, and count what it says of real ones.

glioseg phantom PHANTOMS --patients 24 --spacing 2 --seed 900
python benchmarks/contrasts.py PHANTOMS [--check BRATS] [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import glioseg
from glioseg import weights
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.errors import plural
from glioseg.inference.contrasts import (
    FILE,
    ContrastModel,
    ScanFeatures,
    fit_contrasts,
    likeliest_order,
    scan_features,
)
from glioseg.io import load_image
from glioseg.io.files import write_text

Scans = list[ScanFeatures]
Array = npt.NDArray[Any]
THICK_MM = 5.0
AXES = (0, 2, 1, 2)
"""Across which each modality is sliced: T1 sagittal, T1c axial, T2 coronal, FLAIR axial."""


def in_thick_slices(array: Array, spacing_mm: Sequence[float], axis: int) -> Array:
    """(X, Y, Z) as it is once slices of 5 mm along an axis were brought back to its grid."""
    n = max(1, round(THICK_MM / spacing_mm[axis]))
    along = np.moveaxis(array.astype(np.float32), axis, 0)
    slices = np.pad(along, ((0, -len(along) % n), (0, 0), (0, 0))).reshape(-1, n, *along.shape[1:]).mean(axis=1)
    places = ((np.arange(len(along)) + 0.5) / n - 0.5).clip(0, len(slices) - 1)
    low = places.astype(int)
    share = (places - low)[:, None, None]
    back = slices[low] * (1 - share) + slices[(low + 1).clip(max=len(slices) - 1)] * share
    return np.moveaxis(back, 0, axis)


def described(folder: Path, sharp: str | None = None) -> list[Scans]:
    """Of each case with all four modalities its scans; with ``sharp`` all others in thick slices."""
    found = []
    for case in glioseg.read(folder).cases:
        image = load_image(case, MODALITY_ORDER)
        spacing_mm = image.grid.spacing_mm
        arrays = [
            array if name == sharp or sharp is None else in_thick_slices(array, spacing_mm, axis)
            for name, array, axis in zip(MODALITY_ORDER, image.array, AXES, strict=True)
        ]
        found.append([scan for scan in scan_features(arrays, spacing_mm) if scan is not None])
    return [scans for scans in found if len(scans) == len(MODALITY_ORDER)]


def swaps(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The orders in which two names are exchanged."""
    for order in permutations(names):
        if sum(one != other for one, other in zip(order, names, strict=True)) == 2:
            yield order


def counted(cases: Sequence[Scans], model: ContrastModel, n: int) -> str:
    """Of sets of ``n`` modalities: in order and said to be exchanged; two exchanged, and named rightly."""
    n_right, n_false, n_swapped, n_named = 0, 0, 0, 0
    for scans in cases:
        for places in combinations(range(len(MODALITY_ORDER)), n):
            own, true = [scans[place] for place in places], tuple(MODALITY_ORDER[place] for place in places)
            n_right += 1
            n_false += likeliest_order(own, true, model) != true
            for given in swaps(true):
                n_swapped += 1
                n_named += likeliest_order(own, given, model) == true
    return f"{n} modalities: {n_false} false alarms of {n_right}; of {n_swapped} exchanges {n_named} named"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phantoms", type=Path)
    parser.add_argument("--check", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    cases = described(arguments.phantoms)
    model = fit_contrasts(cases, MODALITY_ORDER, f"{plural(len(cases), 'phantom patient')}")
    if arguments.write:
        write_text(Path(weights.__file__).parent / FILE, model.model_dump_json() + "\n")
    if arguments.check is not None:
        for sharp in (None, *MODALITY_ORDER):
            checked = described(arguments.check, sharp)
            how = "as they are" if sharp is None else f"all but {sharp} in slices of {THICK_MM:g} mm"
            print(f"{arguments.check.name}: {plural(len(checked), 'case')}, {how}")
            for n in (3, 4):
                print(f"  {counted(checked, model, n)}", flush=True)


if __name__ == "__main__":
    main()
