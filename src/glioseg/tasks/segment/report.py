"""What the report of a network that segments shows of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from glioseg.config import Recipe
from glioseg.core import Cohort, LabelMap
from glioseg.evaluation.protocol import Evaluation
from glioseg.evaluation.table import Row, rows_from_csv
from glioseg.inference.predictor import Predictor
from glioseg.inference.scoring import score_prepared
from glioseg.io import load_image
from glioseg.preparation.slices import channels_of
from glioseg.preparation.store import PreparedCohort
from glioseg.report.gallery import gallery_item, ranked_cases, telling_slice, tumour_free_slice
from glioseg.report.run import RunPage
from glioseg.report.run_facts import (
    DataFacts,
    GalleryItem,
    PartCounts,
    PartScores,
    RunFacts,
    SegmentationFacts,
    WeightMap,
)
from glioseg.report.scored_parts import scored_parts
from glioseg.report.segmentation import scored_segmentation_page, segmentation_page
from glioseg.tasks.data import Part, TrainingData
from glioseg.tasks.segment.items import borders_of, training_items
from glioseg.tasks.segment.predictor import predictor_of
from glioseg.tasks.segment.score import scheme_of
from glioseg.tasks.task import FinishedRun, ScoredData
from glioseg.training.losses import build_loss, weight_map

_N_EACH = 3
_N_FREE = 3
_N_MAPS = 3


def page(facts: RunFacts, run: FinishedRun, figures: Path) -> RunPage:
    """Key figures and sections, predicting the few cases that are shown."""
    own = SegmentationFacts(
        **vars(facts),
        parts=scored_parts(run.folder, Evaluation.from_json, rows_from_csv),
        outlined=_outlined(run.data.prepared),
        weight_maps=weight_maps(run.recipe, run.data),
    )
    headline = own.headline
    if headline is not None:
        predictor = predictor_of(run.bundle(), run.device)
        own = replace(own, gallery=gallery(predictor, run.data.part(headline), own.parts[headline].rows))
    return segmentation_page(own, figures)


def page_of_scores(facts: RunFacts, scored: ScoredData, predictor: Predictor, figures: Path) -> RunPage:
    """The same of data that the network did not grow up with, without what is of its training."""
    part, figures_of = scored.part, scored.scores.figures
    if not isinstance(figures_of, Evaluation):
        raise TypeError("scores of a network that segments are an Evaluation")
    own = SegmentationFacts(
        **vars(facts),
        parts={part.name: PartScores(figures_of, scored.scores.rows)},
        outlined=_outlined(part.prepared),
        gallery=gallery(predictor, part, scored.scores.rows),
    )
    return scored_segmentation_page(own, figures)


def describe(cohort: Cohort, prepared: PreparedCohort, modalities: tuple[str, ...]) -> DataFacts:
    """The cohort, its regions and the meaning of its labels."""
    scheme = scheme_of(prepared)
    return DataFacts(
        cohort=cohort.name,
        layout=cohort.layout,
        modalities=modalities,
        regions={name: scheme.regions[name] for name in prepared.region_names},
        scheme=scheme.name,
        labels=scheme.describe(),
        has_mm=all(case.native.has_mm for case in prepared.cases),
        marked="tumour" if is_of_tumour(prepared) else "tissue",
        assumptions=tuple(finding.message for finding in cohort.findings if finding.kind.startswith("assumed")),
    )


def is_of_tumour(prepared: PreparedCohort) -> bool:
    """Whether the regions are parts of a tumour; otherwise they are tissues, which exclude each other."""
    return prepared.scheme is not None and "tumour" in prepared.scheme.regions


def _outlined(prepared: PreparedCohort) -> tuple[str, ...]:
    return () if is_of_tumour(prepared) else prepared.region_names[:1]


def count(prepared: PreparedCohort, cohort: Cohort) -> PartCounts:
    """Patients, cases, slices, and how much of them is marked."""
    cases = prepared.cases
    whose = {case.id: str(case.facts.get("of_patient", case.patient)) for case in cohort.cases}
    union = np.max if is_of_tumour(prepared) else np.sum
    marked = [union(case.region_voxels, axis=1) for case in cases if case.region_voxels is not None]
    n_voxels = sum(int(np.prod(case.working.shape)) for case in cases)
    return PartCounts(
        n_patients=len({whose[case.id] for case in cases}),
        n_cases=len(cases),
        n_slices=sum(case.n_slices for case in cases),
        n_marked_slices=sum(int((voxels > 0).sum()) for voxels in marked),
        marked_share=sum(int(voxels.sum()) for voxels in marked) / n_voxels,
    )


def gallery(predictor: Predictor, scored_part: Part, rows: Sequence[Row]) -> list[GalleryItem]:
    """Slices of the best, median and worst cases of a part, and slices without anything that is looked for.

    Of parts of a tumour all count, of tissues the one that is outlined.
    """
    regions = predictor.regions
    sought = _outlined(scored_part.prepared) or regions
    part, scheme = scored_part.name, scheme_of(scored_part.prepared)
    prepared = {case.id: case for case in scored_part.prepared.cases}
    channels = channels_of(scored_part.prepared, predictor.modalities)
    items: list[GalleryItem] = []
    n_free = 0
    for case_id, kind, dice in ranked_cases(rows, sought, _N_EACH):
        case = scored_part.cases[case_id]
        result = score_prepared(predictor, prepared[case_id], case, channels, scheme)
        image = load_image(case)
        reference, predicted = (_inside(labels, sought) for labels in (result.reference, result.prediction.label_map))
        common = (image, result.reference, result.prediction.label_map, regions, dice)
        items.append(gallery_item(case_id, part, kind, telling_slice(reference, predicted), *common))
        free = tumour_free_slice(image, reference, predicted)
        if free is not None and n_free < _N_FREE:
            n_free += 1
            items.append(gallery_item(case_id, part, "no-tumour", free, *common))
    return items


def _inside(labels: LabelMap, regions: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(X, Y, Z) whether a voxel is in any of the regions."""
    values = {value for region in regions for value in labels.scheme.values_of(region)}
    return np.asarray(np.isin(labels.array, sorted(values)))


def weight_maps(recipe: Recipe, data: TrainingData) -> list[WeightMap]:
    """Of a few cases of the training part the slice where borders count most, for losses that have a border term.

    The weights of its pixels are those of the loss: of their class, where classes are weighted, and the border term.
    """
    maps = borders_of(recipe, data, "train")
    if maps is None:
        return []
    part = data.prepared_part("train")
    loss = build_loss(recipe.loss, training_items(recipe, data)[1])
    shown: list[WeightMap] = []
    for case in part.cases:
        terms = {z: term for z in range(case.n_slices) if (term := maps.at(case.id, z)) is not None}
        regions = case.regions
        if not terms or regions is None:
            continue
        z = max(terms, key=lambda number: float(terms[number].max(axis=0).sum(dtype=np.float64)))
        row = int(terms[z].max(axis=(1, 2)).argmax())
        batch, border = (torch.from_numpy(np.array(array)[None]) for array in (regions[z], terms[z]))
        weights = weight_map(loss, batch, border)
        if weights is not None:
            name = data.prepared.region_names[row]
            shown.append(WeightMap(case.id, z, regions[z, row] > 0, weights[0, row].numpy(), name))
        if len(shown) == _N_MAPS:
            break
    return shown
