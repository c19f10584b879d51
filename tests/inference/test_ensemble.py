"""Several networks whose logits are the image: the mean of what they say, in any planes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glioseg.core import Grid, Image, LabelMap, scheme_named
from glioseg.errors import GeometryError, OptionError
from glioseg.inference.ensemble import Ensemble, MemberPrediction, agreement, averaged_options, dissent
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Predictor
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.slices import SliceOptions
from tests.inference.networks import Sees

GRID = Grid((6, 5, 4), np.array([[0, -3.0, 0, 4], [2.0, 0, 0, 5], [0, 0, 4.0, 6], [0, 0, 0, 1]]))
SCHEME = scheme_named("brats2023")


def _values() -> Any:
    return np.random.default_rng(0).normal(size=(2, *GRID.shape)).astype(np.float16).astype(np.float32)


def _image() -> Image:
    return Image(_values(), ("t2f", "t1c"), GRID)


def _member(scale: float = 1.0, **changes: Any) -> Predictor:
    prepare = PrepareOptions(normalise="none", brain_only=False, plane=changes.pop("plane", "axial"))
    fields: dict[str, Any] = {
        "model": Sees(2, scale),
        "modalities": ("t2f", "t1c"),
        "regions": ("WT", "ET"),
        "scheme": SCHEME,
        "prepare": prepare,
        "slices": SliceOptions(),
        "options": PredictOptions(),
    }
    return Predictor(**(fields | changes))


def _sigmoid(values: Any) -> Any:
    return 1 / (1 + np.exp(-values))


def test_one_network_says_what_it_says_alone() -> None:
    member = _member(options=PredictOptions(thresholds={"ET": 0.3}, min_voxels={"WT": 3}, flips="lr"))
    alone, (together, voices) = member.predict(_image()), Ensemble((member,)).predict(_image())
    np.testing.assert_array_equal(together.probabilities, alone.probabilities)
    np.testing.assert_array_equal(together.label_map.array, alone.label_map.array)
    assert voices == ()  # nobody to agree with


def test_probabilities_are_averaged_voxel_by_voxel_whatever_the_plane() -> None:
    """Each network says the sigmoid of a multiple of the image, in slices of another plane."""
    ensemble = Ensemble((_member(1.0), _member(2.0, plane="coronal"), _member(-1.0, plane="sagittal")))
    found, voices = ensemble.predict(_image())
    values = _values()
    expected = (_sigmoid(values) + _sigmoid(2 * values) + _sigmoid(-values)) / 3
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-3)
    assert found.label_map.grid == GRID
    assert len(voices) == 3
    # the first two are above one half where the image is positive, and so is their mean with the third
    assert voices[0].dice == voices[1].dice == {"WT": 1.0, "ET": 1.0}
    np.testing.assert_array_equal(voices[2].label_map.array > 0, (values < 0).any(axis=0))


def test_members_may_name_regions_and_modalities_in_another_order() -> None:
    """Logit r is channel r: for the second network ET is the first channel, which is t1c for it."""
    turned = _member(regions=("ET", "WT"), modalities=("t1c", "t2f"))
    ensemble = Ensemble((_member(), turned))
    assert (ensemble.regions, ensemble.modalities) == (("WT", "ET"), ("t2f", "t1c"))
    found, voices = ensemble.predict(_image())
    np.testing.assert_allclose(found.probabilities, _sigmoid(_image().array), atol=1e-3)
    assert voices[1].dice == {"WT": 1.0, "ET": 1.0}


def test_thresholds_and_smallest_components_are_means() -> None:
    one = PredictOptions(threshold=0.3, min_voxels={"WT": 10}, min_ml={"WT": 0.5})
    other = PredictOptions(threshold=0.5, thresholds={"ET": 0.9}, min_voxels={"ET": 5})
    found = averaged_options([one, other], ("WT", "ET"))
    assert found.thresholds == pytest.approx({"WT": 0.4, "ET": 0.6})
    assert found.min_voxels == {"WT": 5, "ET": 2}  # means 5 and 2.5, rounded to the even
    assert found.min_ml == {"WT": 0.25}
    assert found.activation == "sigmoid"


def test_softmax_stays_where_all_members_have_it() -> None:
    soft, hard = PredictOptions(activation="softmax"), PredictOptions(threshold=0.3)
    assert averaged_options([soft, soft], ("WT",)).activation == "softmax"
    mixed = averaged_options([soft, hard], ("WT",))
    assert mixed.activation == "sigmoid"
    assert mixed.thresholds == pytest.approx({"WT": 0.4})


def test_agreement_and_dissent_by_hand() -> None:
    def labels(*values: int) -> LabelMap:
        return LabelMap(np.array(values, dtype=np.uint8).reshape(4, 1, 1), SCHEME, Grid((4, 1, 1), np.eye(4)))

    whole = labels(3, 3, 1, 0)
    one, other = labels(3, 1, 1, 0), labels(3, 3, 0, 0)
    # WT: the same three voxels; ET: 1 of 2, so 2·1/(1+2)
    assert agreement(one, whole, ("WT", "ET")) == {"WT": 1.0, "ET": pytest.approx(2 / 3)}
    assert agreement(labels(0, 0, 0, 0), labels(0, 0, 0, 1), ("WT", "ET")) == {"WT": 0.0, "ET": None}
    made = [MemberPrediction(each, agreement(each, whole, ("WT", "ET"))) for each in (one, other)]
    assert dissent(whole, made).ravel().tolist() == [0.0, 0.5, 0.5, 0.0]


def test_what_does_not_mean_the_same_is_refused() -> None:
    with pytest.raises(OptionError, match="at least one network"):
        Ensemble(())
    with pytest.raises(OptionError, match=r"network 2 predicts others; found WT, TC; expected WT, ET"):
        Ensemble((_member(), _member(regions=("WT", "TC"))))
    with pytest.raises(OptionError, match=r"labels of network 3.*found brats2021.*4 ET; expected brats2023.*convert"):
        Ensemble((_member(), _member(), _member(scheme=scheme_named("brats2021"))))


def test_what_one_member_sees_does_not_stand_in_for_another() -> None:
    """The second network lacks t1c, and was never shown t2f in its place, which it does not see."""
    prepare = PrepareOptions(normalise="none", brain_only=False, missing="t2f")
    other = _member(model=Sees(1), modalities=("t1c", "t2w"), regions=("WT",), prepare=prepare)
    image = Image(_values(), ("t2f", "t2w"), GRID)
    ensemble = Ensemble((_member(model=Sees(1), modalities=("t2f",), regions=("WT",)), other))
    with pytest.raises(GeometryError, match="lacks t1c"):
        ensemble.predict(image)


def test_kinds_have_no_outline_of_their_own() -> None:
    kinds = ("glioma", "meningioma", "pituitary")
    one, other = (PredictOptions(threshold=value, kinds=kinds) for value in (0.4, 0.6))
    found = averaged_options([one, other], ("tumour", *kinds))
    assert (found.thresholds, found.kinds) == ({"tumour": 0.5}, kinds)
    for setting in (
        {"thresholds": {"glioma": 0.3}},
        {"min_voxels": {"glioma": 9}},
        {"min_ml": {"glioma": 0.1}},
        {"largest_component": ("glioma",)},
    ):
        with pytest.raises(ValueError, match="leave glioma out of thresholds, min_voxels, min_ml and largest_comp"):
            PredictOptions.model_validate({"kinds": kinds, **setting})
