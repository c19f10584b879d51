from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from glioseg.networks.deeplab import AtrousPyramid, DeepLab, DeepLabOptions

_SMALL = DeepLabOptions(width=4, pyramid_width=8, blocks=(1, 1, 1, 1))


def _features(model: DeepLab, size: int) -> list[tuple[int, ...]]:
    """Shapes (C, H, W) after the stem and each stage of the encoder."""
    shapes: list[tuple[int, ...]] = []
    for part in (model.stem, *model.encoder):
        part.register_forward_hook(lambda _, __, result: shapes.append(tuple(result.shape[1:])))
    model.eval()(torch.zeros(1, 3, size, size))
    return shapes


def test_the_grids_of_both_output_strides() -> None:
    # 64 pixels: 32 after the stem, 16 after the pooling; then halved until 64 / 16 = 4, or 64 / 8 = 8
    coarse = _features(DeepLab(_SMALL, 3, 1), 64)
    assert coarse == [(4, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 4, 4)]
    fine = _features(DeepLab(_SMALL.model_copy(update={"output_stride": 8}), 3, 1), 64)
    assert fine == [(4, 32, 32), (4, 16, 16), (8, 8, 8), (16, 8, 8), (32, 8, 8)]


def _rates(module: nn.Module) -> list[int]:
    kernels = [part for part in module.modules() if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3)]
    assert all(part.padding == part.dilation for part in kernels)  # 3 taps: the size is kept
    return [int(part.dilation[0]) for part in kernels]


def test_where_a_stride_is_left_out_the_rate_doubles() -> None:
    model, fine = (DeepLab(_SMALL.model_copy(update={"output_stride": stride}), 3, 1) for stride in (16, 8))
    assert _rates(model.encoder) == [1, 1, 1, 1, 1, 1, 2, 2]
    assert _rates(fine.encoder) == [1, 1, 1, 1, 2, 2, 4, 4]
    assert _rates(model.pyramid) == [6, 12, 18]
    assert _rates(fine.pyramid) == [12, 24, 36]


def test_the_encoder_is_a_resnet_18() -> None:
    # He 2015: 11.18 million weights without the last layer, for pictures of 3 channels: stem 9,408 + 128; stages
    # 147,968 + 525,568 + 2,099,712 + 8,393,728
    model = DeepLab(DeepLabOptions(), 3, 1)
    n_weights = sum(weights.numel() for part in (model.stem, model.encoder) for weights in part.parameters())
    assert n_weights == 9_536 + 147_968 + 525_568 + 2_099_712 + 8_393_728


def test_the_pyramid_sees_the_picture_as_a_whole() -> None:
    """One voxel changes what its last branch says of all others, through the mean."""
    whole = AtrousPyramid(_SMALL, 4).branches[-1]
    for name, weights in whole.named_parameters():
        nn.init.constant_(weights, 1.0 if name.endswith("weight") else 0.0)
    features = torch.zeros(1, 4, 8, 8)
    features[..., 0, 0] = 64.0
    # the mean of one 64 among 64 voxels is 1, summed over 4 channels
    torch.testing.assert_close(whole(features), torch.full((1, 8, 8, 8), 4.0))


@pytest.mark.parametrize("normalisation", ["batch", "instance", "group"])
@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (7, 21)])
def test_a_batch_of_one_trains_at_any_size(normalisation: str, output_stride: int, size: tuple[int, int]) -> None:
    changes = {"normalisation": normalisation, "output_stride": output_stride}
    model = DeepLab(_SMALL.model_copy(update=changes), 3, 2).train()
    logits = model(torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0)))
    assert isinstance(logits, torch.Tensor)
    logits.square().mean().backward()  # type: ignore[no-untyped-call]
    assert all(torch.isfinite(weights.grad).all() for weights in model.parameters() if weights.grad is not None)


@pytest.mark.parametrize(
    "wrong", [{"dims": 3}, {"output_stride": 32}, {"blocks": (2, 2, 2)}, {"blocks": (2, 0, 2, 2)}, {"depth": 4}]
)
def test_options_refuse(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DeepLabOptions.model_validate(wrong)
