"""``glioseg score``: masks of any origin against one reference or several, one method or several at once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glioseg.console import QUIET, Reporter, Step
from glioseg.core import Case, Facts, LabelMap, LabelScheme, scheme_named
from glioseg.core.labels import encode_regions
from glioseg.errors import GliosegError, LabelError, OptionError, misuse
from glioseg.evaluation.case_table import CaseTable, RegionTable
from glioseg.evaluation.cases import CaseScores, metrics_for, score_case, score_channels
from glioseg.evaluation.comparison import CompareOptions, Comparison, compare
from glioseg.evaluation.metric import OwnMetrics, RegionMetrics
from glioseg.evaluation.metrics import REGION_METRICS
from glioseg.evaluation.protocol import EvaluateOptions, Evaluation, aggregate
from glioseg.evaluation.raters import CONSENSUS, ConsensusName, agreements, consensus
from glioseg.evaluation.scored_masks import RaterFigures, ScoreInputs
from glioseg.evaluation.table import case_rows, has_metric
from glioseg.io.files import require_folder, write_json
from glioseg.report.run_facts import CohortFacts, PartScores
from glioseg.report.score import ScoredMasks, write_score_page
from glioseg.runs.read import Data
from glioseg.runs.score_masks import (
    Masks,
    RaterPanel,
    all_faults,
    empty_mask,
    on_grid,
    read_mask,
    read_method,
    read_panel,
)
from glioseg.tasks.scores import Scores
from glioseg.tasks.texts import regions_text

if TYPE_CHECKING:
    import pandas as pd

PART = "all"
"""What the figures of masks are called in files: ``evaluation-all.json``, which ``compare`` takes too."""
_TEXT_METRICS = ("hd95", "nsd", "lesion_dice")
_Channels = npt.NDArray[np.bool_]
_ByReference = dict[str, dict[str, list[CaseScores]]]


@dataclass(frozen=True)
class ScoreOptions:
    """How masks are scored.

    Args:
        evaluate: how figures are averaged.
        regions: to be scored; None for those of the scheme.
        prediction_scheme: what the integers of predictions mean; None for what files beside them say, else as in the
            references.
        resample: bring masks on another grid to that of the reference.
        consensus: what several raters' references are made into for the figures on top.
        metrics: of the caller's own.
    """

    evaluate: EvaluateOptions = field(default_factory=EvaluateOptions)
    regions: tuple[str, ...] | None = None
    prediction_scheme: LabelScheme | str | None = None
    resample: bool = False
    consensus: ConsensusName = "majority"
    metrics: OwnMetrics = ()


@dataclass(frozen=True, eq=False)
class ScoreResult:
    """Scored masks.

    Args:
        scores: method -> its figures, against the reference or the consensus of the raters.
        inputs: method -> what they were made of; empty for a single pair of masks.
        comparison: of several methods, by every metric; None of one.
        raters: where there are several.
        page: where one was written.
    """

    scores: Mapping[str, Scores]
    inputs: Mapping[str, ScoreInputs] = field(default_factory=dict)
    comparison: Comparison | None = None
    raters: RaterFigures | None = None
    page: Path | None = None

    @property
    def text(self) -> str:
        """The figures in a few lines, for people."""
        return "\n".join(scores.text for scores in self.scores.values())

    def to_json(self) -> dict[str, Any]:
        """What ``score --json`` prints: of one method as ``evaluate --json``, with ``inputs`` and ``raters`` beside.

        Of several methods ``methods`` holds that of each, and ``comparison`` what ``compare --json`` prints.
        """
        blocks = {name: self._block(name) for name in self.scores}
        raters = {} if self.raters is None else {"raters": self.raters.to_json()}
        if len(blocks) == 1:
            return {**next(iter(blocks.values())), **raters}
        compared = {} if self.comparison is None else {"comparison": self.comparison.to_json()}
        return {"methods": blocks, **compared, **raters}

    def _block(self, name: str) -> dict[str, Any]:
        inputs = {"inputs": self.inputs[name].to_json()} if name in self.inputs else {}
        return {**self.scores[name].to_json(), **inputs}

    def table(self) -> pd.DataFrame:
        """The figures, a row for each region and metric; of several methods with a column ``method``."""
        return self._joined({name: scores.table() for name, scores in self.scores.items()})

    def cases(self) -> pd.DataFrame:
        """A row for each case; of several methods with a column ``method``."""
        return self._joined({name: scores.cases() for name, scores in self.scores.items()})

    def _joined(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        import pandas as pd

        if len(tables) == 1:
            return next(iter(tables.values()))
        return pd.concat([table.assign(method=name) for name, table in tables.items()], ignore_index=True)

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return self.table().to_html(index=False, float_format="{:.3f}".format, na_rep="–")


def score_pair(reference: LabelMap, prediction: LabelMap, options: ScoreOptions) -> ScoreResult:
    """Score one mask; errors as ``score_case``."""
    names = options.regions or reference.scheme.default_regions
    metrics = options.evaluate.metrics(options.metrics)
    case = score_case("mask", "mask", reference, prediction, names, metrics=metrics)
    alone = replace(options, evaluate=options.evaluate.model_copy(update={"n_resamples": 0}))
    return ScoreResult({"mask": _scores("mask", [case], alone)})


def score_folders(
    references: Mapping[str, Data],
    predictions: Mapping[str, Path],
    options: ScoreOptions,
    out: Path | None = None,
    reporter: Reporter = QUIET,
) -> ScoreResult:
    """Score folders of masks.

    Args:
        references: rater -> folder.
        predictions: method -> folder.
        options: how.
        out: where ``score.json``, ``score.html``, figures, and evaluation and cases of each method go; None writes
            nothing.
        reporter: told of progress.

    Raises:
        LayoutError: no masks in a folder, or masks whose reference is not there.
        GeometryError, LabelError, FileError: a mask that cannot be scored, or a folder that cannot be written to.
        ScoreError: several of them.
        OptionError: a rater called as a consensus, methods of one name but for its signs; a region or a scheme that
            there is not.
    """
    if out is not None:
        require_folder(out)
        _require_own_folders(predictions)
    taken = [name for name in references if name in CONSENSUS]
    if taken:
        raise OptionError("a rater has the name of a consensus", found=taken[0], remedy="Give the rater another name")
    panel = read_panel(references, reporter)
    scheme = panel.raters[0].scheme or scheme_named("binary")
    regions = _regions(options.regions or scheme.default_regions, scheme)
    methods = [
        read_method(name, folder, panel, regions, options.prediction_scheme) for name, folder in predictions.items()
    ]
    metrics = metrics_for(scheme, options.evaluate.metrics(options.metrics))
    with reporter.progress("Scoring") as step:
        scored = _score_cases(panel, methods, regions, metrics, options, step)
    headline = panel.raters[0].name if len(panel.raters) == 1 else options.consensus
    facts = {case.id: case.facts for case in panel.cohort.cases}
    scores = {name: _scores(name, against[headline], options, facts) for name, against in scored.methods.items()}
    result = ScoreResult(
        scores,
        {masks.name: _inputs(panel, masks, scored.resampled[masks.name]) for masks in methods},
        _compared(scores, options),
        _rater_figures(panel, scored, metrics, options),
    )
    if out is None:
        return result
    return _written(result, panel, options, out, reporter)


@dataclass(frozen=True, eq=False)
class _Scored:
    """Every case, scored: method -> reference -> cases; pair of raters -> cases; method -> cases on another grid."""

    methods: _ByReference
    among: dict[tuple[str, str], list[CaseScores]]
    resampled: dict[str, list[str]]


def _score_cases(
    panel: RaterPanel,
    methods: Sequence[Masks],
    regions: tuple[str, ...],
    metrics: RegionMetrics,
    options: ScoreOptions,
    step: Step,
) -> _Scored:
    scored = _Scored({masks.name: defaultdict(list) for masks in methods}, defaultdict(list), defaultdict(list))
    faults: list[GliosegError] = []
    for number, case in enumerate(panel.cohort.cases, start=1):
        try:
            _score_one(case, panel, methods, regions, metrics, options, scored)
        except GliosegError as error:
            faults.append(error)
        step(number, len(panel.cohort.cases))
    if faults:
        raise all_faults(faults)
    return scored


def _score_one(
    case: Case,
    panel: RaterPanel,
    methods: Sequence[Masks],
    regions: tuple[str, ...],
    metrics: RegionMetrics,
    options: ScoreOptions,
    scored: _Scored,
) -> None:
    """One case by every method, added to ``scored``."""
    first, *others = panel.raters
    reference = read_mask(first, case)
    raters = {first.name: reference}
    for rater in others:
        raters[rater.name] = on_grid(read_mask(rater, case), reference.grid, rater, case, allowed=options.resample)[0]
    drawn: dict[str, LabelMap] = {}
    for masks in methods:
        if case.id not in masks.sources:
            drawn[masks.name] = empty_mask(reference)
            continue
        mask, moved = on_grid(read_mask(masks, case), reference.grid, masks, case, allowed=options.resample)
        drawn[masks.name] = mask
        if moved:
            scored.resampled[masks.name].append(case.id)
    if not others:
        for method, mask in drawn.items():
            figures = score_case(case.id, case.patient, reference, mask, regions, metrics=metrics)
            scored.methods[method][first.name].append(figures)
        return
    _score_against_raters(case, raters, drawn, regions, metrics, scored)


def _score_against_raters(
    case: Case,
    raters: Mapping[str, LabelMap],
    drawn: Mapping[str, LabelMap],
    regions: tuple[str, ...],
    metrics: RegionMetrics,
    scored: _Scored,
) -> None:
    """Each method against each rater and each consensus, and the raters against each other."""
    grid = next(iter(raters.values())).grid
    voxel_ml, spacing = (grid.voxel_ml, grid.spacing_mm) if grid.has_mm else (None, None)

    def scores(reference: _Channels, prediction: _Channels) -> CaseScores:
        return score_channels(
            case.id, case.patient, reference, prediction, regions, None, voxel_ml, "native", spacing, metrics
        )

    references = {name: _channels(labels, regions) for name, labels in raters.items()}
    for first, second in combinations(raters, 2):
        scored.among[first, second].append(scores(references[first], references[second]))
    by_rater = list(references.values())
    references |= {rule: np.stack([consensus(row, rule) for row in zip(*by_rater, strict=True)]) for rule in CONSENSUS}
    for method, mask in drawn.items():
        prediction = _channels(mask, regions)
        for name, reference in references.items():
            scored.methods[method][name].append(scores(reference, prediction))


def _channels(labels: LabelMap, regions: Sequence[str]) -> _Channels:
    """(R, X, Y, Z)."""
    return encode_regions(labels.array, labels.scheme, regions).astype(np.bool_)


def _regions(regions: Sequence[str], scheme: LabelScheme) -> tuple[str, ...]:
    try:
        scheme.require_regions(regions)
    except LabelError as error:
        raise misuse(error) from error
    return tuple(regions)


def _scores(
    name: str, cases: list[CaseScores], options: ScoreOptions, facts: Mapping[str, Facts] | None = None
) -> Scores:
    metrics = options.evaluate.metrics(options.metrics)
    evaluation = aggregate(cases, options.evaluate, metrics=metrics, facts=facts)
    shown = [REGION_METRICS[metric] for metric in _TEXT_METRICS]
    return Scores(
        PART, evaluation, case_rows(cases, metrics), regions_text(name, evaluation, own=[*shown, *options.metrics])
    )


def _inputs(panel: RaterPanel, masks: Masks, resampled: Sequence[str]) -> ScoreInputs:
    binary = scheme_named("binary")
    return ScoreInputs(
        references={rater.name: str(rater.folder) for rater in panel.raters},
        prediction=str(masks.folder),
        scheme=_scheme_words(panel.raters[0].scheme or binary),
        prediction_scheme=_scheme_words(masks.scheme or binary),
        missing=masks.missing(panel.cohort.cases),
        resampled=tuple(resampled),
    )


def _scheme_words(scheme: LabelScheme) -> str:
    return f"{scheme.name}: {scheme.describe()}"


def _table(cases: Sequence[CaseScores], options: ScoreOptions) -> RegionTable:
    metrics = options.evaluate.metrics(options.metrics)
    return RegionTable(case_rows(cases, metrics), metrics)


def _tables_of(scores: Mapping[str, Scores], options: ScoreOptions) -> dict[str, CaseTable]:
    """The tables of methods, as comparisons read them."""
    metrics = options.evaluate.metrics(options.metrics)
    return {name: RegionTable(each.rows, metrics) for name, each in scores.items()}


def _compare_options(options: ScoreOptions, metrics: tuple[str, ...] | None = None) -> CompareOptions:
    evaluate = options.evaluate
    return CompareOptions(metrics=metrics, empty=evaluate.empty, n_resamples=evaluate.n_resamples, seed=evaluate.seed)


def _compared(scores: Mapping[str, Scores], options: ScoreOptions) -> Comparison | None:
    """Several methods on the same patients, by every metric that says which of two is better."""
    if len(scores) < 2:
        return None
    rows = next(iter(scores.values())).rows
    metrics = options.evaluate.metrics(options.metrics)
    first = next(column.removesuffix(".status") for column in rows[0] if column.endswith(".status"))
    names = tuple(
        name
        for name, metric in metrics.items()
        if metric.better != "neither" and name != "f1" and has_metric(rows, first, metric)
    )
    return compare(_tables_of(scores, options), _compare_options(options, names))


def _rater_figures(
    panel: RaterPanel, scored: _Scored, metrics: RegionMetrics, options: ScoreOptions
) -> RaterFigures | None:
    if not scored.among:
        return None
    names = tuple(rater.name for rater in panel.raters)
    among = {f"{first} against {second}": cases for (first, second), cases in scored.among.items()}

    def evaluated(cases: list[CaseScores]) -> Evaluation:
        return aggregate(cases, options.evaluate, metrics=metrics)

    return RaterFigures(
        names=names,
        consensus=options.consensus,
        by_reference={
            method: {name: evaluated(cases) for name, cases in against.items()}
            for method, against in scored.methods.items()
        },
        among={pair: evaluated(cases) for pair, cases in among.items()},
        agreements=agreements(
            [_table(cases, options) for cases in among.values()],
            {method: [_table(against[name], options) for name in names] for method, against in scored.methods.items()},
            _compare_options(options),
            metrics,
        ),
    )


def _written(
    result: ScoreResult, panel: RaterPanel, options: ScoreOptions, out: Path, reporter: Reporter
) -> ScoreResult:
    """The files: figures and cases of each method, everything as JSON, and the page."""
    for name, scores in result.scores.items():
        scores.write(out if len(result.scores) == 1 else out / _folder_name(name))
    write_json(out / "score.json", result.to_json())
    evaluations = {name: _evaluation(scores) for name, scores in result.scores.items()}
    scored = ScoredMasks(
        data=_data_facts(panel, tuple(next(iter(evaluations.values())).regions)),
        methods={name: PartScores(evaluations[name], scores.rows) for name, scores in result.scores.items()},
        inputs=result.inputs,
        comparison=result.comparison,
        tables=_tables_of(result.scores, options),
        raters=result.raters,
    )
    with reporter.progress("Drawing the page") as step:
        page = write_score_page(scored, out, progress=step)
    return replace(result, page=page)


def _evaluation(scores: Scores) -> Evaluation:
    if not isinstance(scores.figures, Evaluation):
        raise TypeError("scores of masks are an Evaluation")
    return scores.figures


def _require_own_folders(methods: Iterable[str]) -> None:
    """Refuse two methods whose figures would be written into one folder, also where case makes no difference."""
    folders: dict[str, str] = {}
    for name in methods:
        same_name = folders.setdefault(_folder_name(name).casefold(), name)
        if same_name != name:
            raise OptionError(
                "the figures of two methods would be written into one folder",
                found=f"{same_name} and {name}",
                remedy="Give one of them another name",
            )


def _folder_name(method: str) -> str:
    """A method's name as a folder."""
    return re.sub(r"[^\w.-]+", "-", method).strip("-.") or "method"


def _data_facts(panel: RaterPanel, regions: tuple[str, ...]) -> CohortFacts:
    cohort, scheme = panel.cohort, panel.raters[0].scheme or scheme_named("binary")
    kinds = ("assumed", "unknown-patients")
    return CohortFacts(
        cohort=cohort.name,
        layout=cohort.layout,
        modalities=cohort.modalities,
        regions={region: scheme.regions[region] for region in regions},
        scheme=scheme.name,
        labels=scheme.describe(),
        marked="tumour" if "tumour" in scheme.regions else "tissue",
        assumptions=tuple(finding.message for finding in cohort.findings if finding.kind.startswith(kinds)),
    )
