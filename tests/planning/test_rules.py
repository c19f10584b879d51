"""A recipe from a fingerprint: properties of the rules, and settings derived by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.errors import GeometryError, OptionError
from glioseg.networks.build import build_model
from glioseg.networks.summary import n_parameters
from glioseg.networks.unet import UNetOptions
from glioseg.planning.memory import Machine, PlannedNetwork, fits, n_weights, patch_for, training_bytes
from glioseg.planning.proposal import CohortFingerprint, RecipeProposal
from glioseg.planning.rules import propose
from glioseg.preparation.patches import PatchOptions

BRATS = CohortFingerprint(
    n_patients=1000,
    modalities=("t1n", "t1c", "t2w", "t2f"),
    regions=("WT", "TC", "ET"),
    shapes=((140, 170, 138), (146, 176, 140), (144, 172, 134)),
    spacings_mm=((1.0, 1.0, 1.0),) * 3,
    box_share=0.38,
    dark_share=0.45,
    outlier_ratio=1.3,
    region_shares={"WT": 0.03, "TC": 0.01, "ET": 0.007},
)
GPU = Machine(24.0, "cuda")
CPU = Machine(8.0, "cpu")
NETWORK = PlannedNetwork(dims=3, width=32, depth=4, n_channels=4, n_regions=3, deep_supervision=True)


def _value(proposal: RecipeProposal, setting: str) -> Any:
    return next(choice.value for choice in proposal.choices if choice.setting == setting)


def _settings(proposal: RecipeProposal) -> set[str]:
    return {choice.setting for choice in proposal.choices}


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dims", "width", "depth"), [(2, 8, 3), (3, 4, 2), (3, 6, 4)])
def test_weights_are_counted_to_a_few_percent(dims: int, width: int, depth: int) -> None:
    """What the count leaves out: normalisations, the 1x1 convolutions of up-sampling, the head."""
    model = build_model(UNetOptions(dims=dims, width=width, depth=depth), 4, 3, seed=0)
    assert n_weights(PlannedNetwork(dims, width, depth, 4, 3)) == pytest.approx(n_parameters(model), rel=0.12)


def test_memory_grows_with_what_takes_it() -> None:
    base = training_bytes(NETWORK, (64, 64, 64), 2, bf16=True)
    assert training_bytes(NETWORK, (64, 64, 64), 3, bf16=True) > base
    assert training_bytes(NETWORK, (64, 64, 80), 2, bf16=True) > base
    assert training_bytes(replace(NETWORK, width=48), (64, 64, 64), 2, bf16=True) > base
    assert training_bytes(NETWORK, (64, 64, 64), 2, bf16=False) > base


# -- patches -----------------------------------------------------------------------------------------------------------

shapes = st.tuples(*[st.integers(16, 300)] * 3)
memories = st.floats(2.0, 80.0)


@given(shape=shapes, memory=memories, more=st.floats(0.1, 60.0), batch_size=st.integers(1, 4))
def test_patches_fit_divide_and_grow_with_memory(
    shape: tuple[int, int, int], memory: float, more: float, batch_size: int
) -> None:
    machines = Machine(memory, "cuda"), Machine(memory + more, "cuda")
    try:
        small = patch_for(shape, NETWORK, batch_size, machines[0])
    except OptionError:
        return  # then the smallest one does not fit: see below
    large = patch_for(shape, NETWORK, batch_size, machines[1])
    assert fits(NETWORK, small, batch_size, machines[0])
    assert all(n % 16 == 0 and n >= min(64, math.ceil(of / 16) * 16) for n, of in zip(small, shape, strict=True))
    assert all(n < of + 16 for n, of in zip(small, shape, strict=True))
    assert math.prod(large) >= math.prod(small)


def test_a_patch_keeps_the_form_of_the_volume() -> None:
    """Half the volume along each axis, by steps of 16, would be 80 x 96 x 80."""
    assert patch_for((160, 192, 160), NETWORK, 1, Machine(1000, "cuda")) == (160, 192, 160)
    z, y, x = patch_for((160, 192, 160), NETWORK, 2, Machine(9.0, "cuda"))
    assert z == pytest.approx(x, abs=16)
    assert 1.0 <= y / z <= 1.5


def test_too_little_memory_and_too_thin_volumes_are_refused() -> None:
    with pytest.raises(OptionError, match=r"not enough memory for any patch; found 1.0 GB; expected .* 64 x 64 x 64"):
        patch_for((160, 192, 160), NETWORK, 2, Machine(1.0, "cuda"))
    with pytest.raises(GeometryError, match=r"too thin for a 3-D network; found single slices.*model.dims = 2"):
        patch_for((1, 256, 256), NETWORK, 2, GPU)
    with pytest.raises(GeometryError, match="found 15 x 256 x 256 voxels; expected 16 voxels or more"):
        patch_for((15, 256, 256), NETWORK, 2, GPU)


# -- proposals ---------------------------------------------------------------------------------------------------------


def test_brats_gets_volumes() -> None:
    """Median 144 x 172 x 138; depth 4, since 138 / 16 = 8.6 voxels are left; isotropic and the same in all cases."""
    proposal = propose(BRATS, GPU)
    assert (proposal.network.dims, proposal.network.depth, proposal.network.width) == (3, 4, 32)
    assert _value(proposal, "model.dims") == 3
    assert _value(proposal, "patches.size") == list(proposal.size)
    assert _value(proposal, "train.batch_size") == proposal.batch_size
    assert fits(proposal.network, proposal.size, proposal.batch_size, GPU)
    assert "prepare.spacing_mm" not in _settings(proposal)
    assert _value(proposal, "prepare.crop_to_brain") is True
    assert _value(proposal, "prepare.brain_only") is True
    assert _value(proposal, "patches.foreground") == 0.33  # the smallest region fills 0.7 % of the box
    assert _value(proposal, "augment.flip")["axes"] == ["width", "height", "depth"]
    assert all(choice.why for choice in proposal.choices)


def test_a_cpu_gets_less() -> None:
    cpu, gpu = propose(BRATS, CPU), propose(BRATS, GPU)
    assert math.prod(cpu.size) * cpu.batch_size <= 2 * 64**3
    assert cpu.network.width < gpu.network.width
    assert math.prod(cpu.size) < math.prod(gpu.size)


def test_thick_slices_thin_volumes_and_pictures_get_slices() -> None:
    thick = replace(BRATS, spacings_mm=((5.0, 1.0, 1.0),) * 3)
    thin = replace(BRATS, shapes=((12, 170, 138),))
    pictures = replace(BRATS, spacings_mm=None, shapes=((1, 500, 400),))
    for fingerprint, n_neighbours in ((thick, 1), (thin, 1), (pictures, 0)):
        proposal = propose(fingerprint, GPU)
        assert proposal.network.dims == 2
        assert len(proposal.size) == 2
        assert _value(proposal, "slices.n_neighbours") == n_neighbours
        assert proposal.network.n_channels == 4 * (1 + 2 * n_neighbours)
        assert not any(name.startswith("patches") for name in _settings(proposal))
        assert _value(proposal, "prepare.size") == proposal.size[0] == proposal.size[1]
    why = next(choice.why for choice in propose(thick, GPU).choices if choice.setting == "model.dims")
    assert "5.0 times longer" in why


def test_voxels_that_differ_are_resampled_to_their_median() -> None:
    """Medians 1.5, 1 and 1 mm; recipes give columns, rows, slices. The shapes become 70, 144 and 216 slices."""
    differing = replace(
        BRATS,
        spacings_mm=((1.0, 1.0, 1.0), (1.5, 1.0, 1.0), (2.0, 1.0, 1.0)),
        shapes=((105, 160, 160), (144, 160, 160), (162, 160, 160)),
    )
    proposal = propose(differing, Machine(500, "cuda"))
    assert _value(proposal, "prepare.spacing_mm") == [1.0, 1.0, 1.5]
    assert proposal.size == (144, 160, 160)
    assert "augment.rotation" not in _settings(proposal)  # voxels half as long again as wide


def test_what_intensities_and_regions_decide() -> None:
    proposal = propose(replace(BRATS, outlier_ratio=3.0, dark_share=0.02, region_shares={"ET": 0.001}), GPU)
    assert _value(proposal, "prepare.clip_percentiles") == [0.1, 99.9]
    assert _value(proposal, "prepare.brain_only") is False
    assert _value(proposal, "patches.foreground") == 0.5
    assert "prepare.clip_percentiles" not in _settings(propose(BRATS, GPU))


def test_little_memory_narrows_the_network_before_it_gives_up() -> None:
    narrow = propose(BRATS, Machine(2.0, "cuda"))
    assert narrow.network.width < 32
    assert fits(narrow.network, narrow.size, narrow.batch_size, Machine(2.0, "cuda"))
    with pytest.raises(OptionError, match="not enough memory"):
        propose(BRATS, Machine(0.5, "cuda"))
    with pytest.raises(OptionError, match="not enough memory for slices"):
        propose(replace(BRATS, spacings_mm=None), Machine(0.5, "cuda"))
    with pytest.raises(OptionError, match="no case"):
        propose(replace(BRATS, shapes=()), GPU)


def test_small_volumes_fill_the_memory_with_more_of_them() -> None:
    """A whole volume of 48^3 fits many times; at most 5 % of the cohort's voxels are in a batch: of 100 volumes 5."""
    small = replace(BRATS, n_patients=100, shapes=((48, 48, 48),), spacings_mm=((3.0, 3.0, 3.0),))
    proposal = propose(small, GPU)
    assert proposal.size == (48, 48, 48)
    assert proposal.batch_size == 5


@given(n_patients=st.integers(2, 2000), memory=memories, kind=st.sampled_from(["cpu", "cuda", "mps"]))
def test_the_same_is_always_proposed_and_it_fits(n_patients: int, memory: float, kind: Any) -> None:
    fingerprint, machine = replace(BRATS, n_patients=n_patients), Machine(memory, kind)
    proposal = propose(fingerprint, machine)
    assert proposal == propose(fingerprint, machine)
    assert fits(proposal.network, proposal.size, proposal.batch_size, machine)
    assert all(n % 2**proposal.network.depth == 0 for n in proposal.size)
    assert sum(_value(proposal, f"split.{part}") for part in ("train", "val", "test")) == pytest.approx(1)


@pytest.mark.parametrize(("n_slices", "depth", "expected"), [(6, 1, 8), (2, 1, 8), (5, 2, 8), (9, 1, 10)])
def test_a_patch_of_thin_volumes_is_one_that_recipes_take(n_slices: int, depth: int, expected: int) -> None:
    """A smaller one would be written into a run that nobody could open."""
    size = patch_for((n_slices, 64, 64), replace(NETWORK, depth=depth), 2, GPU)
    assert size == (expected, 64, 64)
    assert PatchOptions(size=size).voxels == size
