"""Networks asked again: mirrored, scaled, with dropout, each member; what agrees, what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glioseg.core import Grid, Image, scheme_named
from glioseg.errors import OptionError
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Predictor
from glioseg.inference.uncertainty import (
    SampleView,
    Shown,
    Uncertainty,
    UncertaintyOptions,
    Viewed,
    drawing_dropout,
    estimate,
    has_dropout,
    sample,
    views_of,
)
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.slices import SliceOptions
from tests.inference.networks import LooksLeft, Sees

GRID = Grid((8, 6, 2), np.diag([1.0, 1.0, 2.0, 1.0]))
_NO_SCALES = UncertaintyOptions(scales=(), flips="lr", dropout=0)


class Drops(nn.Module):
    """Logits: the first channel through a dropout of one half."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.dropout(images[:, :1] * self.weight)
        return logits


def _image(seed: int = 0) -> Image:
    values = np.random.default_rng(seed).normal(size=(1, *GRID.shape)).astype(np.float16).astype(np.float32)
    return Image(values, ("t2f",), GRID)


def _member(model: nn.Module, **options: Any) -> Predictor:
    return Predictor(
        model=model.eval(),
        modalities=("t2f",),
        regions=("WT",),
        scheme=scheme_named("brats2023"),
        prepare=PrepareOptions(normalise="none", brain_only=False),
        slices=SliceOptions(),
        options=PredictOptions(**options),
    )


def _estimated(*members: Predictor, options: UncertaintyOptions = _NO_SCALES) -> Uncertainty:
    ensemble, image = Ensemble(members), _image()
    prediction, _ = ensemble.predict(image)
    shown = [Shown.of(member.prepared(image)) for member in members]
    return estimate(ensemble, shown, prediction, options, [f"network {n}" for n in range(len(members))])


def test_a_network_that_sees_pixels_one_by_one_is_sure_when_mirrored() -> None:
    """Its answer is the sigmoid of each pixel, whatever way round: the samples are alike and contradict nothing."""
    found = _estimated(_member(Sees(1)))
    assert found.samples == ("as it is", "mirrored along columns")
    region = found.regions["WT"]
    assert region.agreement == 1.0
    assert len(set(region.volumes)) == 1
    assert region.interval == (region.volumes[0], region.volumes[0])
    assert found.maps.mutual_information.max() < 1e-5
    expected = torch.sigmoid(torch.from_numpy(_image().array)).numpy()
    np.testing.assert_allclose(found.maps.probability, expected, atol=1e-3)


def test_a_network_that_looks_left_contradicts_itself_when_mirrored() -> None:
    """As it is it marks the left half, mirrored the right one: no overlap, 24 of 48 pixels a slice either way."""
    region = (found := _estimated(_member(LooksLeft()))).regions["WT"]
    assert region.volumes == (48, 48)
    assert region.agreement == 0.0
    np.testing.assert_allclose(found.maps.entropy, 1.0, atol=1e-3)  # the mean is one half everywhere
    np.testing.assert_allclose(found.maps.mutual_information, 1.0, atol=1e-2)  # and each alone is certain


def test_members_are_samples_too() -> None:
    """A network and its opposite: the mean of sigmoid(x) and sigmoid(−x) is one half."""
    found = _estimated(_member(Sees(1, 8.0)), _member(Sees(1, -8.0)), options=_NO_SCALES)
    assert found.samples[::2] == ("network 0: as it is", "network 1: as it is")
    np.testing.assert_allclose(found.maps.probability, 0.5, atol=1e-3)
    assert found.regions["WT"].agreement == pytest.approx(1 / 3)  # two pairs of six agree, by 1


def test_a_view_shows_the_network_another_size_and_brings_its_answer_back() -> None:
    """``Sees`` is linear: what comes back is the image reduced and enlarged again, of the same size."""
    model, images = Sees(1), torch.arange(48.0).reshape(1, 1, 6, 8)
    halved = Viewed(model, SampleView("half", scale=0.5))
    logits = halved(images)
    assert logits.shape == images.shape
    # the mean of each 2 × 2 pixels, enlarged: in the middle of the picture a linear ramp is unchanged
    np.testing.assert_allclose(logits.detach()[0, 0, 2:4, 2:6], images[0, 0, 2:4, 2:6], atol=1e-4)
    mirrored = Viewed(LooksLeft(), SampleView("mirrored", axes=(3,)))(images)
    assert (mirrored[..., 4:] > 0).all()
    assert (mirrored[..., :4] < 0).all()


def test_dropout_draws_by_its_seed_and_leaves_everything_as_it_was() -> None:
    model = Drops().eval()
    images = torch.ones(2, 1, 8, 8)
    state = torch.get_rng_state()
    first, again, other = (Viewed(model, SampleView("", seed=seed))(images) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert set(first.unique().tolist()) == {0.0, 2.0}  # half is dropped, the rest doubled
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.dropout.training
    assert torch.equal(model(images), images)


def test_dropout_is_put_back_after_an_error() -> None:
    model = Drops().eval()
    with pytest.raises(RuntimeError), drawing_dropout(model, 0):
        raise RuntimeError
    assert not model.dropout.training


def test_networks_without_dropout_are_asked_by_views_alone() -> None:
    options = UncertaintyOptions(flips="all", scales=(0.9,), dropout=3)
    assert len(views_of(Sees(1), 2, options)) == 4 + 1
    assert len(views_of(Drops(), 2, options)) == 4 + 1 + 3
    assert len(views_of(Drops(), 3, options)) == 8 + 1 + 3
    assert not has_dropout(Sees(1))
    assert not has_dropout(nn.Sequential(nn.Dropout(0.0)))


def test_draws_of_dropout_differ_from_each_other() -> None:
    options = UncertaintyOptions(flips="none", scales=(), dropout=4)
    found = _estimated(_member(Drops()), options=options)
    assert len(found.samples) == 5
    assert found.maps.mutual_information.max() > 0.01


def test_one_sample_says_nothing_of_uncertainty() -> None:
    with pytest.raises(OptionError, match="two samples or more"):
        _estimated(_member(Sees(1)), options=UncertaintyOptions(flips="none", scales=(), dropout=4))


def test_samples_come_one_view_at_a_time_whatever_the_network_averages() -> None:
    """A network that averages its mirrored view is asked for each view alone."""
    member, image = _member(LooksLeft(), flips="lr"), _image()
    shown = Shown.of(member.prepared(image))
    plain = sample(member, shown, SampleView("as it is"))
    np.testing.assert_allclose(plain[0, 4:], 1, atol=1e-3)  # X grows to the right: the network's columns run against it
    np.testing.assert_allclose(plain[0, :4], 0, atol=1e-3)
    assert np.ptp(member.predict(image).probabilities) < 1e-3  # the mean of both is one half
    assert replace(member).options.flips == "lr"
