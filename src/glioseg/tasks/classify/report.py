"""What the report of a classifier shows of its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from glioseg.core import PARTS, Case
from glioseg.evaluation.class_protocol import ClassEvaluation, class_rows_from_csv
from glioseg.evaluation.metrics import CLASS_METRICS
from glioseg.evaluation.table import Row
from glioseg.inference.classifier import Classifier, mean_of
from glioseg.io import load_image
from glioseg.preparation.classes import slice_classes
from glioseg.preparation.store import PreparedCohort
from glioseg.report.classification import classification_page, scored_classification_page
from glioseg.report.classified import ClassifiedPicture
from glioseg.report.run import RunPage
from glioseg.report.run_facts import ClassificationFacts, PartScores, RunFacts
from glioseg.report.scored_parts import scored_parts
from glioseg.tasks.classify.ensemble import ClassEnsembleFigures
from glioseg.tasks.classify.picture import picture_of
from glioseg.tasks.classify.predictor import classifier_of
from glioseg.tasks.scoring import ScoredData
from glioseg.tasks.task import FinishedRun

_N_PICTURES = 9
_COMPARED = ("accuracy", "balanced_accuracy", "auc", "log_loss")
"""What networks that are scored together are compared by."""


def page(facts: RunFacts, run: FinishedRun, figures: Path) -> RunPage:
    """Key figures and sections, classifying the pictures that are shown."""
    classification = ClassificationFacts(
        **vars(facts),
        parts=scored_parts(run.folder, ClassEvaluation.from_json, class_rows_from_csv),
        names=run.data.targets.names,
        counts={
            part: _class_counts(run.data.prepared_part(part), run.data.targets.names)
            for part in PARTS
            if getattr(run.data.split, part)
        },
    )
    headline = classification.headline
    if headline is not None:
        bundle = run.bundle()
        classifiers, rows = (classifier_of(bundle, run.device),), classification.parts[headline].rows
        classification = replace(
            classification,
            right=_pictures_of(classifiers, run.data.part(headline).cases, _telling_rows(rows, are_right=True)),
            wrong=_pictures_of(classifiers, run.data.part(headline).cases, _telling_rows(rows, are_right=False)),
            temperatures=(bundle.info.temperature,),
        )
    return classification_page(classification, figures)


def page_of_scores(facts: RunFacts, scored: ScoredData, classifiers: Sequence[Classifier], figures: Path) -> RunPage:
    """The same of data that was scored with one or several networks, without what is of their training."""
    part, part_figures, rows = scored.part, scored.scores.figures, scored.scores.rows
    alone = part_figures.members if isinstance(part_figures, ClassEnsembleFigures) else ()
    evaluation = part_figures.evaluation if isinstance(part_figures, ClassEnsembleFigures) else part_figures
    if not isinstance(evaluation, ClassEvaluation):
        raise TypeError("scores of classifiers are a ClassEvaluation")
    networks = [
        replace(network, figures=_main(figures_alone))
        for network, figures_alone in zip(facts.networks, alone, strict=False)
    ]
    names = scored.infos[0].classes
    classification = ClassificationFacts(
        **vars(replace(facts, networks=tuple(networks) or facts.networks)),
        parts={part.name: PartScores(evaluation, rows)},
        names=names,
        counts={part.name: _class_counts(part.prepared, names)},
        right=_pictures_of(classifiers, part.cases, _telling_rows(rows, are_right=True)),
        wrong=_pictures_of(classifiers, part.cases, _telling_rows(rows, are_right=False)),
        temperatures=tuple(info.temperature for info in scored.infos),
    )
    return scored_classification_page(classification, figures, _main(evaluation))


def _main(evaluation: ClassEvaluation) -> dict[str, float | None]:
    """Accuracy and the like, by the words that tables have for them."""
    return {CLASS_METRICS[name].words: evaluation.items.metrics[name].value for name in _COMPARED}


def _telling_rows(rows: Sequence[Row], *, are_right: bool) -> list[Row]:
    """Wrong ones: the surest first. Right ones: of each class in turn, from the surest to the least sure, evenly."""
    ordered = sorted((row for row in rows if bool(row["right"]) == are_right), key=lambda row: -_confidence(row))
    if not are_right:
        return ordered[:_N_PICTURES]
    classes = dict.fromkeys(str(row["reference"]) for row in ordered)
    share = -(-_N_PICTURES // max(len(classes), 1))
    telling: list[Row] = []
    for name in classes:
        of_class = [row for row in ordered if row["reference"] == name]
        telling += [
            of_class[int(place)] for place in np.unique(np.linspace(0, len(of_class) - 1, share).round().astype(int))
        ]
    return telling[:_N_PICTURES]


def _confidence(row: Row) -> float:
    value = row["confidence"]
    return float(value) if isinstance(value, int | float) else 0.0


def _pictures_of(
    classifiers: Sequence[Classifier], cases: Mapping[str, Case], rows: Sequence[Row]
) -> list[ClassifiedPicture]:
    pictures = []
    for row in rows:
        case = cases[str(row["case"])]
        image = load_image(case, [name for name in classifiers[0].modalities if name in case.images])
        classification = mean_of([classifier.classify(image) for classifier in classifiers])
        shown = int(np.abs(classification.numbers - int(row["slice"] or 1)).argmin())
        picture = picture_of(classifiers, case.id, image, classification, shown)
        pictures.append(replace(picture, reference=str(row["reference"])))
    return pictures


def _class_counts(prepared: PreparedCohort, names: tuple[str, ...]) -> dict[str, int]:
    classes = np.concatenate([slice_classes(case, names) for case in prepared.cases])
    counts = np.bincount(classes, minlength=len(names))
    return {name: int(n) for name, n in zip(names, counts, strict=True)}
