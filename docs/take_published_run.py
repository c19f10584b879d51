"""Keep what the page of the published works needs of runs: take_published_run.py NAME --part PART RUN [RUN …].

Of each run: its settings that are not the recipe's, its figures scored as published, the same metric as every network
here is scored (per case, without names), and its curves. `docs/published/NAME.json` holds no scans and nobody's name.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glioseg.config import Recipe, leaves, read_recipe

PUBLISHED = Path(__file__).with_name("published")
_NOT_SETTINGS = {"format", "name", "about", "after", "notes", "tune", "published"}
_OF_THE_RUN = {"split.fold", "split.seed", "train.seed"}
_CURVES = ("train_loss", "val_loss", "val_score")


def kept(run: Path, part: str, numbers: dict[str, int]) -> dict[str, Any]:
    """What is kept of one run; ``numbers`` stand for patients, the same in all runs, and are added to."""
    evaluation = json.loads((run / f"evaluation-{part}.json").read_text(encoding="utf-8"))
    recipe = read_recipe(str(run / "recipe.toml"))
    published = evaluation.get("as_published")  # a work may report pictures alone
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "recipe": recipe.name,
        "settings": _changed(recipe),
        "n_cases": evaluation["n_cases"],
        "figures": _figures(published) if published else [],
        "not_comparable": published["not_comparable"] if published else [],
        "cases": _cases(run / f"cases-{part}.csv", numbers),
        "curves": {name: _rounded([row.get(name) for row in log]) for name in _CURVES},
        "minutes": round(log[-1]["elapsed_s"] / 60, 1),
    }


def _changed(recipe: Recipe) -> dict[str, Any]:
    """Settings by which a run differs from its recipe as it is shipped; which fold it is, is not among them."""
    shipped = dict(leaves(read_recipe(recipe.name).model_dump(mode="json", exclude=_NOT_SETTINGS)))
    own = leaves(recipe.model_dump(mode="json", exclude=_NOT_SETTINGS))
    return {name: value for name, value in own if shipped.get(name) != value and name not in _OF_THE_RUN}


def _figures(published: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every figure that was published, with what was obtained; of networks that outline one for each region."""
    figures = []
    for figure in published["figures"]:
        rule = {key: figure[key] for key in ("metric", "unit", "empty") if key in figure}
        values = figure.get("regions") or {figure["where"]: figure}
        figures += [
            {**rule, "of": name, "published": value["published"], "obtained": round(value["obtained"], 5)}
            for name, value in values.items()
            if value["obtained"] is not None
        ]
    return figures


def _cases(path: Path, numbers: dict[str, int]) -> list[dict[str, float | int | None]]:
    """Of each case the number of its patient, and Dice by region on the native grid; of classifiers, whether right."""
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    columns = [name for name in rows[0] if name.endswith(".dice") or name == "right"]
    return [
        {"patient": numbers.setdefault(row["patient"], len(numbers))}
        | {name.removesuffix(".dice"): _number(row[name]) for name in columns}
        for row in rows
    ]


def _number(text: str) -> float | None:
    """Without digits that nobody reads; None where a figure is undefined."""
    value = float(text or "nan")
    return None if math.isnan(value) else round(value, 5)


def _rounded(values: list[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 5) for value in values]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--part", default="test")
    parser.add_argument("runs", type=Path, nargs="+")
    options = parser.parse_args()
    numbers: dict[str, int] = {}
    runs = [kept(run, options.part, numbers) for run in options.runs]
    PUBLISHED.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(run, ensure_ascii=False) for run in runs)
    text = f'{{"part": "{options.part}", "runs": [\n{lines}\n]}}\n'
    (PUBLISHED / f"{options.name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
