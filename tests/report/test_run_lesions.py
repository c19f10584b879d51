"""Lesions found and false: their section, only where lesions were counted over thresholds, and their chart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from glioseg.evaluation.froc import THRESHOLDS, Froc, LesionDetections, froc_of
from glioseg.report import style
from glioseg.report.figures.froc import froc
from glioseg.report.html import Table
from glioseg.report.parts.run_lesions import detection
from tests.report.made_run import full_run


def test_lesions_over_thresholds(tmp_path: Path) -> None:
    """Two lesions in a case: both found at 0.1 with five false, one from 0.2 on with none, which all bounds take."""
    facts = full_run()
    assert facts.headline is not None
    assert not detection(facts, tmp_path).blocks
    first = np.array(THRESHOLDS) < 0.15
    curve = froc_of([LesionDetections(2, np.where(first, 2, 1), np.where(first, 5, 0))], ["a"])
    assert curve is not None
    scored = facts.parts[facts.headline]
    further = replace(scored.evaluation.further, froc={"ET": curve})
    part = replace(scored, evaluation=replace(scored.evaluation, further=further))
    told = detection(replace(facts, parts={**facts.parts, facts.headline: part}), tmp_path)
    (table,) = (block for block in told.blocks if isinstance(block, Table))
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["ET", bound, "0.2", "0.500", "–"] for bound in ("0.25", "0.5", "1", "2", "4")
    ]
    assert any(path.name.startswith("froc") for path in tmp_path.iterdir())


def test_curves_of_lesions_have_the_colours_of_their_regions() -> None:
    """Those of all other charts of the page; a dot at no false lesion is seen whole."""
    points = tuple(number / 10 for number in range(1, 10))
    curve = Froc(5, 10, points, points, (0.0,) * 9, ())
    lines = froc({"WT": curve, "ET": curve}).axes[0].lines
    assert [line.get_color() for line in lines] == [style.region_ink("WT"), style.region_ink("ET")]
    assert not any(line.get_clip_on() for line in lines)
