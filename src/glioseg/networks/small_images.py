"""Convolutions whose gradients are right where an image is smaller than the kernel.

In bfloat16 oneDNN (3.x, seen with PyTorch 2.7 to 2.13 on a processor with AVX512-BF16) adds memory that nobody wrote to
the gradient of the weights where the first spatial axis is shorter than the kernel: 3×3×3 on two slices, 5×5×5 on four.
Depthwise convolutions with stride do so in float32 too. Such a training is wrong, now and then not a number, and not
repeatable. Images are therefore widened by the zeros that the padding means anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn
from torch.nn.functional import pad


def widen_small_images(network: nn.Module) -> None:
    """Let all convolutions inside a network that pad with zeros widen images that are smaller than their kernel.

    What they compute stays the same: behind the edge they see zeros in any case. Weights, their names and copies of
    the network are not touched.

    Args:
        network: changed in place.
    """
    for module in network.modules():
        if module is network or type(module) not in _WIDENING:
            continue
        if module.padding_mode == "zeros" and not isinstance(module.padding, str):
            module.__class__ = _WIDENING[type(module)]


class _Conv2d(nn.Conv2d):
    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> the convolution."""
        return _convolved(self, super().forward, images)


class _Conv3d(nn.Conv3d):
    def forward(self, images: Tensor) -> Tensor:
        """(B, C, D, H, W) -> the convolution."""
        return _convolved(self, super().forward, images)


_WIDENING: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: _Conv2d, nn.Conv3d: _Conv3d}


def _convolved(convolution: nn.Conv2d | nn.Conv3d, convolve: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Images (B, C, …) convolved, with zeros behind the end of each axis that is shorter than the kernel.

    Of the features those of the images are kept: (size + 2 padding - extent) // stride + 1 along each axis.
    """
    sizes = images.shape[2:]
    lacking = [max(0, n - size) for n, size in zip(convolution.kernel_size, sizes, strict=True)]
    if not any(lacking):
        return convolve(images)
    features = convolve(pad(images, [n for after in reversed(lacking) for n in (0, after)]))
    paddings = cast("tuple[int, ...]", convolution.padding)
    axes = zip(sizes, convolution.kernel_size, paddings, convolution.dilation, convolution.stride, strict=True)
    for axis, (size, n, padding, dilation, stride) in enumerate(axes, start=2):
        features = features.narrow(axis, 0, (size + 2 * padding - dilation * (n - 1) - 1) // stride + 1)
    return features
