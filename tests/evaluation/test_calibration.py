"""ROC-AUC and average precision by histogram, against sorting the voxels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score

from glioseg.errors import ScoreError
from glioseg.evaluation import (
    ProbabilityHistogram,
    average_precision,
    calibration,
    merged,
    probability_histogram,
    roc_auc,
)
from glioseg.evaluation.calibration import (
    N_BINS,
    _bin_of,
    at_temperature,
    bin_bounds,
    brier,
    calibration_error,
    fit_voxel_temperature,
)

Probabilities = npt.NDArray[np.float32]
Inside = npt.NDArray[np.bool_]
unit = st.floats(0, 1, width=32)
voxels = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float32, n, elements=st.one_of(unit, st.sampled_from([0.0, 0.25, 0.5, 1.0]))),
        hnp.arrays(np.bool_, n),
    )
)


def network_like(n: int, seed: int) -> tuple[Probabilities, Inside]:
    """Probabilities as networks give them: rare tumour, most voxels close to 0, some of the tumour missed."""
    rng = np.random.default_rng(seed)
    inside = rng.random(n) < 0.02
    logits = rng.normal(-9, 3, n) + np.where(inside, rng.normal(12, 5, n), 0)
    return (1 / (1 + np.exp(-logits))).astype(np.float32), inside


def test_four_voxels_by_hand() -> None:
    """Inside 0.9 and 0.4, outside 0.6 and 0.1: of four pairs three are in order: 3/4.

    From the top: 0.9 in (precision 1), 0.6 out, 0.4 in (precision 2/3), 0.1 out: average precision (1 + 2/3) / 2.
    """
    histogram = probability_histogram(np.array([0.9, 0.4, 0.6, 0.1]), np.array([1, 1, 0, 0]))
    auc, ap = roc_auc(histogram), average_precision(histogram)
    assert auc is not None
    assert ap is not None
    assert (auc.value, auc.error_bound) == (0.75, 0)
    assert ap.value == pytest.approx(5 / 6)
    assert ap.error_bound < 1e-12


def test_a_constant_probability_knows_nothing() -> None:
    histogram = probability_histogram(np.full(8, 0.3), np.array([1, 1, 0, 0, 0, 0, 0, 0]))
    auc, ap = roc_auc(histogram), average_precision(histogram)
    assert auc is not None
    assert ap is not None
    assert (auc.value, auc.lower, auc.upper) == (0.5, 0, 1)
    assert ap.value == 0.25


@given(st.lists(unit, min_size=2, max_size=50))
def test_bins_rise_with_the_probability(values: list[float]) -> None:
    bins = _bin_of(np.sort(np.array(values, dtype=np.float32)))
    assert (np.diff(bins) >= 0).all()
    assert bins.min() >= 0
    assert bins.max() < N_BINS


@given(st.floats(2.0**-24, 0.5, width=32))
def test_a_bin_is_narrow_at_both_ends(p: float) -> None:
    """Two probabilities in one bin differ by at most 1/32 of the distance to 0, or to 1."""
    for value, far in ((p, p * 1.04), (1 - p, 1 - p * 1.04)):
        near, beyond = _bin_of(np.array([value, far], dtype=np.float32))
        assert near != beyond or min(value, 1 - value) < 2.0**-19  # float32 itself is coarse below


@given(voxels)
def test_the_exact_figure_lies_in_the_stated_interval(pair: tuple[Probabilities, Inside]) -> None:
    probabilities, inside = pair
    histogram = probability_histogram(probabilities, inside)
    auc, ap = roc_auc(histogram), average_precision(histogram)
    assert (auc is None) == (inside.all() or not inside.any())
    assert (ap is None) == (not inside.any())
    if auc is not None:
        assert auc.lower - 1e-9 <= roc_auc_score(inside, probabilities) <= auc.upper + 1e-9
    if ap is not None:
        assert ap.lower - 1e-9 <= average_precision_score(inside, probabilities) <= ap.upper + 1e-9
        assert ap.lower <= ap.value <= ap.upper


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_bound_is_tight_on_what_networks_give(dtype: type[np.floating]) -> None:
    probabilities, inside = network_like(200_000, 1)
    given_as = probabilities.astype(dtype)
    histogram = probability_histogram(given_as, inside)
    auc, ap = roc_auc(histogram), average_precision(histogram)
    assert auc is not None
    assert ap is not None
    assert auc.value == pytest.approx(roc_auc_score(inside, given_as), abs=2e-4)
    assert ap.value == pytest.approx(average_precision_score(inside, given_as), abs=2e-3)
    assert auc.error_bound < 1e-3
    assert ap.error_bound < 1e-2


def test_histograms_of_parts_add_up_to_that_of_the_whole() -> None:
    probabilities, inside = network_like(150_000, 2)
    parts = [probability_histogram(probabilities[i::3], inside[i::3]) for i in range(3)]
    whole = probability_histogram(probabilities, inside)
    assert np.array_equal(merged(parts).counts, whole.counts)
    assert whole.counts.sum() == 150_000
    assert np.array_equal(merged([]).counts, np.zeros((2, N_BINS)))


def test_the_layout_in_memory_does_not_matter() -> None:
    probabilities, inside = network_like(15_000, 3)
    volume, mask = probabilities.reshape(20, 30, 25), inside.reshape(20, 30, 25)
    one = probability_histogram(volume, mask)
    other = probability_histogram(np.asfortranarray(volume), mask)
    assert np.array_equal(one.counts, other.counts)


@pytest.mark.parametrize("bad", [np.nan, 1.5, -0.1, np.inf])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ScoreError, match="between 0 and 1"):
        probability_histogram(np.array([0.2, bad]), np.array([True, False]))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ScoreError, match="one probability per voxel"):
        probability_histogram(np.zeros(3), np.zeros(4, dtype=np.bool_))
    with pytest.raises(ScoreError, match="counts for two classes"):
        ProbabilityHistogram(np.zeros((2, 10), dtype=np.int64))


def test_brier_and_ece_of_four_voxels_by_hand() -> None:
    """Inside 0.9 and 0.4, outside 0.6 and 0.1: squares 0.01, 0.36, 0.36, 0.01, mean 0.185.

    Each has a tenth of its own: gaps 0.1, 0.6, 0.6 and 0.1, mean 0.35. The bins of 0.9 and 0.1 are 0.002 wide, those
    of 0.4 and 0.6 0.008.
    """
    histogram = probability_histogram(np.array([0.9, 0.4, 0.6, 0.1]), np.array([1, 1, 0, 0]))
    for figure, exact in ((brier(histogram), 0.185), (calibration_error(histogram), 0.35)):
        assert figure.value == pytest.approx(exact, abs=0.005)
        assert figure.lower <= exact <= figure.upper


def test_probabilities_that_are_right_have_no_calibration_error() -> None:
    """Of a thousand voxels at 0.25 a quarter is inside: Brier 0.25 · 0.75² + 0.75 · 0.25² = 0.1875, and no gap.

    0.25 is the lower end of a bin that is 1/128 wide, whose middle stands for it.
    """
    inside = np.arange(1000) < 250
    histogram = probability_histogram(np.full(1000, 0.25), inside)
    assert brier(histogram).lower <= 0.1875 <= brier(histogram).upper
    assert calibration_error(histogram).lower == 0
    assert calibration_error(histogram).value == pytest.approx(1 / 256)


@given(voxels)
def test_brier_and_ece_of_single_voxels_lie_between_their_bounds(pair: tuple[Probabilities, Inside]) -> None:
    """The ECE of single voxels in the same ten bins, which are made of whole bins of the histogram."""
    probabilities, inside = (array.astype(np.float64) for array in pair)
    histogram = probability_histogram(*pair)
    figure = brier(histogram)
    assert figure.lower - 1e-12 <= ((probabilities - inside) ** 2).mean() <= figure.upper + 1e-12
    low, high = bin_bounds()
    tenths = np.minimum((low + high) / 2 * 10, 9).astype(int)[_bin_of(pair[0])]
    gaps = [abs((probabilities - inside)[tenths == tenth].sum()) for tenth in range(10)]
    figure = calibration_error(histogram)
    assert figure.lower - 1e-12 <= sum(gaps) / len(inside) <= figure.upper + 1e-12


@given(st.lists(unit, min_size=1, max_size=50))
def test_a_probability_lies_in_its_bin(values: list[float]) -> None:
    low, high = bin_bounds()
    probabilities = np.array(values, dtype=np.float32)
    bins = _bin_of(probabilities)
    assert (low[bins] <= probabilities).all()
    assert (probabilities <= high[bins]).all()
    assert np.array_equal(low[1:], high[:-1])


def test_brier_of_a_network_is_known_to_a_few_percent() -> None:
    probabilities, inside = network_like(100_000, 3)
    figure = brier(probability_histogram(probabilities, inside))
    assert figure.value == pytest.approx(((probabilities - inside) ** 2).mean(), rel=1e-3)
    assert figure.error_bound < 0.04 * figure.value


def test_a_network_that_is_twice_too_sure_is_halved() -> None:
    """Truth drawn with σ(x), the network says σ(2x): T = 2 brings it back, and lowers ECE and Brier score."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 40_000)
    inside = rng.random(40_000) < 1 / (1 + np.exp(-logits))
    said = (1 / (1 + np.exp(-2 * logits))).astype(np.float32)
    histogram = probability_histogram(said, inside)
    temperature = fit_voxel_temperature(histogram)
    assert temperature == pytest.approx(2, rel=0.05)
    mended = at_temperature(histogram, temperature)
    assert mended.counts.sum() == 40_000
    assert calibration_error(mended).value < 0.2 * calibration_error(histogram).value
    assert brier(mended).value < brier(histogram).value
    unchanged = at_temperature(histogram, 1.0)
    assert abs(brier(unchanged).value - brier(histogram).value) < 1e-9


def test_nothing_to_fit_leaves_probabilities_as_they_are() -> None:
    assert fit_voxel_temperature(probability_histogram(np.full(4, 0.3, np.float32), np.zeros(4))) == 1.0


def test_a_histogram_that_is_kept_takes_four_bytes_a_count_unless_voxels_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a sum of histograms can hold whatever the cases hold together."""
    whole = probability_histogram(np.full(100, 0.5), np.zeros(100))
    assert whole.counts.dtype == np.int32
    full = ProbabilityHistogram(np.where(whole.counts > 0, np.iinfo(np.int32).max, 0).astype(np.int32))
    assert merged([full, full]).counts.sum() == 2 * np.iinfo(np.int32).max
    monkeypatch.setattr(calibration, "_MOST_OF_32_BITS", 99)
    assert probability_histogram(np.full(100, 0.5), np.zeros(100)).counts.dtype == np.int64
