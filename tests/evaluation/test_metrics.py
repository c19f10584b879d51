"""The tables of metrics: what they say of each, and that a new entry is all that a new metric takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from glioseg.errors import ScoreError
from glioseg.evaluation import (
    CLASS_METRICS,
    OVERLAP_METRICS,
    REGION_METRICS,
    CaseScores,
    ClassMetric,
    CompareOptions,
    EvaluateOptions,
    MaskPair,
    RegionMetric,
    aggregate,
    case_rows,
    compare,
    count_channels,
    rows_from_csv,
    rows_to_csv,
    score_case,
    score_channels,
)
from glioseg.evaluation.case_table import RegionTable
from glioseg.evaluation.class_items import ItemClasses, WeightedItems
from glioseg.evaluation.classification import score_classes
from glioseg.evaluation.metric import table_of
from glioseg.evaluation.metrics import (
    CLASS_SCORES,
    COUNTED_METRICS,
    REGION_SCORES,
    MetricName,
    OverlapMetricName,
    ScoreName,
)
from glioseg.evaluation.replicates import pooled_figures
from glioseg.evaluation.score import EmptyValues, Floats, apply_rule
from glioseg.report.comparison import write_comparison
from glioseg.report.parts.metric_words import RESULT_METRICS, change_text, interval_text, metric_named, value_text
from tests.evaluation.drawing import drawn, labels

WORST_MM = 374.0


def left_edges_apart(pair: MaskPair) -> float | None:
    """How many mm the leftmost voxels of two masks lie apart: simple enough to be counted in a drawing."""
    if pair.spacing_mm is None or not (pair.reference.any() and pair.prediction.any()):
        return None
    edges = [int(np.flatnonzero(mask.any(axis=(1, 2)))[0]) for mask in (pair.reference, pair.prediction)]
    return abs(edges[0] - edges[1]) * pair.spacing_mm[0]


def brats_like(pair: MaskPair) -> float:
    """A metric that says itself what an empty mask counts: 0 where both are empty, 374 where one is."""
    if not pair.reference.any() and not pair.prediction.any():
        return 0.0
    apart = left_edges_apart(pair)
    return WORST_MM if apart is None else apart


def voxels_drawn(pair: MaskPair) -> float:
    """A metric of masks that needs no millimetres."""
    return float(pair.prediction.sum())


EDGE = RegionMetric(
    "edge",
    "Left edges apart",
    "|x of the leftmost voxels|",
    "mm",
    "lower",
    digits=1,
    of_masks=left_edges_apart,
    empty=EmptyValues(both_empty=0.0, one_empty=WORST_MM),
    millimetres="needed",
)
LESION = RegionMetric(
    "lesion_edge", "Lesion-wise edges", "", "mm", "lower", digits=1, of_masks=brats_like, millimetres="needed"
)
N_VOXELS = RegionMetric("n_drawn", "Voxels drawn", "", "voxels", "neither", of_masks=voxels_drawn)
TABLE = table_of((*REGION_METRICS.values(), EDGE, LESION, N_VOXELS))


def scored(case: str, reference: str, prediction: str, has_mm: bool = True) -> CaseScores:
    """A picture of one row; voxels are 1 mm wide along X."""
    expert, model = (labels(text, scheme="lgg", has_mm=has_mm) for text in (reference, prediction))
    return score_case(case, case, expert, model, ["tumour"], metrics=TABLE)


# edges apart:  a 2 mm, b 1 mm, c both empty, d missed
COHORT = [
    scored("a", "##..", "..##"),
    scored("b", ".##.", "..#."),
    scored("c", "....", "...."),
    scored("d", "..#.", "...."),
]


# -- a new entry -------------------------------------------------------------------------------------------------------


def test_a_new_metric_is_averaged_with_its_unit_and_without_keys_that_it_cannot_have() -> None:
    block = aggregate(COHORT, EvaluateOptions(n_resamples=50), metrics=TABLE).to_json()
    figures = json.loads(json.dumps(block, allow_nan=False))["regions"]["tumour"]
    assert list(figures)[-3:] == ["edge", "lesion_edge", "n_drawn"]
    assert set(figures["edge"]) == {"unit", "n_cases", "case_mean", "case_median", "case_quartiles", "case_ci95"}
    assert (figures["edge"]["unit"], figures["edge"]["n_cases"], figures["edge"]["case_mean"]) == ("mm", 2, 1.5)
    assert figures["n_drawn"]["unit"] == "voxels"
    assert {"pooled", "slice_mean"} <= set(figures["dice"])
    assert not any("unit" in figures[name] for name in COUNTED_METRICS if name in figures)


@pytest.mark.parametrize(
    ("rule", "n", "mean"),
    [
        ("skip", 2, 1.5),
        ("both_empty_1", 4, (2 + 1 + 0 + WORST_MM) / 4),
        ("zero", 4, (2 + 1 + WORST_MM + WORST_MM) / 4),
        ("skip_reference_empty", 2, 1.5),
    ],
)
def test_empty_masks_have_the_values_of_the_entry(rule: str, n: int, mean: float) -> None:
    """The rule's 1 and 0 are the best and the worst of a ratio; of a distance these are 0 mm and 374 mm."""
    options = EvaluateOptions.model_validate({"empty": rule, "n_resamples": 0})
    figures = aggregate(COHORT, options, metrics=TABLE).regions["tumour"]
    assert figures["edge"].n_cases == n
    assert figures["edge"].case_mean == pytest.approx(mean)
    assert figures["lesion_edge"].case_mean == pytest.approx((2 + 1 + 0 + WORST_MM) / 4)


