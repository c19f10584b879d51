"""What the report of a network that segments shows of its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from glioseg.config import Recipe
from glioseg.core import Case, Cohort, LabelMap
from glioseg.evaluation.protocol import Evaluation
from glioseg.evaluation.table import Row, rows_from_csv
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.confidence import record_of
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.predictor import Predictor
from glioseg.inference.scoring import probabilities_of
from glioseg.io import load_image, load_labels
from glioseg.preparation.slices import channels_of
from glioseg.preparation.store import PreparedCohort
from glioseg.report.gallery import gallery_item, ranked_cases, telling_slice, tumour_free_slice
from glioseg.report.run import RunPage
from glioseg.report.run_facts import (
    CohortFacts,
    GalleryItem,
    PartCounts,
    PartScores,
    RunFacts,
    SegmentationFacts,
    WeightMap,
    assumptions_of,
)
from glioseg.report.scored_parts import scored_parts
from glioseg.report.segmentation import scored_segmentation_page, segmentation_page
from glioseg.tasks.data import CohortPart, TrainingData
from glioseg.tasks.scoring import ScoredData
from glioseg.tasks.segment.cohort import scheme_of
from glioseg.tasks.segment.ensemble import EnsembleFigures, load_for
from glioseg.tasks.segment.items import borders_of, training_items
from glioseg.tasks.segment.log import followed_in_validation
from glioseg.tasks.segment.predictor import predictor_of
from glioseg.tasks.task import FinishedRun
from glioseg.training.losses import build_loss, weight_map

_N_EACH = 3
_N_FREE = 3
_N_MAPS = 3


def page(facts: RunFacts, run: FinishedRun, figures: Path) -> RunPage:
    """Key figures and sections, predicting the few cases that are shown."""
    segmentation = SegmentationFacts(
        **vars(facts),
        parts=scored_parts(run.folder, Evaluation.from_json, rows_from_csv),
        outlined=_outlined(run.data.prepared),
        followed=followed_in_validation(run.recipe),
        weight_maps=weight_maps(run.recipe, run.data),
    )
    headline = segmentation.headline
    if headline is not None:
        bundle, part = run.bundle(), run.data.part(headline)
        items = gallery(masks_of(predictor_of(bundle, run.device), part), part, segmentation.parts[headline].rows)
        segmentation = replace(segmentation, gallery=items, **_confidence(bundle.info))
    return segmentation_page(segmentation, figures)


def _confidence(info: BundleInfo) -> dict[str, Any]:
    """What the page is told of a fitted confidence."""
    record = record_of(info)
    return {} if record is None else {"confidence_on": record.fitted_on, "confidence_checks": record.checks}


def page_of_scores(facts: RunFacts, scored: ScoredData, ensemble: Ensemble, figures: Path) -> RunPage:
    """The same of data that was scored with one or several networks, without what is of their training."""
    part, part_figures = scored.part, scored.scores.figures
    alone = part_figures.members if isinstance(part_figures, EnsembleFigures) else ()
    evaluation = part_figures.evaluation if isinstance(part_figures, EnsembleFigures) else part_figures
    if not isinstance(evaluation, Evaluation):
        raise TypeError("scores of networks that segment are an Evaluation")
    networks = [
        replace(network, figures=_mean_dice(figures_alone))
        for network, figures_alone in zip(facts.networks, alone, strict=False)
    ]
    segmentation = SegmentationFacts(
        **vars(replace(facts, networks=tuple(networks) or facts.networks)),
        parts={part.name: PartScores(evaluation, scored.scores.rows)},
        outlined=_outlined(part.prepared),
        gallery=gallery(partial(_mask_of, ensemble), part, scored.scores.rows),
    )
    return scored_segmentation_page(segmentation, figures, _mean_dice(evaluation))


def _mean_dice(evaluation: Evaluation) -> dict[str, float | None]:
    return {f"{region} Dice": metrics["dice"].case_mean for region, metrics in evaluation.regions.items()}


def describe(cohort: Cohort, prepared: PreparedCohort, modalities: tuple[str, ...]) -> CohortFacts:
    """The cohort, its regions and the meaning of its labels."""
    scheme = scheme_of(prepared)
    return CohortFacts(
        cohort=cohort.name,
        layout=cohort.layout,
        modalities=modalities,
        regions={name: scheme.regions[name] for name in prepared.region_names},
        scheme=scheme.name,
        labels=scheme.describe(),
        has_mm=all(case.native.has_mm for case in prepared.cases),
        marked="tumour" if is_of_tumour(prepared) else "tissue",
        assumptions=assumptions_of(cohort),
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


def masks_of(predictor: Predictor, part: CohortPart) -> Callable[[Case], LabelMap]:
    """What a network says of the cases of a part, as they are prepared."""
    prepared = {case.id: case for case in part.prepared.cases}
    channels = channels_of(part.prepared, predictor.modalities)

    def mask_of(case: Case) -> LabelMap:
        arrays = prepared[case.id]
        probabilities = probabilities_of(predictor, arrays, channels)
        return predictor.on_native_grid(probabilities, arrays.working, arrays.native).label_map

    return mask_of


def _mask_of(ensemble: Ensemble, case: Case) -> LabelMap:
    """What networks say together of the scans of a case."""
    return ensemble.predict(load_for(ensemble, case))[0].label_map


def gallery(mask_of: Callable[[Case], LabelMap], scored_part: CohortPart, rows: Sequence[Row]) -> list[GalleryItem]:
    """Slices of the best, median and worst cases of a part, and slices without anything that is looked for.

    Of parts of a tumour all count, of tissues the one that is outlined.
    """
    regions = scored_part.prepared.region_names
    sought = _outlined(scored_part.prepared) or regions
    part, scheme = scored_part.name, scheme_of(scored_part.prepared)
    items: list[GalleryItem] = []
    n_free = 0
    for case_id, kind, dice in ranked_cases(rows, sought, _N_EACH):
        case = scored_part.cases[case_id]
        image, masks = load_image(case), (load_labels(case, scheme), mask_of(case))
        reference, predicted = (_inside(labels, sought) for labels in masks)
        common = (image, *masks, regions, dice)
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
