"""The parts that networks are made of, for two and three spatial axes alike.

Tensors are ``(B, C, *S)`` with ``S = (H, W)`` or ``(D, H, W)``. Every part keeps the memory format of what it is given
(channels last in, channels last out), runs under bfloat16 autocast, and draws nothing from a random generator but the
dropout. Convolutions that a normalisation follows have no bias: the normalisation would subtract it again.

References:
    [1] He K, Zhang X, Ren S, Sun J. Deep residual learning for image recognition. CVPR 2016.
    [2] Oktay O et al. Attention U-Net: learning where to look for the pancreas. MIDL 2018, arXiv:1804.03999.
    [3] Ioffe S, Szegedy C. Batch normalization. ICML 2015.
    [4] Ulyanov D, Vedaldi A, Lempitsky V. Instance normalization. arXiv:1607.08022, 2016.
    [5] Wu Y, He K. Group normalization. ECCV 2018.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name that all of PyTorch's own documents use)
from pydantic import Field
from torch import Tensor, nn

from glioseg.networks.enlarging import enlarge
from glioseg.networks.pooling import RepeatingMaxPool3d

Dims = Literal[2, 3]
Normalisation = Literal["batch", "instance", "group"]
Upsampling = Literal["bilinear", "transposed"]
Padding = Literal["zero", "replicate"]
Blocks = Annotated[int, Field(ge=1, le=64)]
"""Blocks of a level."""

N_GROUPS = 8
"""Groups of a group normalisation, or the largest number below that divides the channels in common with it."""


def convolution(
    dims: Dims,
    n_in: int,
    n_out: int,
    *,
    size: int = 3,
    stride: int = 1,
    dilation: int = 1,
    bias: bool = False,
    padding: Padding = "zero",
) -> nn.Conv2d | nn.Conv3d:
    """A convolution that keeps the size of its input, divided by the stride.

    Args:
        dims: spatial axes.
        n_in: channels in.
        n_out: channels out.
        size: edge of the kernel in voxels; odd, or the stride, so that the kernels tile the input.
        stride: step of the kernel in voxels.
        dilation: distance in voxels of what neighbouring taps of the kernel see; above 1 it is atrous.
        bias: whether a constant is added to each channel.
        padding: what stands beyond the border: zeros or the border voxel repeated.
    """
    kind: type[nn.Conv2d] | type[nn.Conv3d] = nn.Conv2d if dims == 2 else _Convolution3d
    mode: Literal["zeros", "replicate"] = "zeros" if padding == "zero" else "replicate"
    margin = dilation * (size // 2) if size % 2 else 0
    return kind(n_in, n_out, size, stride, margin, dilation, bias=bias, padding_mode=mode)


class _Convolution3d(nn.Conv3d):
    """A convolution of volumes that keeps clear of a fault in oneDNN, on which PyTorch's CPU convolutions run.

    For 3×3×3 kernels with a padding of one and inputs of exactly two slices, the bfloat16 gradient of the weights is
    read from memory that nobody wrote (seen with torch 2.13.0 on AVX512-BF16; other sizes and float32 are right). A
    U-Net meets it: 32 slices through four poolings are two. Those convolutions, the smallest of all, are done in
    float32.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name in PyTorch's own signature)
        """(B, n_in, D, H, W) -> (B, n_out, D, H, W)."""
        at_risk = self.kernel_size[0] == 3 and input.shape[2] == 2 and input.device.type == "cpu"
        if not (at_risk and torch.is_autocast_enabled("cpu")):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            exact = super().forward(input.float())
        return exact.to(torch.get_autocast_dtype("cpu"))


def is_traced() -> bool:
    """Whether the operations are being written down for an export, sizes as unknowns."""
    return torch._C._get_tracing_state() is not None


