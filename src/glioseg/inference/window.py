"""A volume through a 3-D network: overlapping windows, blended by Gaussian weights, flipped views averaged.

The windows are MONAI's, which knows how to lay, batch and blend them; ours are the order of axes, the number format,
the views and that windows in which nothing is shown are not computed. A voxel's probability is the mean over the
windows that hold it, weighted by a Gaussian about a window's centre of an eighth of its length: near its border a
network sees one side only.

References:
    [1] Isensee F et al. nnU-Net. Nature Methods 18, 2021 (Gaussian importance weighting, sigma 1/8).
    [2] Cardoso MJ et al. MONAI: an open-source framework for deep learning in healthcare. arXiv:2211.02701, 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glioseg.console import Step
from glioseg.inference.backends import layout_of
from glioseg.inference.options import Activation
from glioseg.inference.slices import mean_over_views, to_nobody
from glioseg.machine.device import autocast
from glioseg.preparation.patches import PatchOptions

FLIPS_3D: Mapping[str, tuple[tuple[int, ...], ...]] = MappingProxyType(
    {"none": ((),), "lr": ((), (4,)), "all": ((), (4,), (3,), (2,), (3, 4), (2, 4), (2, 3), (2, 3, 4))}
)
"""Views at test time, by the axes of (B, C, Z, Y, X) that are flipped."""


@torch.inference_mode()
def predict_volume(
    model: nn.Module,
    images: npt.NDArray[np.floating],
    patches: PatchOptions,
    *,
    n_regions: int,
    bf16: bool,
    batch_size: int = 1,
    flips: Sequence[tuple[int, ...]] = ((),),
    activation: Activation = "sigmoid",
    told: Step = to_nobody,
) -> npt.NDArray[np.float32]:
    """Probabilities of every region in a volume, of any size.

    Args:
        model: in evaluation mode; (B, C, D, H, W) -> logits.
        images: (Z, C, Y, X), mapped or not; where all channels of a window are 0 its probabilities are 0.
        patches: size and overlap of the windows; a volume that is smaller is set in the middle of zeros.
        n_regions: R.
        bf16: run under bfloat16 autocast.
        batch_size: windows at a time.
        flips: views whose probabilities are averaged.
        activation: of the logits.
        told: after each batch of windows.

    Returns:
        (R, Z, Y, X) float32 in 0..1, on the CPU whatever the network's device.
    """
    from monai.inferers import sliding_window_inference  # takes seconds to import

    device = next(model.parameters()).device
    volume = torch.from_numpy(np.ascontiguousarray(images.transpose(1, 0, 2, 3), dtype=np.float32))[None]
    n_done, n_all = 0, n_windows(tuple(volume.shape[2:]), patches)

    def probabilities(windows: Tensor) -> Tensor:
        nonlocal n_done
        values = windows.new_zeros((len(windows), n_regions, *windows.shape[2:]))
        is_filled = (windows != 0).flatten(1).any(dim=1)
        if is_filled.any():
            filled = windows[is_filled].contiguous(memory_format=layout_of(model, 3))
            with autocast(device, bf16=bf16):
                values[is_filled] = mean_over_views(model, filled, flips, activation)
        n_done += len(windows)
        told(n_done, n_all)
        return values

    blended = sliding_window_inference(
        volume,
        patches.voxels,
        batch_size,
        probabilities,
        overlap=patches.overlap,
        mode="gaussian",
        sw_device=device,
        device=torch.device("cpu"),
    )
    tensor = cast(Tensor, blended)  # as what it was given
    return np.asarray(tensor[0].clamp_(0, 1).numpy(), dtype=np.float32)


def n_windows(size: Sequence[int], patches: PatchOptions) -> int:
    """How many windows MONAI lays over a volume: along each axis by steps of a window without its overlap."""
    counts = []
    for length, window in zip(size, patches.voxels, strict=True):
        step = max(1, int(window * (1 - patches.overlap))) if length > window else window
        counts.append(1 + max(0, -(-(length - window) // step)))
    return int(np.prod(counts))
