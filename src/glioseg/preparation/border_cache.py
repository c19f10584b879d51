"""Border terms of a prepared cohort, computed once: kept only for slices with two or more components."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glioseg.console import Step
from glioseg.io.files import replacing
from glioseg.preparation.border import BorderOptions, border_term
from glioseg.preparation.store import PreparedCohort

_VERSION = 1


@dataclass(frozen=True)
class BorderMaps:
    """Where the border terms of each case lie.

    Args:
        files: case id -> (.npy of the Z indices that have a map, .npy of the maps (N, R, Y, X) float16).
    """

    files: Mapping[str, tuple[Path, Path]]

    def at(self, case: str, z: int) -> npt.NDArray[np.float16] | None:
        """The border term (R, Y, X) of a slice; None where it is 0 all over."""
        slices, maps = self.files[case]
        position = np.flatnonzero(np.load(slices) == z)
        if not len(position):
            return None
        term: npt.NDArray[np.float16] = np.load(maps, mmap_mode="r")[int(position[0])]
        return term


def border_maps(prepared: PreparedCohort, options: BorderOptions, progress: Step | None = None) -> BorderMaps:
    """The border terms of all cases with a reference, made where they are not in the cache yet.

    They lie beside the arrays that they were made from, in a folder named by the options, so that they go with them.
    """
    text = f"{_VERSION} {options.model_dump_json()}"
    folder = prepared.folder / f"borders-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    files = {}
    for done, case in enumerate(prepared.cases):
        if case.regions is None:
            continue
        stem = Path(case.arrays["regions"].file).stem
        pair = (folder / f"{stem}-slices.npy", folder / f"{stem}-maps.npy")
        if not (pair[0].exists() and pair[1].exists()):
            _write(case.regions, options, pair)
        files[case.id] = pair
        if progress is not None:
            progress(done + 1, len(prepared.cases))
    return BorderMaps(files)


def _write(regions: npt.NDArray[np.uint8], options: BorderOptions, pair: tuple[Path, Path]) -> None:
    slices, maps = [], []
    for z in range(len(regions)):
        terms = np.stack(
            [border_term(mask, w0=options.w0, sigma=options.sigma, form=options.form) for mask in regions[z]]
        )
        if terms.any():
            slices.append(z)
            maps.append(terms.astype(np.float16))
    stacked = np.stack(maps) if maps else np.zeros((0, *regions.shape[1:]), dtype=np.float16)
    # the maps first: where the slices stand, the maps are whole
    for path, array in ((pair[1], stacked), (pair[0], np.asarray(slices, dtype=np.int64))):
        with replacing(path) as temporary:
            np.save(temporary, array)
