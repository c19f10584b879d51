from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from glioseg.networks.build import build_model
from glioseg.networks.dynunet import DynUNetOptions
from glioseg.networks.mednext import MedNeXtOptions
from glioseg.networks.segresnet import SegResNetOptions
from glioseg.networks.swinunetr import SwinUNETROptions
from glioseg.networks.unetplusplus import UNetPlusPlusOptions


def _images(*size: int) -> Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


def test_monai_is_imported_when_a_network_of_its_is_built() -> None:
    code = "import sys, glioseg.networks.build; sys.exit('monai' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unet_plus_plus_gives_its_heads_in_training_from_the_last_to_the_first() -> None:
    model = build_model(UNetPlusPlusOptions(width=4, deep_supervision=True), 3, 2, seed=0)
    results: list[Tensor] = []
    for number in (1, 2, 3, 4):
        head = getattr(model.network, f"final_conv_0_{number}")
        head.register_forward_hook(lambda _, __, logits: results.append(logits))
    logits = model(_images(16, 32))
    assert len(logits) == 4
    assert all(torch.equal(level, other) for level, other in zip(logits, reversed(results), strict=True))
    assert isinstance(model.eval()(_images(16, 32)), Tensor)


def test_unet_plus_plus_without_deep_supervision_has_no_idle_heads() -> None:
    model = build_model(UNetPlusPlusOptions(width=4), 3, 2, seed=0)
    heads = [name for name in model.state_dict() if "final_conv" in name]
    assert heads == ["network.final_conv_0_4.weight", "network.final_conv_0_4.bias"]


def test_dynunet_gives_its_levels_in_training_from_finer_to_coarser() -> None:
    model = build_model(DynUNetOptions(width=4, depth=3, deep_supervision=True), 3, 2, seed=0)
    logits = model(_images(13, 20))
    assert [tuple(level.shape) for level in logits] == [(1, 2, 13, 20)] * 3
    # the heads on 1/2 and 1/4 are enlarged by repeating voxels: 2×2 and 4×4 are alike
    assert torch.equal(logits[1][..., 0:12:2, 0:20:2], logits[1][..., 1:12:2, 1:20:2])
    assert torch.equal(logits[2][..., 0:12:4, 0:20:4], logits[2][..., 3:12:4, 3:20:4])
    assert isinstance(model.eval()(_images(13, 20)), Tensor)


def test_dynunet_holds_each_weight_once() -> None:
    model = build_model(DynUNetOptions(width=4, depth=2, deep_supervision=True), 3, 2, seed=0)
    places = [weights.data_ptr() for weights in model.state_dict().values() if weights.numel()]
    assert len(places) == len(set(places)) == len(list(model.parameters()))


def test_dynunet_widths_end_where_those_of_nnunet_do() -> None:
    def widest(dims: int) -> int:
        model = build_model(DynUNetOptions.model_validate({"dims": dims, "depth": 6, "width": 16}), 1, 1, seed=0)
        return max(weights.shape[0] for weights in model.parameters())

    # 16 · 2^6 = 1024
    assert widest(2) == 512
    assert widest(3) == 320


def test_group_normalisation_fits_every_level() -> None:
    model = build_model(SegResNetOptions(width=12), 3, 1, seed=0)
    groups = {part.num_groups for part in model.modules() if isinstance(part, nn.GroupNorm)}
    assert groups == {4}  # gcd(8, 12), which divides 12, 24, 48 and 96


@pytest.mark.parametrize("options", [SegResNetOptions(dims=3, width=4), DynUNetOptions(dims=3, width=4, depth=3)])
def test_volumes_of_two_slices_inside_have_exact_gradients(options: SegResNetOptions | DynUNetOptions) -> None:
    """Under bfloat16 oneDNN leaves gradients of 3×3×3 kernels on two slices unwritten; see ``blocks``."""
    model = build_model(options, 3, 1, seed=0)
    for _ in range(3):
        spoilt = [torch.full((n,), float("nan"), dtype=torch.bfloat16) for n in (64, 3456, 4096, 65536) * 3]
        del spoilt
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(_images(16, 16, 16))  # 2 slices on the coarsest grid
        model.zero_grad()
        logits.float().square().mean().backward()
        assert all(torch.isfinite(weights.grad).all() for weights in model.parameters() if weights.grad is not None)


@pytest.mark.parametrize(
    ("options", "wrong", "said"),
    [
        (UNetPlusPlusOptions, {"width": 5}, "multiple of 2"),
        (SegResNetOptions, {"blocks_down": (1, 2), "blocks_up": (1, 1)}, "blocks_up needs 1 numbers"),
        (SegResNetOptions, {"blocks_down": (1, 0), "blocks_up": (1,)}, "greater than or equal to 1"),
        (MedNeXtOptions, {"blocks": (2, 0)}, "greater than or equal to 1"),
        (MedNeXtOptions, {"blocks": (-3,)}, "greater than or equal to 1"),
        (SwinUNETROptions, {"blocks": (2, 2, 0, 2)}, "greater than or equal to 1"),
        (DynUNetOptions, {"depth": 1}, "greater than or equal to 2"),
        (SwinUNETROptions, {"feature_size": 32}, "multiple of 12"),
        (SwinUNETROptions, {"heads": (5, 6, 12, 24)}, "level 0 has 24 channels, which 5 heads cannot share"),
    ],
)
def test_options_refuse(options: type[SegResNetOptions], wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        options.model_validate(wrong)