def test_a_new_metric_stands_in_the_table_with_its_unit_and_survives_the_file() -> None:
    rows = case_rows(COHORT, TABLE)
    assert [row["tumour.edge"] for row in rows] == [2.0, 1.0, None, None]
    assert {row["tumour.edge.unit"] for row in rows} == {"mm"}
    assert "tumour.dice.unit" not in rows[0]
    assert rows_from_csv(rows_to_csv(rows), "cases.csv") == rows


def test_a_new_metric_is_compared_and_has_its_words_on_the_page(tmp_path: Path) -> None:
    better = [scored("a", "##..", ".###"), scored("b", ".##.", ".##."), scored("c", "....", "....")]
    runs = {
        name: RegionTable(case_rows(cases, TABLE), TABLE) for name, cases in (("plain", COHORT), ("better", better))
    }
    options = CompareOptions(metrics=("edge",), n_resamples=50)
    comparison = compare(runs, options)
    (result,) = comparison.results
    assert [run.spread.mean for run in result.runs] == [1.5, 0.5]
    assert result.pairs[0].test.mean_difference == 1.0
    (block,) = json.loads(json.dumps(comparison.to_json(), allow_nan=False))["results"]
    assert (block["metric"], block["unit"]) == ("edge", "mm")
    page = write_comparison(comparison, runs, "test", tmp_path).read_text(encoding="utf-8")
    assert "Left edges apart (mm), tumour" in page
    assert "lower is better" in page
    assert EDGE.about in page
    assert ">1.5<" in page
    assert "1.500" not in page


def test_a_new_metric_is_pooled_over_the_runs_of_a_study() -> None:
    runs = {"plain": [RegionTable(case_rows(COHORT, TABLE), TABLE)], "older": [RegionTable(case_rows(COHORT), TABLE)]}
    options = CompareOptions(metrics=("edge",), n_resamples=50)
    figures = pooled_figures(runs, "tumour", "edge", options, paired=True)
    assert list(figures) == ["plain"]  # a table that was written before there was such a metric cannot have it
    assert figures["plain"].spread.mean == 1.5


