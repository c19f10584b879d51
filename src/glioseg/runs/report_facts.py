"""What every report reads of a run folder, whether its network draws regions or says classes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glioseg.config import Recipe
from glioseg.evaluation.table import Row
from glioseg.io.files import cannot_read, read_json
from glioseg.report.run_facts import PartCounts, PartScores, SplitFacts, Timing
from glioseg.runs import run_folder
from glioseg.runs.material import Material

_PARTS = ("test", "val", "train")


def scored_parts(run: Path, parse: Callable[[str, str], Sequence[Row]]) -> dict[str, PartScores]:
    """The evaluated parts, that of the headline first; ``parse`` makes rows of a table's text and the name of its file.

    Raises:
        FileError: a file of the run is damaged.
    """
    found = {}
    for part in _PARTS:
        figures, table = run / f"evaluation-{part}.json", run / f"cases-{part}.csv"
        if not figures.exists() or not table.exists():
            continue
        evaluation = read_json(figures)
        assert isinstance(evaluation, dict)
        try:
            text = table.read_text(encoding="utf-8")
        except OSError as error:
            raise cannot_read(table, error) from error
        found[part] = PartScores(evaluation, parse(text, str(table)))
    return found


def kept_epoch(log: Sequence[dict[str, Any]], keep: str) -> int | None:
    """The epoch whose model is in the bundle, as the loop keeps it: the first of the best, or the last validated."""
    scored = [row for row in log if "val_score" in row]
    if not scored:
        return None
    if keep == "last":
        return int(scored[-1]["epoch"])
    return int(max(scored, key=lambda row: (row["val_score"], -row["epoch"]))["epoch"])


def split_facts(recipe: Recipe, material: Material, counts: Callable[[Material, str], PartCounts]) -> SplitFacts:
    """How the cohort was divided; ``counts`` counts a part."""
    split = material.split
    parts = {name: counts(material, name) for name in ("train", "val", "test") if getattr(split, name)}
    unit = {"patient": "patient", "slice": "slice", "duplicate group": "picture"}[split.unit]
    folds = None if recipe.split.n_folds is None else (recipe.split.fold + 1, recipe.split.n_folds)
    return SplitFacts(parts, unit, split.seed, split.sha256, folds)  # type: ignore[arg-type]


def environment_of(run: Path) -> Mapping[str, str | int | float | bool]:
    """What the run was made on."""
    facts = read_json(run / run_folder.ENVIRONMENT)
    return facts if isinstance(facts, dict) else {}


def timing_of(run: Path, log: Sequence[Mapping[str, Any]]) -> Timing:
    """How long the run took, as far as that was measured."""
    paces = [row["images_per_s"] for row in log if row.get("images_per_s") is not None]
    kept = read_json(run / run_folder.TIMING) if (run / run_folder.TIMING).exists() else {}
    measured = kept if isinstance(kept, dict) else {}
    return Timing(
        training_s=log[-1]["elapsed_s"] if log else None,
        images_per_s=statistics.median(paces) if paces else None,
        evaluation_s=measured.get("evaluation_s"),
        peak_memory_mib=measured.get("peak_memory_mib"),
    )
