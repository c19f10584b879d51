from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError
from scipy import ndimage

from glioseg.errors import GeometryError, OptionError
from glioseg.preparation.border import BorderForm, BorderOptions, border_term


def _mask(*rows: str) -> npt.NDArray[np.uint8]:
    return np.array([[character == "#" for character in row] for row in rows], dtype=np.uint8)


def test_between_two_single_voxels() -> None:
    #        d to A  0 1 2 3 4     d1 + d2 = 4 at every voxel of the row between them
    #        d to B  4 3 2 1 0
    term = border_term(_mask("#...#"), w0=10, sigma=5)
    assert term.dtype == np.float32
    np.testing.assert_allclose(term, np.full((1, 5), 10 * math.exp(-(4**2) / (2 * 5) ** 2)), rtol=1e-6)


def test_ronneberger_divides_by_two_sigma_squared() -> None:
    term = border_term(_mask("#...#"), w0=10, sigma=5, form="ronneberger")
    np.testing.assert_allclose(term, np.full((1, 5), 10 * math.exp(-(4**2) / (2 * 5**2))), rtol=1e-6)


def test_distances_inside_a_component_are_those_to_its_border() -> None:
    # The 5×5 block's voxels with a face to the outside are its ring; its centre (2, 2) lies 2 from the ring and
    # 6 from the single voxel at (2, 8); its right edge (2, 4) lies 0 and 4; the voxel (2, 6) lies 2 and 2.
    mask = _mask("#####....", "#####....", "#####...#", "#####....", "#####....", ".........")
    term = border_term(mask, w0=1, sigma=3)
    # the block's left and upper sides are the edge of the picture, which is no border
    from_ring = 2.0  # (2, 2) to (2, 4) and to (4, 2)
    expected = {(2, 2): from_ring + 6, (2, 4): 0 + 4, (2, 6): 2 + 2, (2, 8): 4 + 0, (0, 0): 4 + math.hypot(2, 8)}
    for place, total in expected.items():
        assert term[place] == pytest.approx(math.exp(-(total**2) / 36), rel=1e-5), place


def test_of_three_components_the_two_nearest_count_at_each_voxel() -> None:
    # A at 0, B at 4, C at 10: at 1 the two nearest are A (1) and B (3); at 9 they are C (1) and B (5)
    term = border_term(_mask("#...#.....#"), w0=1, sigma=2)
    assert term[0, 1] == pytest.approx(math.exp(-16 / 16), rel=1e-5)
    assert term[0, 9] == pytest.approx(math.exp(-36 / 16), rel=1e-5)
    assert term[0, 4] == pytest.approx(math.exp(-16 / 16), rel=1e-5)


@pytest.mark.parametrize(
    "rows",
    [("....", "...."), (".##.", ".##."), ("####", "####"), ("#...", ".##.", "....")],
    ids=["none", "one", "all", "corner"],
)
def test_fewer_than_two_separate_components_have_no_border_term(rows: tuple[str, ...]) -> None:
    term = border_term(_mask(*rows))
    assert term.dtype == np.float32
    assert not term.any()


def test_any_value_but_0_is_inside() -> None:
    mask = _mask("#...#")
    np.testing.assert_array_equal(border_term(mask * 255), border_term(mask.astype(bool)))


def _brute_force(mask: npt.NDArray[np.bool_], w0: float, sigma: float, form: BorderForm) -> npt.NDArray[np.float64]:
    """The definition, voxel by voxel and without a distance transform."""
    components, n = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    term = np.zeros(mask.shape)
    if n < 2:
        return term
    borders: list[list[tuple[int, ...]]] = [[] for _ in range(n)]
    for place in np.ndindex(*mask.shape):
        label = components[place]
        for axis in range(mask.ndim):
            for side in (-1, 1):
                other = list(place)
                other[axis] += side
                if label and 0 <= other[axis] < mask.shape[axis] and components[tuple(other)] != label:
                    borders[label - 1].append(place)
    for place in np.ndindex(*mask.shape):
        distances = sorted(min(math.dist(place, voxel) for voxel in border) for border in borders)
        total = distances[0] + distances[1]
        term[place] = w0 * math.exp(-(total**2) / ((2 * sigma) ** 2 if form == "tum" else 2 * sigma**2))
    return term


@given(
    mask=hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))),
    w0=st.floats(0, 20),
    sigma=st.floats(0.5, 8),
    form=st.sampled_from(["tum", "ronneberger"]),
)
def test_agrees_with_the_definition(mask: npt.NDArray[np.bool_], w0: float, sigma: float, form: BorderForm) -> None:
    term = border_term(mask, w0=w0, sigma=sigma, form=form)
    np.testing.assert_allclose(term, _brute_force(mask, w0, sigma, form), rtol=1e-5, atol=1e-6)


def test_volumes() -> None:
    mask = np.zeros((3, 1, 5), dtype=bool)
    mask[0, 0, 0] = mask[2, 0, 4] = True
    np.testing.assert_allclose(border_term(mask, sigma=2), _brute_force(mask, 10, 2, "tum"), rtol=1e-5)


def test_options_are_the_published_ones_and_fit_the_function() -> None:
    options = BorderOptions()
    assert (options.w0, options.sigma, options.form) == (10.0, 5.0, "tum")
    mask = _mask("#...#")
    np.testing.assert_array_equal(border_term(mask, **options.model_dump()), border_term(mask))


@pytest.mark.parametrize("wrong", [{"sigma": 0}, {"w0": -1}, {"w0": 1e6}, {"form": "other"}, {"radius": 3}])
def test_options_refuse(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BorderOptions.model_validate(wrong)


def test_refuses_other_axes_and_reaches() -> None:
    with pytest.raises(GeometryError, match="two or three axes"):
        border_term(np.zeros(4, dtype=bool))
    with pytest.raises(OptionError, match="above 0"):
        border_term(_mask("#.#"), sigma=0)
