"""Schemes by name, tasks of the challenge, and schemes of one's own."""

from __future__ import annotations

import pytest

from glioseg.core.labels import LabelScheme
from glioseg.core.schemes import (
    SCHEMES,
    TASKS_OF_BRATS,
    own_scheme,
    predicted_scheme,
    scheme_named,
    tumour_labels,
    with_regions,
)
from glioseg.errors import LabelError


@pytest.mark.parametrize(
    ("task", "region", "values"),
    [
        ("brats2023-ped", "TC", {1, 3}),
        ("brats2024-met", "ET", {3}),
        ("BraTS2025-GLI", "WT", {1, 2, 3}),
        ("brats2025-met", "RC", {4}),
        ("brats2025-ped", "WT", {1, 2, 3, 4}),
        ("brats2025-ped", "TC", {1, 2, 3}),
        ("brats2024-ped", "ED", {4}),
        ("brats2024-ped", "CC", {3}),
        ("brats2025-men-rt", "GTV", {1}),
        ("brats2024-men-rt", "tumour", {1}),
    ],
)
def test_tasks_of_brats(task: str, region: str, values: set[int]) -> None:
    assert set(scheme_named(task).values_of(region)) == values


def test_every_task_has_a_scheme() -> None:
    assert {scheme_named(task).name for task in TASKS_OF_BRATS} <= set(SCHEMES)


def test_a_misspelt_scheme_is_told_the_nearest() -> None:
    with pytest.raises(LabelError, match=r"no label scheme brats2025-mett.* Did you mean brats2025-met\?"):
        scheme_named("brats2025-mett")


def test_regions_are_named_by_label_or_integer() -> None:
    scheme = own_scheme({"oedema": 1, "core": 2, "hole": 7}, {"WT": [1, "core"], "all": ["1", "2", "7"]})
    assert scheme.default_regions == ("WT", "all")
    assert {region: scheme.values_of(region) for region in scheme.regions} == {
        **{"WT": (1, 2), "all": (1, 2, 7), "tumour": (1, 2)}
    }


@pytest.mark.parametrize(
    ("labels", "default", "tumour"),
    [
        ({"shell": 1, "heart": 5}, ("shell", "heart"), (1, 5)),
        ({"shell": 1, "resection cavity": 5}, ("shell", "resection cavity"), (1,)),
        ({"tumour": 3}, ("tumour",), (3,)),
        ({"Edema": 1, "necrosis": 2, "enhancing": 3}, ("WT", "TC", "ET"), (1, 2, 3)),
    ],
)
def test_without_regions(labels: dict[str, int], default: tuple[str, ...], tumour: tuple[int, ...]) -> None:
    scheme = own_scheme(labels)
    assert (scheme.default_regions, scheme.values_of("tumour")) == (default, tumour)


def test_tissues_are_no_tumour() -> None:
    assert set(own_scheme({"csf": 1, "gm": 2}).regions) == {"csf", "gm"}


@pytest.mark.parametrize(
    ("labels", "regions", "message"),
    [
        ({"a": 1, "b": 1}, None, "distinct values"),
        ({"a": 0}, None, "above 0"),
        ({"a": 1}, {"WT": [2]}, "the region WT is made of labels that do not exist; found 2; expected some of 1 a"),
        ({"a": 1}, {"WT": []}, "found none"),
    ],
)
def test_own_schemes_that_mean_nothing(
    labels: dict[str, int], regions: dict[str, list[str | int]] | None, message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        own_scheme(labels, regions)


def test_more_regions_of_a_known_scheme_are_scored() -> None:
    scheme = with_regions(scheme_named("brats2021"), {"rim": ["ED", 4]})
    assert (scheme.default_regions, scheme.values_of("rim"), scheme.values_of("TC")) == (("rim",), (2, 4), (1, 4))


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [("brats2023", {1, 2, 3}), ("brats2024", {1, 2, 3}), ("lgg", {255}), ("ibsr", set()), ("whole-tumour", {1})],
)
def test_which_labels_are_tumour(scheme: str, expected: set[int]) -> None:
    assert set(tumour_labels(scheme_named(scheme))) == expected


def test_every_known_scheme_says_what_tumour_is() -> None:
    assert [name for name, scheme in SCHEMES.items() if not tumour_labels(scheme)] == ["ibsr"]


def test_labels_of_an_unknown_scheme_are_all_tumour() -> None:
    scheme = LabelScheme("own", {"core": 1, "halo": 5}, {"all": ("core", "halo")}, ("all",))
    assert tumour_labels(scheme) == (1, 5)


def test_a_predicted_mask_means_what_its_file_says() -> None:
    """As read from JSON; no region is added, not even that of all tumour."""
    scheme = predicted_scheme({"core": 1, "halo": 5}, {"all": ["core", "halo"], "inner": ["core"]})
    assert (scheme.name, dict(scheme.labels), scheme.default_regions) == (
        "predicted",
        {"core": 1, "halo": 5},
        ("all", "inner"),
    )
    assert {region: scheme.values_of(region) for region in scheme.regions} == {"all": (1, 5), "inner": (1,)}
