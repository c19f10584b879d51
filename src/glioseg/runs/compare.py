"""``glioseg compare``: runs side by side on the patients that all of them were evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.core import HEADLINE_ORDER
from glioseg.errors import FileError, OptionError, ScoreError
from glioseg.evaluation.case_table import CaseTable, case_table
from glioseg.evaluation.comparison import CompareOptions, Comparison, compare
from glioseg.evaluation.metric import OwnMetrics
from glioseg.faces import command
from glioseg.io.files import require_folder, write_json
from glioseg.io.text import read_json, read_text
from glioseg.report.comparison import write_comparison
from glioseg.runs.run_files import RECIPE, not_a_run

if TYPE_CHECKING:
    import pandas as pd

_ORDER = (*HEADLINE_ORDER, "all")
_PREFIX = "cases-"


@dataclass(frozen=True)
class CompareResult:
    """A comparison, the part that it was made on, and its page, where one was written."""

    comparison: Comparison
    part: str
    page: Path | None

    def to_json(self) -> dict[str, object]:
        """What ``compare --json`` prints and ``comparison.json`` holds."""
        return {"part": self.part, **self.comparison.to_json()}

    def table(self) -> pd.DataFrame:
        """A row for each region, metric and run: mean, its 95 % interval, median and number of cases."""
        import pandas as pd

        return pd.DataFrame(
            {
                "region": result.region,
                "metric": result.metric.name,
                "run": figure.run,
                "mean": figure.spread.mean,
                "ci95_low": None if figure.ci95 is None else figure.ci95[0],
                "ci95_high": None if figure.ci95 is None else figure.ci95[1],
                "median": figure.spread.median,
                "n_cases": figure.spread.n,
            }
            for result in self.comparison.results
            for figure in result.runs
        )

    def tests(self) -> pd.DataFrame:
        """A row for each region, metric and pair of runs: mean difference, its 95 % interval, p, and p after Holm."""
        import pandas as pd

        return pd.DataFrame(
            {
                "region": result.region,
                "metric": result.metric.name,
                "first": pair.first,
                "second": pair.second,
                "mean_difference": pair.test.mean_difference,
                "ci95_low": None if pair.ci95 is None else pair.ci95[0],
                "ci95_high": None if pair.ci95 is None else pair.ci95[1],
                "p": pair.test.p,
                "p_holm": pair.p_holm,
                "n_patients": pair.test.n,
            }
            for result in self.comparison.results
            for pair in result.pairs
        )

    def _repr_html_(self) -> str:
        """Both tables, for notebooks."""
        shown = (table.to_html(index=False, na_rep="–") for table in (self.table(), self.tests()))
        return f"<b>{self.part}</b>{''.join(shown)}"


def compare_runs(
    runs: Sequence[Path],
    part: str | None = None,
    options: CompareOptions | None = None,
    out: Path | None = None,
    own: OwnMetrics = (),
) -> CompareResult:
    """Compare evaluated runs by their tables of cases.

    Args:
        runs: run folders, or folders that ``evaluate --out`` has written.
        part: ``val``, ``test``, ``train``, ``all``, or the name of other data (``on-NAME``); None takes the first of
            these that all runs have, test before validation.
        options: what to compare, and how.
        out: where ``comparison.json``, ``comparison.html`` and figures go; None writes nothing.
        own: metrics of the caller's own, which the tables have columns of.

    Raises:
        OptionError: fewer than two runs, or one twice.
        FileError: a folder that is not there, no part that all have, or a table that cannot be read.
        ScoreError: no common case or region, another reference, a metric that a run lacks, or runs of different tasks.
    """
    by_name = named_apart(runs)
    if out is not None:
        require_folder(out)
    common = part or _common_part(by_name)
    tables = {name: _table(path, common, own) for name, path in by_name.items()}
    _require_one_convention(by_name, common)
    comparison = compare(tables, options or CompareOptions())
    result = CompareResult(comparison, common, None)
    if out is None:
        return result
    write_json(out / "comparison.json", result.to_json())
    return CompareResult(comparison, common, write_comparison(comparison, tables, common, out))


def named_apart(runs: Sequence[Path]) -> dict[str, Path]:
    """Name -> folder: the folder's own name, with as many folders above as it takes to tell them apart.

    Raises:
        OptionError: fewer than two runs, or one twice.
    """
    if len(runs) < 2:
        raise OptionError(
            "a comparison needs two runs or more", found=len(runs), expected="run folders, such as runs/a runs/b"
        )
    paths = [path.resolve() for path in runs]
    twice = sorted({str(path) for path in paths if paths.count(path) > 1})
    if twice:
        raise OptionError("a run is named twice", found=", ".join(twice), remedy="Name each once")
    depth = 1
    while len({_tail(path, depth) for path in paths}) < len(paths):
        depth += 1
    return {_tail(path, depth): path for path in paths}


def _tail(path: Path, depth: int) -> str:
    return "/".join(path.parts[-depth:])


def _parts(run: Path) -> list[str]:
    if not run.is_dir():
        raise FileError("there is no such run folder", path=run, remedy="Check the path for a typing error")
    scored = {path.stem.removeprefix(_PREFIX) for path in run.glob(f"{_PREFIX}*.csv")}
    if not scored and not (run / RECIPE).exists():
        raise not_a_run(run, f"{RECIPE} and no {_PREFIX}PART.csv")
    return [name for name in _ORDER if name in scored] + sorted(scored - set(_ORDER))


def _common_part(by_name: Mapping[str, Path]) -> str:
    have = {name: _parts(path) for name, path in by_name.items()}
    common = [part for part in next(iter(have.values())) if all(part in parts for parts in have.values())]
    if not common:
        raise FileError(
            "there is no part that all runs were evaluated on",
            found="; ".join(f"{name}: {', '.join(parts) or 'none'}" for name, parts in have.items()),
            remedy="Run `glioseg evaluate RUN --part NAME` for those that lack it",
        )
    return common[0]


def _require_one_convention(by_name: Mapping[str, Path], part: str) -> None:
    """Lesions that were counted by different rules would be compared otherwise."""
    conventions: dict[str, str] = {}
    for name, path in by_name.items():
        figures = path / f"evaluation-{part}.json"
        block = read_json(figures) if figures.is_file() else None
        protocol = block.get("protocol") if isinstance(block, dict) else None
        if isinstance(protocol, dict) and "convention" in protocol:
            conventions[name] = str(protocol["convention"])
    if len(set(conventions.values())) > 1:
        raise ScoreError(
            "the runs were evaluated by different conventions",
            found="; ".join(f"{name}: {convention}" for name, convention in conventions.items()),
            remedy="Evaluate them again with the same `--convention`",
        )


def _table(run: Path, part: str, own: OwnMetrics) -> CaseTable:
    path = run / f"{_PREFIX}{part}.csv"
    have = _parts(run)
    if part not in have:
        raise FileError(
            f"the run was not evaluated on part {part}",
            path=run,
            found=", ".join(have) or "no evaluation",
            remedy=f"Run `{command('evaluate', run, '--part', part)}`",
        )
    return case_table(read_text(path), str(path), own)
