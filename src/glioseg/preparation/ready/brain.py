"""The brain in a T1, by deepbet, whose weights lie in its wheel: it works offline.

References:
    [1] Fisch L et al. deepbet: fast brain extraction of T1-weighted MRI using convolutional neural networks. Computers
        in Biology and Medicine 179, 2024.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.errors import GeometryError, OptionError
from glioseg.preparation.resample import resample_array

TOOL = "deepbet"
T1_NAMES = ("t1n", "pre", "t1c", "post")
"""What a brain is looked for in, the best first: deepbet knows T1."""
_SMALLEST_ML, _LARGEST_ML = 700.0, 2000.0
"""Between these lie the brains of adults, ventricles included."""
_FEWEST = 4


@dataclass(frozen=True, eq=False)
class Brain:
    """The brain of a case.

    Args:
        mask: bool (X, Y, Z),
        grid: where it lies.
        of: the modality that it was found in.
        volume_ml: of the mask.
        seconds: that it took.
    """

    mask: npt.NDArray[np.bool_]
    grid: Grid
    of: str
    volume_ml: float
    seconds: float

    @property
    def is_odd(self) -> bool:
        """Whether its volume is none of an adult's brain."""
        return not _SMALLEST_ML <= self.volume_ml <= _LARGEST_ML


def require_deepbet() -> Any:  # noqa: ANN401 - another library's class
    """The class of deepbet.

    Raises:
        OptionError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module("deepbet.bet").BrainExtraction
    except ImportError as error:
        raise OptionError(
            "brain extraction needs a library that is not installed",
            found=f"no {error.name or TOOL}",
            remedy="Install it: pip install 'glioseg[brain]'",
        ) from error


def extract_brain(array: npt.NDArray[Any], grid: Grid, name: str) -> Brain:
    """Find the brain in a T1.

    Args:
        array: (X, Y, Z), with its skull or without.
        grid: its place.
        name: of the modality.

    Raises:
        OptionError: deepbet is not installed.
        GeometryError: a volume of few slices, or one in which no brain is found.
    """
    began = time.perf_counter()
    extraction = require_deepbet()
    if min(grid.shape) < _FEWEST:
        raise GeometryError(
            f"{name} is too thin for a brain to be found in it",
            found=grid.describe(),
            expected=f"a T1 of a head, {_FEWEST} voxels or more along each axis",
            remedy="Leave `--brain-extract` out",
        )
    upright = grid.with_orientation("RAS")
    turned = np.ascontiguousarray(resample_array(array[None], grid, upright, "nearest")[0], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = extraction(no_gpu=True)
        try:
            upright_mask = network.postprocess(network.run_model(turned) > 0.5)
        except (AssertionError, ValueError) as error:  # nothing that it takes for a brain
            raise GeometryError(
                f"no brain was found in {name}", expected="a T1 of a head", remedy="Leave `--brain-extract` out"
            ) from error
    mask = resample_array(upright_mask[None], upright, grid, "nearest")[0].astype(bool)
    return Brain(mask, grid, name, float(mask.sum()) * grid.voxel_ml, time.perf_counter() - began)
