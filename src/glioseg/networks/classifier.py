"""Networks that say which class a picture belongs to: one logit per class, none per pixel.

Both have ``features`` (images -> feature maps) and ``head`` (feature maps -> logits), so that an explanation can look
between the two.

References:
    [1] Sharma U, Kumar N, Sharma S. Deep Learning for Brain MRI Segmentation.
    [2] Ronneberger O, Fischer P, Brox T. U-Net: convolutional networks for biomedical image segmentation. MICCAI 2015.
    [3] Lin M, Chen Q, Yan S. Network in network. ICLR 2014 (global average pooling).
    [4] Srivastava N et al. Dropout. JMLR 15, 2014.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from glioseg.errors import GeometryError, OptionError
from glioseg.frozen import Frozen
from glioseg.networks.blocks import DoubleConvolution, Normalisation, convolution, initialise, max_pooling
from glioseg.networks.network import Stage, Staged

_CONTRACTING = re.compile(r"down\.(\d+)\.(.*)")
"""Names of a U-Net's contracting path: level, and what of it."""
Pooling = Literal["mean", "max", "asymmetry"]


def _each_once(kinds: tuple[Pooling, ...]) -> tuple[Pooling, ...]:
    if len(set(kinds)) < len(kinds):
        raise ValueError("names a pooling twice")
    return kinds


PoolingKinds = Annotated[tuple[Pooling, ...], Field(min_length=1), AfterValidator(_each_once)]


class SharmaCNNOptions(Frozen):
    """The sequential network of Sharma et al. [1], made for pictures of one size (``prepare.size``).

    Attributes:
        filters: of each of the two convolutions; 80 by Sharma et al. [1].
        hidden: units of a dense layer with ReLU between the features and the output layer; the paper has "fully
            connected layers" and tells neither how many nor how wide. None for the output layer alone.
    """

    kind: Literal["sharma-cnn"] = "sharma-cnn"
    dims: Literal[2] = Field(default=2, description="spatial axes; pictures only")
    filters: int = Field(default=80, ge=1)
    hidden: int | None = Field(default=None, ge=1)


class ClassifierOptions(Frozen):
    """The contracting path of a U-Net [2], for pictures of any size; that of one which segments can be put into it.

    Attributes:
        width: channels of the first level; each level has twice those of the one above.
        depth: number of poolings.
        normalisation: ``batch``, ``instance`` or ``group``, as the network whose weights are taken.
        dropout: share of the pooled features that training drops [4].
        pooling: what the last feature map is reduced to: its ``mean`` over all pixels [3], its ``max``, which a small
            finding moves as much as a large one, and its ``asymmetry``, the mean difference of left and right.
    """

    kind: Literal["classifier"] = "classifier"
    dims: Literal[2] = Field(default=2, description="spatial axes; pictures only")
    width: int = Field(default=16, ge=1)
    depth: int = Field(default=4, ge=1, le=7)
    normalisation: Normalisation = "batch"
    dropout: float = Field(default=0.3, ge=0.0, lt=1.0)
    pooling: PoolingKinds = ("mean", "max", "asymmetry")


