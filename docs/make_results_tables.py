"""Write the tables of ``docs/results.md`` whose figures lie in measured files: python docs/make_results_tables.py.

Such a table stands between ``<!-- measured: NAME -->`` and ``<!-- end -->``; what is between the two is written anew,
from the cards of the shipped networks, the tables of their folds (``docs/models``) and the runs of the published works
(``docs/published``). The rest of the page is written by hand.
"""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from glioseg.evaluation.case_table import CaseTable, case_table
from glioseg.evaluation.metrics import CLASS_METRICS, REGION_METRICS
from glioseg.evaluation.score import EmptyRule, Floats
from glioseg.evaluation.statistics import bootstrap_intervals
from glioseg.inference.card import Figure
from glioseg.inference.shipped import SHIPPED

DOCS = Path(__file__).parent
PAGE = DOCS / "results.md"
_AIMED_AT: tuple[tuple[str, ...], ...] = ((), ("t2f",))
_MARKED = re.compile(r"(<!-- measured: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Goal:
    """A figure that was aimed at before it was measured; ``only`` as in ``Figure``."""

    model: str
    metric: str
    least: float
    of: str = ""
    only: tuple[str, ...] = ()


GOALS = (
    Goal("phantom", "dice", 0.80, "WT"),
    Goal("brats", "dice", 0.87, "WT"),
    Goal("brats", "dice", 0.78, "TC"),
    Goal("brats", "dice", 0.72, "ET"),
    Goal("brats", "dice", 0.84, "WT", ("t2f",)),
    Goal("lgg", "dice", 0.85, "tumour"),
    Goal("t1c-pictures", "dice", 0.86, "tumour"),
    Goal("t1c-pictures", "accuracy", 0.985, "kind"),
    Goal("tumour-or-none", "balanced_accuracy", 0.93),
    Goal("tissue", "dice", 0.86, "csf"),
    Goal("tissue", "dice", 0.92, "gm"),
    Goal("tissue", "dice", 0.92, "wm"),
)


def page(text: str) -> str:
    """The page with its marked tables written anew.

    Raises:
        KeyError: a mark names a table that is not in ``TABLES``.
    """
    return _MARKED.sub(lambda match: "".join((match[1], *(f"{line}\n" for line in TABLES[match[2]]()), match[3])), text)


def _networks() -> Iterator[str]:
    """Every figure that was aimed at: the first one of the card, which is that of the patients who decide."""
    yield from ("| network | scored on | figure | obtained (95 %) | goal | |", "|---|---|---|---|---|---|")
    titles = {name: metric.title for name, metric in (*REGION_METRICS.items(), *CLASS_METRICS.items())}
    for goal in GOALS:
        figure = next(figure for figure in SHIPPED[goal.model].card().figures if _is_of(figure, goal))
        shown = "" if not goal.only else f", from {' and '.join(goal.only)} alone"
        scored_on = f"{figure.data}, {figure.part}"
        obtained = _with_interval(figure.value, figure.ci95, 3)
        reached = "reached" if figure.value >= goal.least else f"missed by {goal.least - figure.value:.3f}"
        what = " of ".join(part for part in (titles[goal.metric], goal.of) if part)
        yield f"| `model:{goal.model}` | {scored_on} | {what}{shown} | {obtained} | {_short(goal.least)} | {reached} |"


def _is_of(figure: Figure, goal: Goal) -> bool:
    return (figure.of, figure.metric, figure.only) == (goal.of, goal.metric, goal.only)


def _brats() -> Iterator[str]:
    regions = ("WT", "TC", "ET")
    yield from ("| modalities given | WT | TC | ET |", "|---|---|---|---|")
    cells = _evaluated("phantom-on-brats29", regions)
    yield f"| `model:phantom`, all four, the same patients | {' | '.join(cells)} |"
    for words, name in (
        ("**all four**", "brats-folds"),
        ("t1c and t2f alone", "brats-folds-t1c-t2f"),
        ("t2f (FLAIR) alone", "brats-folds-t2f"),
        ("t1c alone", "brats-folds-t1c"),
    ):
        table = _table(name)
        cells = (_summary(table, region, "dice", 3, "both_empty_1", median=True) for region in regions)
        yield f"| {words} | {' | '.join(cells)} |"
    goals = {(goal.of, goal.only): _short(goal.least) for goal in GOALS if goal.model == "brats"}
    least = [
        " / ".join(goals[region, only] for only in ((), ("t2f",)) if (region, only) in goals) for region in regions
    ]
    yield f"| goal, all four / FLAIR alone | {' | '.join(least)} |"


def _evaluated(name: str, regions: Sequence[str]) -> Iterator[str]:
    """Mean Dice (95 % interval), median of each region, as an evaluation has them."""
    scored = json.loads((DOCS / "models" / f"{name}.json").read_text(encoding="utf-8"))["regions"]
    for dice in (scored[region]["dice"] for region in regions):
        yield f"{_with_interval(dice['case_mean'], dice['case_ci95'], 3)}, {dice['case_median']:.3f}"


def _brats_boundaries() -> Iterator[str]:
    figures = ("HD95 (mm), median", "surface Dice at 1 mm", "lesion-wise Dice", "lesion-wise HD95 (mm)")
    yield f"| region | {' | '.join(figures)} | lesions found | lesion F1 |"
    yield "|---|---|---|---|---|---|---|"
    table = _table("brats-folds")
    for region in ("WT", "TC", "ET"):
        cells = (
            _summary(table, region, "hd95", 1, "skip", median=True),
            *(
                _summary(table, region, metric, digits, "skip")
                for metric, digits in (
                    ("nsd", 3),
                    ("lesion_dice", 3),
                    ("lesion_hd95", 0),
                    ("lesion_sensitivity", 3),
                    ("lesion_f1", 3),
                )
            ),
        )
        yield f"| {region} | {' | '.join(cells)} |"


def _tissues() -> Iterator[str]:
    goals = {goal.of: goal.least for goal in GOALS if goal.model == "tissue"}
    yield from ("| tissue | mean Dice ± SD | range | goal |", "|---|---|---|---|")
    table = _table("tissue-folds")
    for tissue, goal in goals.items():
        values = _column(table, tissue, "dice", "skip")
        yield (
            f"| {tissue.upper()} | {values.mean():.3f} ± {values.std(ddof=1):.3f} | "
            f"{values.min():.3f}–{values.max():.3f} | {_short(goal)} |"
        )


def _tissue_distances() -> Iterator[str]:
    yield "| tissue | HD95 (mm) | mean surface distance (mm) | surface Dice at 1 mm |"
    yield "|---|---|---|---|"
    table = _table("tissue-folds")
    for tissue in ("csf", "gm", "wm"):
        cells = (
            _summary(table, tissue, metric, digits, "skip")
            for metric, digits in (("hd95", 1), ("mean_surface_distance", 2), ("nsd", 3))
        )
        yield f"| {tissue.upper()} | {' | '.join(cells)} |"


def _published() -> Iterator[str]:
    """Lines of the page of the published works, without those that have a section of their own here."""
    script = runpy.run_path(str(DOCS / "make_published_page.py"))
    results = [each for each in script["results"]() if each.row.key.startswith(("rc9", "egwaoje", "nazir"))]
    yield from script["table"](results).splitlines()


TABLES: Mapping[str, Callable[[], Iterator[str]]] = MappingProxyType(
    {
        "networks": _networks,
        "published": _published,
        "brats": _brats,
        "brats-boundaries": _brats_boundaries,
        "tissues": _tissues,
        "tissue-distances": _tissue_distances,
    }
)
"""Name in the mark -> what writes its lines."""


def _table(name: str) -> CaseTable:
    path = DOCS / "models" / f"{name}.csv"
    return case_table(path.read_text(encoding="utf-8"), path.name)


def _column(table: CaseTable, group: str, metric: str, empty: EmptyRule) -> Floats:
    values = table.column(group, metric, empty)
    if values is None:
        raise KeyError(f"{group}.{metric}")
    return values


def _summary(table: CaseTable, group: str, metric: str, digits: int, empty: EmptyRule, *, median: bool = False) -> str:
    """Mean (95 % interval over patients) of the cases that have the figure; with ``median``, that after a comma."""
    values = _column(table, group, metric, empty)
    patients = [str(row["patient"]) for row in table.rows]
    text = _with_interval(float(np.nanmean(values)), bootstrap_intervals(values[:, None], patients)[0], digits)
    return f"{text}, {np.nanmedian(values):.{digits}f}" if median else text


def _short(goal: float) -> str:
    """With two digits, or three where it needs them."""
    return f"{goal:.3f}".removesuffix("0")


def _with_interval(value: float, interval: Sequence[float] | None, digits: int) -> str:
    between = "" if interval is None else f" ({interval[0]:.{digits}f}–{interval[1]:.{digits}f})"
    return f"{value:.{digits}f}{between}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
