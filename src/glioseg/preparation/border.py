"""The border term of weight maps: how much more a voxel counts that lies between two tumour components.

References:
    [1] Ronneberger O, Fischer P, Brox T. U-Net. MICCAI 2015, equation 2.
    [2] Patsatzi FA, Whiteley Tscherniak I. Report on brain tumour segmentation in LGG, TU Munich 2023.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from glioseg.errors import GeometryError, OptionError
from glioseg.frozen import Frozen

BorderForm = Literal["tum", "ronneberger"]


class BorderOptions(Frozen):
    """What decides the border term.

    Attributes:
        w0: its height where the borders of two components meet; terms are kept in 16 bits.
        sigma: how far it reaches, in voxels of the working grid.
        form: the exponent's denominator: ``tum`` (2σ)² as by Patsatzi and Whiteley Tscherniak [2], ``ronneberger`` 2σ²
            as by Ronneberger et al. [1].
    """

    w0: float = Field(default=10.0, ge=0.0, le=60_000.0)
    sigma: float = Field(default=5.0, gt=0.0)
    form: BorderForm = "tum"


def border_term(
    mask: npt.NDArray[np.bool_ | np.integer], *, w0: float = 10.0, sigma: float = 5.0, form: BorderForm = "tum"
) -> npt.NDArray[np.float32]:
    """``w0 · exp(−(d1 + d2)² / (2σ)²)``, or ``/ 2σ²`` in Ronneberger's form; 0 where the mask has no two components.

    d1 and d2 are the distances, in voxels between centres, to the borders of the nearest and of the second nearest
    component, also for voxels inside a component. Components are separate where they do not even touch at a corner; the
    border of a component is those of its voxels that share a face with a voxel outside it (the edge of the picture is
    no border). The class weight, the other part of the weight map, is added by the loss.

    Args:
        mask: (H, W), or (D, H, W); inside where it is not 0.
        w0: see ``BorderOptions``, as are
        sigma: and
        form: the other two.

    Returns:
        float32 of the mask's shape.

    Raises:
        GeometryError: the mask has neither two nor three axes.
        OptionError: a sigma that is not above 0.
    """
    if mask.ndim not in (2, 3):
        raise GeometryError("a weight map needs a mask of two or three axes", found=mask.shape)
    if not sigma > 0:
        raise OptionError("the reach of the border term must be above 0", found=sigma)
    # [1], equation 2: w(x) = w_c(x) + w0 · exp(−(d1(x) + d2(x))² / (2σ²)). [2] writes the denominator as (2σ)², twice
    # that of [1]: at the same σ its borders reach √2 times as far.
    components, n_components = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    if n_components < 2:
        return np.zeros(mask.shape, dtype=np.float32)
    sum_of_distances = sum(_two_nearest(components, n_components))
    denominator = (2 * sigma) ** 2 if form == "tum" else 2 * sigma**2
    return np.asarray(w0 * np.exp(-(sum_of_distances**2) / denominator), dtype=np.float32)


def _two_nearest(
    components: npt.NDArray[np.integer], n_components: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The distances to the borders of the nearest and the second nearest component, each of the shape of the mask."""
    nearest = np.full(components.shape, np.inf)
    second = nearest.copy()
    for component in range(1, n_components + 1):
        inside = components == component
        border = inside & ~ndimage.binary_erosion(inside, border_value=1)  # 1: the picture's edge takes nothing away
        distance = ndimage.distance_transform_edt(~border)
        # the two smallest so far: of the new distance and the old nearest, the larger may be the new second
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return nearest, second
