"""Starting from the weights of a network that sees other modalities."""

from __future__ import annotations

import pytest
import torch

from glioseg.core import scheme_named
from glioseg.errors import OptionError
from glioseg.inference.bundle import Bundle, BundleInfo
from glioseg.inference.options import PredictOptions
from glioseg.networks.build import ModelOptions, build_model
from glioseg.networks.unet import UNetOptions
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import SchemeRecord
from glioseg.preparation.slices import SliceOptions
from glioseg.training.transfer import take_weights

_FOUR = ("t1n", "t1c", "t2w", "t2f")


def _bundle(modalities: tuple[str, ...], n_neighbours: int, options: ModelOptions) -> Bundle:
    slices = SliceOptions(n_neighbours=n_neighbours)
    info = BundleInfo(
        model_id="0" * 12,
        name="first",
        modalities=modalities,
        regions=("tumour",),
        scheme=SchemeRecord.of(scheme_named("lgg")),
        model=options,
        prepare=PrepareOptions(),
        slices=slices,
        predict=PredictOptions(),
    )
    return Bundle(info, build_model(options, slices.n_channels(len(modalities)), 1, seed=1))


@pytest.mark.parametrize(
    ("modalities", "rows"), [(("t2f",), [3]), (("t2f", "t1c"), [3, 1]), (("pre", "flair", "post"), [0, 3, 1])]
)
@pytest.mark.parametrize(
    ("n_neighbours", "width"), [(0, 4), (1, 12)], ids=["a slice", "three slices, as many channels inside as at first"]
)
def test_it_begins_as_the_network_of_all_modalities_does_without_the_others(
    modalities: tuple[str, ...], rows: list[int], n_neighbours: int, width: int
) -> None:
    options, n_shown = UNetOptions(width=width, depth=2), 2 * n_neighbours + 1
    first = _bundle(_FOUR, n_neighbours, options)
    model = build_model(options, n_shown * len(modalities), 1, seed=0)
    assert take_weights(model, first, modalities) == ()
    images = torch.randn(2, n_shown, len(modalities), 16, 16, generator=torch.Generator().manual_seed(0))
    filled = torch.zeros(2, n_shown, len(_FOUR), 16, 16)
    filled[:, :, rows] = images
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(images.flatten(1, 2)), first.model.eval()(filled.flatten(1, 2)))


def test_another_modality_of_the_same_number_is_seen_by_the_same_channels() -> None:
    options = UNetOptions(width=4, depth=2)
    model = build_model(options, 1, 1, seed=0)
    assert take_weights(model, _bundle(("t1c",), 0, options), ("grey",)) == ()


def test_modalities_that_the_other_does_not_see_are_refused() -> None:
    options = UNetOptions(width=4, depth=2)
    with pytest.raises(OptionError, match=r"another network.*it sees t1n, t1c, t2w, t2f.*that sees adc"):
        take_weights(build_model(options, 1, 1, seed=0), _bundle(_FOUR, 0, options), ("adc",))


def test_another_order_is_refused() -> None:
    options = UNetOptions(width=4, depth=2)
    with pytest.raises(OptionError, match=r"another order; found t2f, t1c; expected t1c, t2f.*data.modalities"):
        take_weights(build_model(options, 2, 1, seed=0), _bundle(("t1c", "t2f"), 0, options), ("t2f", "t1c"))