def test_an_older_table_has_what_is_made_of_counts_and_lacks_the_rest() -> None:
    older = [{name: cell for name, cell in row.items() if not name.endswith(".iou")} for row in case_rows(COHORT)]
    both = {"a": RegionTable(older, TABLE), "b": RegionTable(older, TABLE)}
    iou = compare(both, CompareOptions(metrics=("iou",), n_resamples=20)).results[0]
    assert iou.runs[0].spread.mean == pytest.approx((0 + 1 / 2 + 0) / 3)
    with pytest.raises(ScoreError, match=r"run a has no metric edge; expected one of dice, iou"):
        compare(both, CompareOptions(metrics=("edge",)))


def test_pictures_have_no_millimetres_to_measure() -> None:
    picture = scored("a", "##..", "..##", has_mm=False)
    assert {"n_drawn", "lesion_dice"} <= set(picture.measured)
    assert not {"edge", "hd", "hd95", "mean_surface_distance", "nsd", "lesion_hd95"} & set(picture.measured)
    figures = aggregate([picture], EvaluateOptions(n_resamples=0), metrics=TABLE).regions["tumour"]
    assert "edge" not in figures
    assert {"n_drawn", "volume_error_voxels"} <= set(figures)
    assert not any(name.endswith("_ml") for name in figures)


def test_channels_are_measured_as_label_maps_are() -> None:
    reference, prediction = (drawn(text)[None] > 0 for text in ("##..", "..##"))
    arguments = ("a", "a", reference, prediction, ["tumour"])
    assert score_channels(*arguments, metrics=COUNTED_METRICS).measured == {}
    assert score_channels(*arguments, metrics=TABLE).measured["n_drawn"] == (2.0,)
    measured = score_channels(*arguments, spacing_mm=(0.5, 1.0, 1.0), metrics=TABLE).measured
    assert measured["edge"] == (1.0,)


def test_what_was_measured_on_some_cases_only_is_refused() -> None:
    other = score_case("z", "z", labels("##", scheme="lgg"), labels("##", scheme="lgg"), ["tumour"])
    with pytest.raises(ScoreError, match="edge, lesion_edge, n_drawn at hand for some cases only"):
        aggregate([*COHORT, other], EvaluateOptions(n_resamples=0), metrics=TABLE)
    counts = count_channels(*(drawn("##")[None] > 0 for _ in range(2)))
    with pytest.raises(ScoreError, match="a value of edge for each region"):
        CaseScores("a", "a", ("tumour",), counts, measured={"edge": (1.0, 2.0)})


def test_a_new_metric_of_classes_has_its_interval() -> None:
    def informedness(items: WeightedItems) -> Floats:
        """Recall + specificity − 1."""
        tp, fp, fn, tn = items.counts
        return np.asarray(tp / (tp + fn) + tn / (tn + fp) - 1)

    metric = ClassMetric("informedness", "Informedness", "recall + specificity − 1", of_each_class=informedness)
    names = tuple(map(str, range(8)))
    yes = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.1, 0.2, 0.3])
    items = ItemClasses(
        ("no", "yes"),
        names,
        names,
        np.array([1, 1, 1, 1, 0, 0, 0, 0]),
        np.column_stack([1 - yes, yes]),
        (yes > 0.5).astype(int),
    )
    figures = score_classes(items, n_resamples=40, metrics=table_of((*CLASS_METRICS.values(), metric))).to_json()
    assert figures["metrics"]["informedness"]["value"] == pytest.approx(3 / 4 + 3 / 4 - 1)
    assert figures["metrics"]["informedness"]["ci95"] is not None
    assert figures["per_class"]["no"]["informedness"] == pytest.approx(1 / 2)


# -- the tables --------------------------------------------------------------------------------------------------------


