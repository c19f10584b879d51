"""The figures of a part in a few lines, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glioseg.errors import name_some, plural
from glioseg.evaluation.class_protocol import ClassEvaluation
from glioseg.evaluation.classification import ClassFigures
from glioseg.evaluation.contributions import Contribution
from glioseg.evaluation.kinds import KindFigures
from glioseg.evaluation.metric import OwnMetrics
from glioseg.evaluation.protocol import Evaluation
from glioseg.evaluation.published import AsPublished
from glioseg.evaluation.published_classes import ClassesAsPublished
from glioseg.evaluation.score import Interval

_CLASS_METRICS = ("accuracy", "balanced_accuracy", "auc", "recall", "specificity", "precision", "f1", "ece")


def regions_text(
    part: str, evaluation: Evaluation, members: Sequence[tuple[str, Evaluation]] = (), own: OwnMetrics = ()
) -> str:
    """The figures of a part, a line per region.

    Args:
        part: its name.
        evaluation: of the network or of the ensemble.
        members: those of an ensemble, each with what it is called.
        own: metrics of the caller's own, which are shown too.
    """
    lines = [
        f"{part}: {plural(evaluation.n_cases, 'case')} of {plural(evaluation.n_patients, 'patient')}, native grid, "
        f"empty masks: {evaluation.options.empty}{_convention_words(evaluation)}"
    ]
    for region, metrics in evaluation.regions.items():
        dice = metrics["dice"]
        lines.append(
            f"  {region:<7} Dice mean {_figure(dice.case_mean)}{_spread(dice.case_ci95)}"
            f", median {_figure(dice.case_median)}, pooled {_figure(dice.pooled)}"
            f", precision {_figure(metrics['precision'].case_mean)}, recall {_figure(metrics['recall'].case_mean)}"
            + "".join(
                f", {metric.title} {_figure(metrics[metric.name].case_mean, metric.digits)}"
                f"{_of_cases(metrics[metric.name].n_cases, evaluation.n_cases)}"
                for metric in own
                if metric.name in metrics
            )
        )
    if evaluation.kinds is not None:
        lines.append(f"  {_kinds_text(evaluation.kinds)}")
    for region, own_contributions in evaluation.further.contributions.items():
        lines += _contribution_lines(own_contributions, f"{region} Dice")
    for name, member in members:
        alone = (f"{region} {_figure(metrics['dice'].case_mean)}" for region, metrics in member.regions.items())
        lines.append(f"  alone   {name}: Dice mean {', '.join(alone)}")
    return "\n".join([*lines, *_published_lines(evaluation.as_published)])


def _convention_words(evaluation: Evaluation) -> str:
    """Whose rules hold, where they are not ours."""
    name = evaluation.options.convention
    return "" if name == "glioseg" else f", convention: {name}"


def _of_cases(n: int, n_all: int) -> str:
    """Of how many cases a mean is, where some do not count: a missed tumour has no distance."""
    return "" if n == n_all else f" ({n} of {n_all} cases)"


def left_out_line(names: Sequence[str]) -> str:
    """Which cases of other data are not in the figures."""
    return f"  left out: {plural(len(names), 'case')}: {name_some(names)}"


def _kinds_text(figures: KindFigures) -> str:
    recalls = ", ".join(f"{kind} {_figure(value)}" for kind, value in figures.recall.items())
    return f"kind    right in {_figure(figures.accuracy)}{_spread(figures.accuracy_ci95)}, of {recalls}"


def classes_text(
    part: str, evaluation: ClassEvaluation, members: Sequence[tuple[str, ClassEvaluation]] = (), own: OwnMetrics = ()
) -> str:
    """The figures of a classifier on a part, a line per metric; arguments as in ``regions_text``."""
    items = evaluation.items
    counts = f"{plural(items.n_items, evaluation.unit)} of {plural(evaluation.n_cases, 'case')}"
    lines = [f"{part}: {counts}, classes {', '.join(items.classes)}", *_class_lines(items, own)]
    if evaluation.cases is not None:
        lines += [f"  by case ({evaluation.cases.n_items}):", *_class_lines(evaluation.cases, own)]
    lines += _contribution_lines(evaluation.contributions, "accuracy")
    for name, member in members:
        values = (f"{metric} {_figure(member.items.metrics[metric].value)}" for metric in _CLASS_METRICS[:3])
        lines.append(f"  alone   {name}: {', '.join(values)}")
    return "\n".join([*lines, *_published_class_lines(evaluation.as_published)])


def _contribution_lines(contributions: Sequence[Contribution], figure: str) -> Iterator[str]:
    """What becomes of a figure where a modality is removed or permuted, a line for each modality."""
    for name in dict.fromkeys(each.modality for each in contributions):
        words = (
            f"{each.change} {_signed(each.difference)}{_spread(each.ci95, signed=True)}"
            for each in contributions
            if each.modality == name
        )
        yield f"  {figure} with {name} {', '.join(words)}"


def _class_lines(figures: ClassFigures, own: OwnMetrics) -> Iterator[str]:
    for name in (*_CLASS_METRICS, *(metric.name for metric in own)):
        estimate = figures.metrics[name]
        yield f"  {name:<18}{_figure(estimate.value)}{_spread(estimate.ci95)}"


def _published_lines(block: AsPublished | None) -> Iterator[str]:
    if block is None:
        return
    yield _comparison(block.protocol.source, block.not_comparable)
    verdicts = {bool(result.not_comparable) for result in block.results}
    for result in block.results:
        values = ", ".join(
            f"{region} {_figure(value)} (published {_figure(result.figure.values.get(region))})"
            for region, value in result.obtained.items()
        )
        yield f"    {result.figure.name}: {values}{_verdict(result.not_comparable, verdicts)}"
    yield from (f"    not comparable: {reason}" for reason in block.not_comparable)


def _published_class_lines(block: ClassesAsPublished | None) -> Iterator[str]:
    if block is None:
        return
    yield _comparison(block.source, block.not_comparable)
    verdicts = {bool(each.not_comparable) for each in block.figures}
    for each in block.figures:
        words = f"    {each.figure.metric} {_figure(each.obtained)} (published {each.figure.value:.4f}, "
        yield f"{words}{each.figure.where}){_verdict(each.not_comparable, verdicts)}"
    yield from (f"    not comparable: {reason}" for reason in block.not_comparable)


def _comparison(source: str, reasons: tuple[str, ...]) -> str:
    return f"  as published ({source}): {'not comparable' if reasons else 'comparable'}"


def _verdict(reasons: tuple[str, ...], verdicts: set[bool]) -> str:
    """Of one figure, where not all are alike."""
    return "" if len(verdicts) < 2 else "; not comparable" if reasons else "; comparable"


def _spread(interval: Interval, *, signed: bool = False) -> str:
    words = _signed if signed else _figure
    return "" if interval is None else f" (95 % {words(interval[0])} to {words(interval[1])})"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _figure(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
