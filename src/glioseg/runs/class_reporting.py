"""The report of a classifier, from its run folder and its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from glioseg.config import Recipe, write_recipe
from glioseg.console import Reporter
from glioseg.core import Case
from glioseg.evaluation.class_protocol import class_rows_from_csv
from glioseg.evaluation.table import Row
from glioseg.inference.bundle import load_bundle
from glioseg.inference.classifier import Classifier
from glioseg.io import load_image
from glioseg.networks.build import build_model
from glioseg.networks.classifier import ClassifierOptions, class_levels
from glioseg.networks.summary import n_parameters
from glioseg.preparation.classes import slice_classes
from glioseg.preparation.slices import largest_slice
from glioseg.preparation.store import of_patients
from glioseg.report.classified import ClassifiedPicture
from glioseg.report.run import write_run_report
from glioseg.report.run_facts import (
    ClassFacts,
    DataFacts,
    Level,
    NetworkFacts,
    PartCounts,
    RecipeFacts,
    RunFacts,
)
from glioseg.runs.class_predicting import picture_of
from glioseg.runs.classifying import classifier_of
from glioseg.runs.material import Material, Where
from glioseg.runs.report_facts import environment_of, kept_epoch, scored_parts, split_facts, timing_of
from glioseg.training.log import read_log
from glioseg.training.loop import LOG

_N_PICTURES = 9


def class_report(recipe: Recipe, material: Material, where: Where, reporter: Reporter) -> Path:
    """Write ``report.html`` into the run folder from what stands there, classifying the pictures that are shown.

    Raises:
        FileError: a file of the run is missing or damaged.
    """
    run = where.run
    log = read_log(run / LOG) if (run / LOG).exists() else []
    parts = scored_parts(run, class_rows_from_csv)
    headline = next(iter(parts), None)
    with reporter.progress("Drawing the report") as step:
        bundle = load_bundle(run) if headline is not None else None
        right: list[ClassifiedPicture] = []
        wrong: list[ClassifiedPicture] = []
        if headline is not None and bundle is not None:
            classifier = classifier_of(bundle, where.device)
            chosen = [_chosen(parts[headline].rows, right=one) for one in (True, False)]
            right, wrong = (_shown(classifier, material, headline, rows) for rows in chosen)
        facts = RunFacts(
            recipe=RecipeFacts(recipe.name, write_recipe(recipe), recipe.about, recipe.after, recipe.notes),
            data=_data_facts(material),
            split=split_facts(recipe, material, _counts),
            log=log,
            best_epoch=kept_epoch(log, recipe.train.keep),
            keep=recipe.train.keep,
            n_epochs=recipe.train.epochs,
            score=recipe.train.score,
            parts=parts,
            network=_network(recipe, material),
            environment=environment_of(run),
            timing=timing_of(run, log),
            classes=ClassFacts(
                names=material.classes,
                counts={name: _class_counts(material, name) for name in _SPLIT if getattr(material.split, name)},
                right=right,
                wrong=wrong,
                temperature=1.0 if bundle is None else bundle.info.temperature,
            ),
        )
        return write_run_report(facts, run, progress=step)


_SPLIT = ("train", "val", "test")


def _chosen(rows: Sequence[Row], *, right: bool) -> list[Row]:
    """Wrong ones: the surest first. Right ones: of each class in turn, from the surest to the least sure, evenly."""
    kept = sorted((row for row in rows if bool(row["right"]) == right), key=lambda row: -_confidence(row))
    if not right:
        return kept[:_N_PICTURES]
    classes = dict.fromkeys(str(row["reference"]) for row in kept)
    each = -(-_N_PICTURES // max(len(classes), 1))
    found: list[Row] = []
    for name in classes:
        own = [row for row in kept if row["reference"] == name]
        found += [own[int(place)] for place in np.unique(np.linspace(0, len(own) - 1, each).round().astype(int))]
    return found[:_N_PICTURES]


def _confidence(row: Row) -> float:
    value = row["confidence"]
    return float(value) if isinstance(value, int | float) else 0.0


def _shown(classifier: Classifier, material: Material, part: str, rows: Sequence[Row]) -> list[ClassifiedPicture]:
    cases: dict[str, Case] = dict(material.part(part).cases)
    found = []
    for row in rows:
        case = cases[str(row["case"])]
        image = load_image(case, [name for name in classifier.modalities if name in case.images])
        said = classifier.classify(image)
        one = picture_of((classifier,), case.id, image, said, int(row["slice"] or 1) - 1)
        found.append(
            ClassifiedPicture(
                one.case, one.pixels, one.said, one.confidence, str(row["reference"]), one.looked_at, one.note
            )
        )
    return found


def _data_facts(material: Material) -> DataFacts:
    return DataFacts(
        cohort=material.cohort.name,
        layout=material.cohort.layout,
        modalities=material.modalities,
        regions={},
        has_mm=all(case.native.has_mm for case in material.prepared.cases),
        assumptions=tuple(found.message for found in material.cohort.findings if found.kind.startswith("assumed")),
    )


def _counts(material: Material, part: str) -> PartCounts:
    cases = of_patients(material.prepared, frozenset(material.split.part(part))).cases
    return PartCounts(len({case.patient for case in cases}), len(cases), sum(case.n_slices for case in cases))


def _class_counts(material: Material, part: str) -> dict[str, int]:
    cases = of_patients(material.prepared, frozenset(material.split.part(part))).cases
    found = np.concatenate([slice_classes(case, material.classes) for case in cases])
    counts = np.bincount(found, minlength=len(material.classes))
    return {name: int(n) for name, n in zip(material.classes, counts, strict=True)}


def _network(recipe: Recipe, material: Material) -> NetworkFacts:
    n_channels = recipe.slices.n_channels(len(material.modalities))
    model = build_model(recipe.model, n_channels, len(material.classes), seed=0, size=recipe.prepare.size)
    levels = class_levels(model, n_channels, largest_slice(material.prepared))
    options = recipe.model.model_dump(exclude={"kind", "dims"})
    name = "Residual classifier" if isinstance(recipe.model, ClassifierOptions) else "Sequential network"
    return NetworkFacts(
        name=name,
        levels=tuple(Level(one.kind, one.channels, one.size, words) for one, words in levels),
        n_parameters=n_parameters(model),
        facts={key: str(value) for key, value in options.items()},
    )
