"""A mask for each region, made into one label map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.core.labels import encode_regions
from glioseg.core.layers import compose, names_of_layers, scheme_of_layers
from glioseg.core.schemes import own_scheme, scheme_named
from glioseg.errors import LabelError


@pytest.mark.parametrize(
    ("names", "described", "whole"),
    [
        (("WT", "TC", "ET"), "0 background, 1 NCR, 2 ED, 3 ET", "WT"),  # TC without ET is NCR, WT without TC is ED
        (("ET", "NCR", "ED"), "0 background, 1 NCR, 2 ED, 3 ET", "WT"),
        (("WT", "TC"), "0 background, 1 TC, 2 ED", "WT"),
        (("WT", "ET"), "0 background, 1 NCR+ED, 2 ET", "WT"),  # nothing tells necrosis from oedema
        (("tumour", "ED"), "0 background, 1 TC, 2 ED", "WT"),
        (("NCR", "NET", "ED", "ET"), "0 background, 1 NCR, 2 ED, 3 ET, 4 NET", "WT"),
        (("NETC", "SNFH", "ET", "RC"), "0 background, 1 NCR, 2 ED, 3 ET, 4 RC", "WT"),
        (("ET", "ED"), "0 background, 1 ED, 2 ET", None),  # necrosis was not drawn: not all of the tumour is known
        (("WT",), "0 background, 1 WT", "WT"),
        (("tumour",), "0 background, 1 tumour", None),
    ],
)
def test_the_scheme_of_masks(names: tuple[str, ...], described: str, whole: str | None) -> None:
    scheme = scheme_of_layers(names_of_layers(names, None))
    assert scheme.describe() == described
    assert ("WT" in scheme.regions) == (whole == "WT")
    of_tumour = {value for label, value in scheme.labels.items() if label != "RC"}
    assert set(scheme.values_of("tumour")) == of_tumour
    assert set(scheme.default_regions) <= set(scheme.regions)


def test_masks_of_the_usual_regions_have_the_usual_scheme() -> None:
    assert scheme_of_layers(("ET", "WT", "TC")) == scheme_named("brats2023")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.permutations(["WT", "TC", "ET", "NCR", "ED"]))
def test_regions_of_a_label_map_compose_to_it(values: list[int], names: list[str]) -> None:
    """Masks of all of its regions, in any order, give the label map that they were made of."""
    scheme = scheme_named("brats2023")
    label_map = np.array(values, dtype=np.uint8)
    masks = encode_regions(label_map, scheme, names) > 0
    assert compose(list(masks), names, scheme_of_layers(names)).tolist() == values


def _masks(*rows: str) -> list[np.ndarray]:
    return [np.array([character == "x" for character in row]) for row in rows]


def test_a_voxel_of_no_label_is_a_contradiction() -> None:
    """ET outside of TC: the third voxel lies in WT and ET alone."""
    with pytest.raises(LabelError, match=r"contradict each other; found 1 voxels in WT and ET but not in TC; expected"):
        compose(_masks("xxx.", "xx..", "x.x."), ("WT", "TC", "ET"), scheme_named("brats2023"))
    with pytest.raises(LabelError, match=r"found 2 voxels in ED and TC; .* one that holds others has to be called WT"):
        compose(_masks("xxx.", "xx.."), ("ED", "TC"), scheme_of_layers(("ED", "TC")))


def test_a_scheme_that_the_masks_do_not_tell_apart_is_refused() -> None:
    with pytest.raises(LabelError, match="do not tell NCR and ED of the scheme brats2021 apart"):
        compose(_masks("xx", "x."), ("WT", "ET"), scheme_named("brats2021"))
    with pytest.raises(LabelError, match="ibsr has no region WT"):
        compose(_masks("xx"), ("WT",), scheme_named("ibsr"))


def test_a_scheme_of_the_user_gives_the_integers() -> None:
    own = own_scheme({"necrosis": 7, "edema": 9}, {"all": [7, 9]})
    assert names_of_layers(("NCR", "ED"), own) == ("necrosis", "edema")
    assert compose(_masks("x..", ".x."), ("necrosis", "edema"), own).tolist() == [7, 9, 0]
    names = names_of_layers(("WT", "TC", "ET"), scheme_named("brats2021"))
    assert compose(_masks("xxx.", "xx..", "x..."), names, scheme_named("brats2021")).tolist() == [4, 1, 2, 0]