class SharmaCNN(Staged):
    """Convolution 3×3, ReLU, max pooling 2×2, the same again, then dense layers over all features [1].

    Args:
        options: what decides the network.
        n_channels: channels of the pictures.
        n_classes: logits.
        size: rows and columns of the pictures, which the dense layer is made for.
        seed: decides the initial weights, together with nothing else.

    Raises:
        OptionError: no channel, fewer than two classes, or pictures of no stated size.
    """

    def __init__(
        self, options: SharmaCNNOptions, n_channels: int, n_classes: int, *, size: int | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        _require_classes(n_channels, n_classes)
        if size is None:
            raise OptionError(
                "sharma-cnn has a dense layer, which needs pictures of one size",
                remedy="Set prepare.size, such as 128",
            )
        self.n_channels = n_channels
        self.size = size
        with torch.random.fork_rng(devices=[]):  # PyTorch's constructors draw weights that are replaced below
            self.features = nn.Sequential(
                convolution(2, n_channels, options.filters, bias=True),
                nn.ReLU(),
                max_pooling(2),
                convolution(2, options.filters, options.filters, bias=True),
                nn.ReLU(),
                max_pooling(2),
            )
            n_features = options.filters * (size // 4) ** 2
            hidden = () if options.hidden is None else (nn.Linear(n_features, options.hidden), nn.ReLU())
            self.head = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(options.hidden or n_features, n_classes))
            _initialise(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, size, size) -> logits (B, K).

        Raises:
            GeometryError: pictures of another size.
        """
        if tuple(images.shape[2:]) != (self.size, self.size):
            raise GeometryError(
                "the dense layer was made for pictures of another size",
                found=" x ".join(map(str, images.shape[2:])),
                expected=f"{self.size} x {self.size}",
                remedy="Prepare pictures with the same prepare.size",
            )
        logits: Tensor = self.head(self.features(images))
        return logits

    def stages(self) -> tuple[Stage, ...]:
        """One for each grid, on which a convolution works before it is halved."""
        first, second, pooled = self.features[1], self.features[4], self.features[5]
        words = "conv 3×3, ReLU, max pooling 2×2"
        dense = "flatten, dense" if len(self.head) == 2 else "flatten, dense, ReLU, dense"
        return (
            Stage("down", first, words, (0,)),
            Stage("down", second, words, (1,)),
            Stage("down", pooled, "pooled", (2,)),
            Stage("head", self.head, dense, (3,)),
        )


class _Pooling(nn.Module):
    """2×2 max pooling; an axis of one or two pixels stays as it is, so that a normalisation has pixels to go by."""

    def forward(self, tensor: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, ⌈H/2⌉, ⌈W/2⌉)."""
        kernel = [2 if length > 2 else 1 for length in tensor.shape[2:]]
        return F.max_pool2d(tensor, kernel, ceil_mode=True)


class PathClassifier(Staged):
    """A U-Net's contracting path [2], its last feature map pooled over all pixels [3], dropout, one logit per class.

    Level ``i`` of the path is part ``2 i`` of ``features``; poolings stand between them.

    Arguments as of ``SharmaCNN``, but that pictures of any size pass. One logit alone is a number: a task of your own.
    """

    def __init__(self, options: ClassifierOptions, n_channels: int, n_classes: int, *, seed: int = 0) -> None:
        super().__init__()
        _require_classes(n_channels, n_classes)
        self.n_channels = n_channels
        self.pooling = options.pooling
        widths = [options.width * 2**level for level in range(options.depth + 1)]
        parts: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            for n_in, n_out in zip((n_channels, *widths), widths, strict=False):
                parts += [_Pooling()] * bool(parts)
                parts.append(
                    DoubleConvolution(2, n_in, n_out, normal=options.normalisation, padding="zero", residual=False)
                )
            self.features = nn.Sequential(*parts)
            dense = nn.Linear(widths[-1] * len(options.pooling), n_classes)
            self.head = nn.Sequential(_Pooled(options.pooling), nn.Dropout(options.dropout), dense)
            _initialise(self, seed)

    @staticmethod
    def own_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights under this network's names: those of a U-Net's contracting path, or its own as they are."""
        path = {_CONTRACTING.fullmatch(name): tensor for name, tensor in weights.items()}
        renamed = {f"features.{2 * int(name[1])}.{name[2]}": tensor for name, tensor in path.items() if name}
        return renamed or dict(weights)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) of any size -> logits (B, K)."""
        logits: Tensor = self.head(self.features(images))
        return logits

    def stages(self) -> tuple[Stage, ...]:
        """The levels of the path, one for each grid."""
        blocks = list(self.features)[::2]
        words = "2 × (conv 3×3, norm, ReLU)"
        path = [Stage("down", block, f"{words}, max pooling 2×2", (place,)) for place, block in enumerate(blocks[:-1])]
        lowest = Stage("down", blocks[-1], words, (len(path),))
        head = f"{', '.join(self.pooling)} over all pixels, dropout, dense"
        return (*path, lowest, Stage("head", self.head, head, (len(blocks),)))


class _Pooled(nn.Module):
    """(B, C, H, W) -> (B, C · kinds): what ``kinds`` name, one after the other."""

    def __init__(self, kinds: tuple[Pooling, ...]) -> None:
        super().__init__()
        self.kinds = kinds

    def forward(self, tensor: Tensor) -> Tensor:
        """The pooled features."""
        return torch.cat([_POOLED[kind](tensor) for kind in self.kinds], dim=1)


_POOLED: Mapping[Pooling, Callable[[Tensor], Tensor]] = {
    "mean": lambda features: features.mean(dim=(2, 3)),
    "max": lambda features: features.amax(dim=(2, 3)),
    "asymmetry": lambda features: (features - features.flip(3)).abs().mean(dim=(2, 3)),
}


def _require_classes(n_channels: int, n_classes: int) -> None:
    if n_channels < 1 or n_classes < 1:
        raise OptionError("a network needs at least one channel and one logit", found=f"{n_channels} and {n_classes}")


def _initialise(module: nn.Module, seed: int) -> None:
    """As ``blocks.initialise``; dense layers: a normal distribution of variance 1 / features, biases 0."""
    initialise(module, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0.0, 1 / math.sqrt(part.in_features), generator=generator)
            nn.init.zeros_(part.bias)