class _InstanceNorm2d(nn.InstanceNorm2d):
    """PyTorch's, with the memory format of its input; a group normalisation of single channels is four times slower."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """(B, C, H, W) -> (B, C, H, W)."""
        return laid_out_as(input, super().forward(input), torch.channels_last)


class _InstanceNorm3d(nn.InstanceNorm3d):
    """The same for volumes."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """(B, C, D, H, W) -> (B, C, D, H, W)."""
        return laid_out_as(input, super().forward(input), torch.channels_last_3d)


def laid_out_as(model: Tensor, tensor: Tensor, layout: torch.memory_format) -> Tensor:
    """The tensor in the layout, if the model is in it."""
    if is_traced():  # ONNX knows one layout only
        return tensor
    return tensor.contiguous(memory_format=layout) if model.is_contiguous(memory_format=layout) else tensor


_OURS: tuple[tuple[type[nn.Module], type[nn.Module]], ...] = (
    (nn.Conv3d, _Convolution3d),
    (nn.InstanceNorm2d, _InstanceNorm2d),
    (nn.InstanceNorm3d, _InstanceNorm3d),
)


def adopt(module: nn.Module) -> None:
    """Let the parts of a network from elsewhere do what ours do: keep clear of oneDNN's fault, keep memory formats.

    Ours add a method to PyTorch's classes and nothing else, so that the parts and their weights stay what they are.
    """
    for part in module.modules():
        for theirs, ours in _OURS:
            if type(part) is theirs:
                part.__class__ = ours


def normalisation(kind: Normalisation, dims: Dims, n_channels: int) -> nn.Module:
    """Zero mean and unit variance, then a learnt scale and offset per channel.

    ``batch`` takes the statistics per channel over the batch and keeps running ones for prediction [3], ``instance``
    per channel of each item [4], ``group`` per group of channels of each item [5].
    """
    if kind == "group":
        return nn.GroupNorm(math.gcd(N_GROUPS, n_channels), n_channels)
    if kind == "instance":
        return _InstanceNorm2d(n_channels, affine=True) if dims == 2 else _InstanceNorm3d(n_channels, affine=True)
    return nn.BatchNorm2d(n_channels) if dims == 2 else nn.BatchNorm3d(n_channels)


def max_pooling(dims: Dims) -> nn.Module:
    """(B, C, *S) -> (B, C, *S/2): the largest of each 2×2(×2) voxels."""
    return nn.MaxPool2d(2) if dims == 2 else RepeatingMaxPool3d(2)


class DoubleConvolution(nn.Module):
    """Two 3×3(×3) convolutions, each with normalisation and ReLU; as a residual block the input is added before the
    last ReLU, through a 1×1 convolution where the number of channels or the size changes [1]. The first convolution may
    have a stride; both may be atrous.
    """

    def __init__(
        self,
        dims: Dims,
        n_in: int,
        n_out: int,
        *,
        normal: Normalisation,
        padding: Padding,
        residual: bool,
        dropout: float = 0.0,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.first = convolution(dims, n_in, n_out, stride=stride, dilation=dilation, padding=padding)
        self.first_normal = normalisation(normal, dims, n_out)
        self.second = convolution(dims, n_out, n_out, dilation=dilation, padding=padding)
        self.second_normal = normalisation(normal, dims, n_out)
        self.residual = residual
        self.shortcut: nn.Module = nn.Identity()
        if residual and (n_in != n_out or stride > 1):
            point = convolution(dims, n_in, n_out, size=1, stride=stride)
            self.shortcut = nn.Sequential(point, normalisation(normal, dims, n_out))
        self.dropout: nn.Module = nn.Dropout(dropout) if dropout > 0 else nn.Identity()

    def forward(self, tensor: Tensor) -> Tensor:
        """(B, n_in, *S) -> (B, n_out, *S / stride)."""
        features = F.relu(self.first_normal(self.first(tensor)), inplace=True)
        features = self.second_normal(self.second(features))
        if self.residual:
            features = features + self.shortcut(tensor)
        dropped: Tensor = self.dropout(F.relu(features, inplace=True))
        return dropped


class Upsampling2x(nn.Module):
    """Twice the size, by a transposed convolution or by linear interpolation and a convolution.

    The convolution of the second kind is 1×1 and comes first: interpolation works on each channel alone with weights
    that sum to one, so that the two commute exactly, and at the coarse grid the convolution costs a quarter (2-D).
    """

    def __init__(self, dims: Dims, n_in: int, n_out: int, kind: Upsampling) -> None:
        super().__init__()
        self.kind = kind
        self.convolution: nn.Module
        if kind == "transposed":
            transposed = nn.ConvTranspose2d if dims == 2 else nn.ConvTranspose3d
            self.convolution = transposed(n_in, n_out, 2, stride=2)
        else:
            self.convolution = convolution(dims, n_in, n_out, size=1, bias=True)

    def forward(self, tensor: Tensor) -> Tensor:
        """(B, n_in, *S) -> (B, n_out, *2S)."""
        features: Tensor = self.convolution(tensor)
        return features if self.kind == "transposed" else enlarge(features, 2)


class AttentionGate(nn.Module):
    """Additive attention on a skip connection: ``skip · sigmoid(psi(relu(W_skip skip + W_gate gate)))`` [2].

    The coefficients, one per voxel for all channels, are computed on the grid of the gate (``W_skip`` is a 2×2(×2)
    convolution of stride 2) and enlarged linearly to the grid of the skip, as in the paper's figure 2.
    """

    def __init__(self, dims: Dims, n_skip: int, n_gate: int) -> None:
        super().__init__()
        n_between = max(n_skip // 2, 1)
        self.from_skip = convolution(dims, n_skip, n_between, size=2, stride=2)
        self.from_gate = convolution(dims, n_gate, n_between, size=1, bias=True)
        self.psi = convolution(dims, n_between, 1, size=1, bias=True)

    def coefficients(self, skip: Tensor, gate: Tensor) -> Tensor:
        """(B, n_skip, *2S), (B, n_gate, *S) -> (B, 1, *2S) in 0..1."""
        return enlarge(torch.sigmoid(self.psi(F.relu(self.from_skip(skip) + self.from_gate(gate)))), 2)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """(B, n_skip, *2S), (B, n_gate, *S) -> (B, n_skip, *2S)."""
        return skip * self.coefficients(skip, gate)


def initialise(module: nn.Module, seed: int) -> None:
    """Draw all weights anew from ``seed`` alone: He's normal distribution for ReLU, biases 0, normalisations 1 and 0.

    The draws come from a generator of their own: neither do they depend on PyTorch's global one nor do they move it.
    Source: He K et al. Delving deep into rectifiers. ICCV 2015.
    """
    if any(parameter.is_meta for parameter in module.parameters()):
        return  # shapes without values: a draw of them would only load PyTorch's compiler, which takes seconds
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            # a transposed kernel of stride 2 meets each voxel once: its fan-in is the input channels alone
            fan_in = part.in_channels if isinstance(part, nn.ConvTranspose2d | nn.ConvTranspose3d) else None
            deviation = math.sqrt(2.0 / (fan_in or part.weight[0].numel()))
            nn.init.normal_(part.weight, 0.0, deviation, generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d | nn.InstanceNorm2d | nn.InstanceNorm3d | nn.GroupNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
