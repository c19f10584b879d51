"""A model card from a file: what people wrote, and figures from evaluations that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from glioseg.errors import FileError
from glioseg.evaluation.case_table import CaseTable, case_table
from glioseg.evaluation.class_protocol import ClassEvaluation
from glioseg.evaluation.protocol import LEVEL, EvaluateOptions, Evaluation
from glioseg.evaluation.score import EmptyRule
from glioseg.evaluation.statistics import bootstrap_intervals, spread
from glioseg.frozen import Frozen
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.card import Card, Figure, GroupFigure
from glioseg.io.text import read_text, read_toml
from glioseg.options import explained
from glioseg.report.scored_parts import figures_in

_TOLD_OF_CLASSES = ("accuracy", "balanced_accuracy", "auc")


class CardEvaluation(Frozen):
    """A table ``[[evaluations]]`` of the file: figures that are read rather than typed.

    Attributes:
        file: an ``evaluation-*.json`` or a table ``cases-*.csv``, from the card's folder; a table may be that of
            several folds, one below the other.
        data: what the data set is called.
        part: of it that was scored.
        metric: one of the evaluation's; of each region or, for a classifier, over all classes.
        empty: of a table: what counts where a mask is empty (an evaluation has its own rule).
        only: modalities that were shown, the others being hidden; empty where all were.
        note: what a reader must know of these figures.
    """

    file: str
    data: str
    part: str = "test"
    metric: str = "dice"
    empty: EmptyRule = "skip"
    only: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class WrittenCard:
    """What stands in the file: the card, and whether the heads that the network was trained on have their skull.

    Pictures have no millimetres, by which that could be seen.
    """

    card: Card
    skull: bool | None = None


def read_card(path: Path) -> WrittenCard:
    """The card in a TOML file: the fields of ``Card``, ``[[evaluations]]`` whose figures are added to its own, and
    ``skull``, true or false.

    Raises:
        FileError: no such file, not a card, or an evaluation that cannot be read.
    """
    values = read_toml(path)
    try:
        evaluations = [CardEvaluation.model_validate(table) for table in values.pop("evaluations", ())]
        skull = TypeAdapter(bool | None).validate_python(values.pop("skull", None), strict=True)
        card = Card.model_validate(values)
    except ValidationError as error:
        raise FileError("not a model card", path=path, found=explained(error, Card)) from error
    figures = [figure for evaluation in evaluations for figure in _figures(evaluation, path.parent)]
    return WrittenCard(card.model_copy(update={"figures": (*card.figures, *figures)}), skull)


def with_digest(card: Card, info: BundleInfo) -> Card:
    """The card with the digest of the cohort that the bundle was trained on, where it does not say one itself."""
    digest = info.provenance.get("data_digest")
    if digest is None:
        return card
    data = tuple(
        facts.model_copy(update={"digest": str(digest)}) if facts.role == "training" and not facts.digest else facts
        for facts in card.data
    )
    return card.model_copy(update={"data": data})


def figures_of_part(run: Path, part: str, data: str) -> tuple[Figure, ...]:
    """The figures of a run's part that are told in a sentence: Dice by region, or accuracy and its like over classes.

    Args:
        run: the folder, which holds ``evaluation-PART.json``.
        part: its name.
        data: what the data set is called.

    Raises:
        FileError: the evaluation is missing or damaged.
    """
    path = run / f"evaluation-{part}.json"
    scored = figures_in(path, _either)
    common = {"data": data, "part": part, "note": ""}
    if isinstance(scored, Evaluation):
        return tuple(_of_regions(scored, "dice", path, common))
    return tuple(figure for metric in _TOLD_OF_CLASSES for figure in _of_classes(scored, metric, path, common))


def subgroups_of_part(run: Path, part: str) -> tuple[GroupFigure, ...]:
    """The Dice of a run's part by size of the tumour and by what is known of the patients; none of a classifier.

    Raises:
        FileError: the evaluation is missing or damaged.
    """
    scored = figures_in(run / f"evaluation-{part}.json", _either)
    if not isinstance(scored, Evaluation):
        return ()
    return tuple(
        GroupFigure(
            part=part,
            of=region,
            fact=group.fact,
            group=group.group,
            value=group.mean,
            ci95=group.ci95,
            n_patients=group.n_patients,
            detectable=group.detectable,
        )
        for region, groups in scored.further.subgroups.items()
        for group in groups
    )


def _either(block: Mapping[str, Any]) -> Evaluation | ClassEvaluation:
    return Evaluation.from_json(block) if "regions" in block else ClassEvaluation.from_json(block)


def _figures(evaluation: CardEvaluation, folder: Path) -> Iterator[Figure]:
    path = folder / evaluation.file
    about = evaluation
    common = {"data": about.data, "part": about.part, "only": about.only, "note": about.note}
    if path.suffix == ".csv":
        yield from _of_table(case_table(read_text(path), str(path)), evaluation.metric, evaluation.empty, common)
        return
    scored = figures_in(path, _either)
    if isinstance(scored, Evaluation):
        yield from _of_regions(scored, evaluation.metric, path, common)
    else:
        yield from _of_classes(scored, evaluation.metric, path, common)


def _of_regions(scored: Evaluation, metric: str, path: Path, common: Mapping[str, Any]) -> Iterator[Figure]:
    for region, metrics in scored.regions.items():
        if metric not in metrics:
            raise _unknown(metric, list(metrics), path)
        summary = metrics[metric]
        if summary.case_mean is not None:
            yield Figure(
                of=region,
                metric=metric,
                value=summary.case_mean,
                ci95=summary.case_ci95,
                n_cases=summary.n_cases,
                **common,
            )
    if scored.kinds is not None:
        kinds = scored.kinds
        yield Figure(
            of="kind",
            metric="accuracy",
            value=kinds.accuracy,
            ci95=kinds.accuracy_ci95,
            n_cases=scored.n_cases,
            **common,
        )


def _of_classes(scored: ClassEvaluation, metric: str, path: Path, common: Mapping[str, Any]) -> Iterator[Figure]:
    items = scored.items
    if metric not in items.metrics:
        raise _unknown(metric, list(items.metrics), path)
    estimate = items.metrics[metric]
    if estimate.value is not None:
        yield Figure(metric=metric, value=estimate.value, ci95=estimate.ci95, n_cases=items.n_items, **common)


def _of_table(table: CaseTable, metric: str, rule: EmptyRule, common: Mapping[str, Any]) -> Iterator[Figure]:
    """Means over the rows, with the intervals of an evaluation."""
    options = EvaluateOptions(empty=rule)
    patients = [str(row["patient"]) for row in table.rows]
    for group in table.groups:
        table.metric(metric, group, "the table")
        column = table.column(group, metric, rule)
        over_cases = None if column is None else spread(column)
        if column is None or over_cases is None or over_cases.mean is None:
            continue
        (interval,) = bootstrap_intervals(
            column[:, None], patients, n_resamples=options.n_resamples, level=LEVEL, seed=options.seed
        )
        yield Figure(of=group, metric=metric, value=over_cases.mean, ci95=interval, n_cases=over_cases.n, **common)


def _unknown(metric: str, known: list[str], path: Path) -> FileError:
    return FileError(f"the evaluation has no metric {metric}", path=path, expected=f"one of {', '.join(known)}")
