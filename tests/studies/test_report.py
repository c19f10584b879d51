"""The pages of studies and searches hold what they were told, and make do with what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image as Pillow

from glioseg.cli.study_texts import study_text
from glioseg.evaluation.case_table import RegionTable
from glioseg.evaluation.comparison import CompareOptions
from glioseg.evaluation.metric import RegionMetric, table_of
from glioseg.evaluation.metrics import REGION_METRICS
from glioseg.evaluation.replicates import CaseFigure, pooled_figures
from glioseg.evaluation.table import Row
from glioseg.studies.report import facts as facts_of_studies
from glioseg.studies.report import study_charts
from glioseg.studies.report import tune_charts as charts
from glioseg.studies.report.facts import PublishedFact, RowFact, RunFact, StudyFacts
from glioseg.studies.report.study import write_study_report
from glioseg.studies.report.study_charts import Lines
from glioseg.studies.report.tune import TrialFact, TuningFacts, write_tuning_report
from glioseg.studies.table import study_csv

_DAY = date(2024, 5, 17)


def _rows(shift: int) -> list[Row]:
    """Eight patients whose Dice is (2·(20+i+shift))/(…)."""
    found: list[Row] = []
    for number in range(8):
        tp = 20 + number + shift
        counts = {
            f"{region}.{name}": n
            for region in ("WT", "ET")
            for name, n in zip(("tp", "fp", "fn"), (tp, 9, 9), strict=True)
        }
        found.append(
            {
                "case": f"c{number}",
                "patient": f"p{number}",
                **counts,
                "WT.tn": 0,
                "ET.tn": 0,
                "WT.status": "ok",
                "ET.status": "ok",
            }
        )
    return found


def _facts() -> StudyFacts:
    options = CompareOptions(n_resamples=200)
    tables = {"plain": [RegionTable(_rows(0))], "<better>": [RegionTable(_rows(9))]}
    pooled = {region: pooled_figures(tables, region, "dice", options, paired=True) for region in ("WT", "ET")}
    runs = (
        RunFact(0, 0, "finished", training_s=90.0, peak_memory_mb=700.0, best_epoch=3, report="plain/run/report.html"),
        RunFact(1, 0, "finished", ended="train.max_minutes = 5", training_s=30.0),
    )
    published = (
        PublishedFact("test", "WT", "dice", "slice", "both_empty_1", 0.85, 0.8, 2, ()),
        PublishedFact("test", "mean", "dice", "slice", "both_empty_1", 0.7, None, 0, ("other settings",)),
    )
    rows = tuple(
        RowFact(
            name=name,
            recipe="lgg",
            settings={"loss.kind": "dice"},
            ignored=("model.width",) if name == "plain" else (),
            runs=runs,
            n_parameters=12345,
            figures={"test": {region: {"dice": pooled[region][name]} for region in pooled}},
            published=published,
        )
        for name in tables
    )
    broken = RowFact("broken", "lgg", runs=(RunFact(0, 0, "failed", error="no memory"), RunFact(1, 0, "missing")))
    foreign = RowFact("foreign", "other", skipped="no such modality")
    faulty = RowFact("faulty", "other", fault="there is no network perceptron")
    return StudyFacts(
        name="losses", about="A study", after="A, 2020", notes=("A note",), data="LGG", changes=("train.epochs=2",),
        folds=2, seeds=(0,), parts=("test",), metrics=("dice",), options=options, paired=True,
        rows=(*rows, broken, foreign, faulty),
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("study")
    return folder, write_study_report(_facts(), folder / "study.html", written_on=_DAY).read_text(encoding="utf-8")


def test_a_study_in_full(page: tuple[Path, str]) -> None:
    folder, text = page
    names = {"intervals", "patients", "published"}
    assert set(re.findall(r'id="figure-([a-z-]+)"', text)) == names
    assert {path.stem for path in (folder / "figures").iterdir()} == names
    for path in (folder / "figures").iterdir():
        assert np.asarray(Pillow.open(path).convert("L")).std() > 0
    for words in ("A note", "train.epochs=2", "no memory", "no such modality", "there is no network perceptron"):
        assert words in text
    assert "&lt;better&gt;" in text
    assert "<better>" not in text
    assert "12,345" in text
    assert "stopped by train.max_minutes = 5" in text
    assert "its network has no model.width" in text


def test_a_study_shows_its_figures(page: tuple[Path, str]) -> None:
    """Mean Dice of WT: 2·tp/(2·tp + 18), tp = 20..27 for the first row and 29..36 for the second; all eight differ."""
    text = page[1]
    first, second = ([2 * tp / (2 * tp + 18) for tp in range(low, low + 8)] for low in (20, 29))
    assert f"{np.mean(first):.3f}" in text
    assert f"{np.mean(second) - np.mean(first):+.3f}" in text
    assert "0.008" in text  # eight differences of one sign: p = 2 / 2^8


def test_a_study_shows_any_metric_with_its_unit_and_says_which_no_run_has(tmp_path: Path) -> None:
    """Absolute errors of 12 ml and 3 ml on every patient: the lower one is the better."""
    name, options = "volume_error_abs_ml", CompareOptions(n_resamples=100)
    errors = {"plain": 12.0, "better": 3.0}
    tables = {row: [RegionTable([{**case, f"WT.{name}": error} for case in _rows(0)])] for row, error in errors.items()}
    pooled = pooled_figures(tables, "WT", name, options, paired=True)
    rows = tuple(RowFact(row, "lgg", figures={"test": {"WT": {name: pooled[row]}}}) for row in tables)
    facts = replace(_facts(), metrics=(name, "volume_error_voxels"), rows=rows)
    text = write_study_report(facts, tmp_path / "study.html", written_on=_DAY).read_text(encoding="utf-8")
    assert "Lowest mean, WT" in text
    assert "Absolute volume error (ml) WT, test: better" in text
    assert "-9.000" in text
    assert "No run has Volume error (voxels)" in text
    lines = study_text(facts).splitlines()
    assert any(line.startswith("test, WT, Absolute volume error (ml)") for line in lines)
    assert any(line.startswith("better") and "3.000" in line and "-9.000" in line for line in lines)


def test_files_of_a_study_have_the_unit_of_a_metric_whose_name_does_not_say_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edge = RegionMetric("edge", "Edge", "", "mm", "lower", of_masks=lambda pair: float(pair.prediction.sum()))
    table = table_of((*REGION_METRICS.values(), edge))
    monkeypatch.setattr(facts_of_studies, "REGION_METRICS", table)
    cases = RegionTable([{**case, "WT.edge": 4.5, "WT.edge.unit": "mm"} for case in _rows(0)], table)
    pooled = pooled_figures({"plain": [cases]}, "WT", "edge", CompareOptions(n_resamples=20), paired=False)
    row = RowFact("plain", "lgg", figures={"test": {"WT": {"edge": pooled["plain"]}}})
    facts = replace(_facts(), metrics=("edge",), rows=(row,))
    assert study_csv(facts).splitlines()[1].startswith("plain,lgg,test,WT,edge,mm,0,8,8,4.5")
    assert '{"unit": "mm", "n_cases": 8' in json.dumps(facts.to_json())
    assert "unit" not in study_csv(_facts()).splitlines()[0]


def test_a_page_loads_nothing_and_leads_to_reports(page: tuple[Path, str]) -> None:
    targets = set(re.findall(r'(?:src|href)="([^"#][^"]*)"', page[1]))
    assert {target for target in targets if not target.startswith("data:")} == {"plain/run/report.html"}
    assert "research use only" in page[1]


def test_a_study_of_which_nothing_has_ended(tmp_path: Path) -> None:
    facts = _facts()
    rows = tuple(replace(row, figures={}, published=(), runs=(RunFact(None, 3, "missing"),)) for row in facts.rows[:2])
    page = write_study_report(replace(facts, rows=rows), tmp_path / "study.html", written_on=_DAY)
    text = page.read_text(encoding="utf-8")
    assert "not trained yet" in text
    assert "figure-" not in text
    again = write_study_report(facts, page, written_on=_DAY)
    assert "figure-intervals" in again.read_text(encoding="utf-8")
    write_study_report(replace(facts, rows=rows), page, written_on=_DAY)
    assert not list((tmp_path / "figures").iterdir())  # nothing stale stays


def test_completeness() -> None:
    facts = _facts()
    assert facts.has_failures
    assert not facts.is_complete
    good = replace(facts, rows=(*facts.rows[:2], facts.rows[3]))
    assert good.is_complete  # what the data cannot feed is not missing
    assert not good.has_failures
    assert facts.rows[0].training_s == 60.0
    assert facts.rows[0].peak_memory_mb == 700.0


def test_a_search(tmp_path: Path) -> None:
    ranges: dict[str, dict[str, object]] = {
        "train.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "model.width": {"choices": [16, 24]},
    }
    trials = (
        TrialFact(0, "complete", {"train.lr": 1e-3, "model.width": 16}, {0: 0.3, 1: 0.6}, 0.6, training_s=60.0),
        TrialFact(1, "pruned", {"train.lr": 5e-3, "model.width": 24}, {0: 0.7}, 0.7, ended="pruned"),
        TrialFact(2, "failed", {"train.lr": 9e-3, "model.width": 24}, error="the loss is not a number"),
    )
    facts = TuningFacts("lgg", "dice", ranges, trials)
    assert facts.best is trials[0]  # the pruned one was not trained to its end
    text = write_tuning_report(facts, tmp_path / "tune.html", written_on=_DAY).read_text(encoding="utf-8")
    assert set(re.findall(r'id="figure-([a-z-]+)"', text)) == {"by-trial", "by-epoch", "by-setting"}
    assert "the loss is not a number" in text
    assert "0.0001 to 0.01, by ratios" in text
    assert "16, 24" in text
    empty = write_tuning_report(replace(facts, trials=()), tmp_path / "tune.html", written_on=_DAY)
    assert "No trial has been trained to its end yet" in empty.read_text(encoding="utf-8")
    assert not list((tmp_path / "figures").iterdir())


def test_what_was_not_trained_to_its_end_is_not_drawn_as_if_it_had_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[charts.Trial] = []
    real = charts.by_trial

    def by_trial(trials: Sequence[charts.Trial], *, y: str) -> Figure:
        drawn.extend(trials)
        return real(trials, y=y)

    monkeypatch.setattr(charts, "by_trial", by_trial)
    settings = {"train.lr": 1e-3}
    trials = (
        TrialFact(0, "complete", settings, {0: 0.3}, 0.3),
        TrialFact(1, "pruned", settings, {0: 0.2}, 0.2),
        TrialFact(2, "failed", settings, {0: 0.8}, error="the loss is not a number"),
        TrialFact(3, "running", settings, {0: 0.9}),
    )
    facts = TuningFacts("lgg", "dice", {"train.lr": {"low": 1e-4, "high": 1e-2}}, trials)
    write_tuning_report(facts, tmp_path / "tune.html", written_on=_DAY)
    assert [(trial.number, trial.pruned) for trial in drawn] == [(0, False), (1, True)]


def test_the_mean_of_a_chart_of_patients_is_of_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 300 patients 200 are drawn, and the page says so; the thick line is of all 300."""
    seen: list[Lines] = []
    real = study_charts.patient_lines

    def patient_lines(panels: Sequence[Lines], *, y: str, bounded: bool) -> Figure:
        seen.extend(panels)
        return real(panels, y=y, bounded=bounded)

    monkeypatch.setattr(study_charts, "patient_lines", patient_lines)
    cases = tuple(CaseFigure(f"c{n:03d}", f"p{n:03d}", 0.0 if n < 200 else 0.9) for n in range(300))
    facts = _facts()
    rows = tuple(
        replace(row, figures={"test": {"WT": {"dice": replace(row.figures["test"]["WT"]["dice"], cases=cases)}}})
        for row in facts.rows[:2]
    )
    page = write_study_report(replace(facts, rows=rows), tmp_path / "study.html", written_on=_DAY)
    assert "200 of 300 patients" in page.read_text(encoding="utf-8")
    (lines,) = seen
    assert lines.values.shape == (300, 2)
    (axes,) = real([lines], y="Dice").axes
    assert len(axes.lines) == 201
    assert axes.lines[-1].get_ydata() == pytest.approx([0.3, 0.3])
