"""Fit what tells sequences that were exchanged, on phantom patients, and count what it says of real ones.

glioseg phantom PHANTOMS --patients 24 --spacing 2 --seed 900
python benchmarks/contrasts.py PHANTOMS [--check BRATS] [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from pathlib import Path

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


def described(folder: Path) -> list[Scans]:
    """Of each case with all four modalities its scans."""
    found = []
    for case in glioseg.read(folder).cases:
        image = load_image(case, MODALITY_ORDER)
        scans = [scan_features(array, image.grid.spacing_mm) for array in image.array]
        found.append([scan for scan in scans if scan is not None])
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
        checked = described(arguments.check)
        print(f"{arguments.check.name}: {plural(len(checked), 'case')}")
        for n in (3, 4):
            print(counted(checked, model, n), flush=True)


if __name__ == "__main__":
    main()