def test_the_tables_say_what_they_must() -> None:
    for name, metric in (*REGION_METRICS.items(), *CLASS_METRICS.items()):
        assert name == metric.name
        assert metric.words
        assert metric.about
    assert OVERLAP_METRICS == REGION_SCORES
    assert (*OVERLAP_METRICS, "hd95", "nsd", "roc_auc", "average_precision") == RESULT_METRICS
    with_unit = [name for name, metric in REGION_METRICS.items() if metric.unit_beside == "mm"]
    assert with_unit == ["hd", "hd95", "mean_surface_distance", "lesion_hd95"]
    assert all(metric.of_masks is None for metric in COUNTED_METRICS.values())
    assert CLASS_SCORES == ("accuracy", "balanced_accuracy", "f1", "auc", "average_precision")
    assert REGION_METRICS["volume_error_abs_ml"].title == "Absolute volume error (ml)"


def test_names_in_options_are_those_of_the_tables() -> None:
    for name in REGION_METRICS:
        assert TypeAdapter(MetricName).validate_python(name) == name
        assert CompareOptions(metrics=(name,)).metrics == (name,)
    assert TypeAdapter(ScoreName).validate_python("auc") == "auc"
    for annotation, name in ((MetricName, "dise"), (OverlapMetricName, "roc_auc"), (ScoreName, "ece")):
        with pytest.raises(ValidationError, match=f"there is no metric {name} here: one of "):
            TypeAdapter(annotation).validate_python(name)


def test_entries_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ScoreError, match="needs one function: of counts"):
        RegionMetric("x", "X", "")
    with pytest.raises(ScoreError, match="needs one function: of items"):
        ClassMetric("x", "X", "")
    with pytest.raises(ScoreError, match="which alone can be pooled"):
        RegionMetric("x", "X", "", of_masks=left_edges_apart, pooled=True)
    with pytest.raises(ScoreError, match="cannot pick the best model"):
        RegionMetric("x", "X", "", better="lower", of_masks=left_edges_apart, picks_best=True)
    with pytest.raises(ScoreError, match="one name"):
        table_of((EDGE, EDGE))


def test_words_and_digits_come_from_the_entry() -> None:
    assert (EDGE.title, EDGE.unit_beside) == ("Left edges apart (mm)", "mm")
    assert (value_text(EDGE, 1.25), value_text(EDGE, None)) == ("1.2", "–")
    assert (interval_text(EDGE, (1.0, 2.0)), interval_text(EDGE, (-1.0, 2.0))) == ("1.0–2.0", "-1.0 to 2.0")
    assert change_text(EDGE, 0.5) == "+0.5"
    assert metric_named("dice").title == "Dice"
    assert metric_named("of another version").title == "of another version"


def test_the_best_and_the_worst_value_are_told_to_a_rule() -> None:
    undefined, no, yes = np.array([np.nan]), np.array([False]), np.array([True])
    for rule, both, missed in (("zero", WORST_MM, WORST_MM), ("both_empty_1", 0.0, WORST_MM)):
        assert EDGE.ruled(undefined, yes, yes, rule) == both  # type: ignore[arg-type]
        assert EDGE.ruled(undefined, no, yes, rule) == missed  # type: ignore[arg-type]
    assert apply_rule(undefined, yes, yes, "both_empty_1") == 1.0


def test_whoever_reads_of_a_metric_is_told_where_it_is_defined() -> None:
    """Counts need no publication; what is named after somebody, or made of distances or probabilities, does."""
    without = {m.name for m in (*REGION_METRICS.values(), *CLASS_METRICS.values()) if not m.source}
    assert {name for name in without if not name.startswith("volume_")} == {"accuracy", "confidence"}
    assert REGION_METRICS["nsd"].source.startswith("Nikolov")
    assert all(m.source == REGION_METRICS["lesion_f1"].source for m in REGION_METRICS.values() if "lesion" in m.name)


def test_which_metrics_have_a_row_in_the_table_of_results() -> None:
    """Volumes, lesions and what is told beside others have charts and tables of their own."""
    shown = {name for name, metric in REGION_METRICS.items() if metric.in_results}
    overlap = {"dice", "iou", "precision", "recall", "specificity", "accuracy", "f1"}
    assert shown == overlap | {"hd95", "nsd", "roc_auc", "average_precision"}
