"""The report of a run, from its folder and its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from glioseg.config import Recipe, write_recipe
from glioseg.console import QUIET, Reporter
from glioseg.evaluation.table import Row, rows_from_csv
from glioseg.inference.activation import n_logits
from glioseg.inference.bundle import load_bundle
from glioseg.inference.predictor import Predictor
from glioseg.inference.scoring import score_prepared
from glioseg.io import load_image
from glioseg.networks.build import build_model
from glioseg.networks.summary import n_parameters, network_name, option_facts, summarise_levels
from glioseg.preparation.border_cache import border_maps
from glioseg.preparation.slices import channels_of, largest_slice
from glioseg.preparation.store import of_patients
from glioseg.report.gallery import gallery_item, ranked_cases, telling_slice, tumour_free_slice
from glioseg.report.run import write_run_report
from glioseg.report.run_facts import (
    Baseline,
    DataFacts,
    GalleryItem,
    Level,
    NetworkFacts,
    PartCounts,
    RecipeFacts,
    RunFacts,
    WeightMap,
)
from glioseg.runs.class_reporting import class_report
from glioseg.runs.material import Material, Where
from glioseg.runs.predicting import predictor_of
from glioseg.runs.report_facts import environment_of, kept_epoch, scored_parts, split_facts, timing_of
from glioseg.training.log import read_log
from glioseg.training.loop import LOG

_N_EACH = 3
_N_FREE = 3
_N_MAPS = 3


def report(
    recipe: Recipe,
    material: Material,
    where: Where,
    reporter: Reporter = QUIET,
    baseline: Baseline | None = None,
) -> Path:
    """Write ``report.html`` into the run folder from what stands there, predicting the few cases that are shown.

    Raises:
        FileError: a file of the run is missing or damaged.
    """
    if material.classes:
        return class_report(recipe, material, where, reporter)
    run = where.run
    log = read_log(run / LOG) if (run / LOG).exists() else []
    parts = scored_parts(run, rows_from_csv)
    headline = next(iter(parts), None)
    with reporter.progress("Drawing the report") as step:
        gallery: list[GalleryItem] = []
        if headline is not None:
            predictor = predictor_of(load_bundle(run), where.device)
            gallery = _gallery(predictor, material, headline, parts[headline].rows)
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
            gallery=gallery,
            outlined=() if _is_of_tumour(material) else material.prepared.region_names[:1],
            weight_maps=_weight_maps(recipe, material),
            network=_network(recipe, material),
            environment=environment_of(run),
            timing=timing_of(run, log),
            baseline=baseline,
        )
        return write_run_report(facts, run, progress=step)


def _data_facts(material: Material) -> DataFacts:
    scheme = material.prepared.scheme
    assert scheme is not None
    return DataFacts(
        cohort=material.cohort.name,
        layout=material.cohort.layout,
        modalities=material.modalities,
        regions={name: scheme.regions[name] for name in material.prepared.region_names},
        scheme=scheme.name,
        labels=scheme.describe(),
        has_mm=all(case.native.has_mm for case in material.prepared.cases),
        marked="tumour" if _is_of_tumour(material) else "tissue",
        assumptions=tuple(found.message for found in material.cohort.findings if found.kind.startswith("assumed")),
    )


def _is_of_tumour(material: Material) -> bool:
    """Whether the regions are parts of a tumour; otherwise they are tissues, which exclude each other."""
    scheme = material.prepared.scheme
    return scheme is not None and "tumour" in scheme.regions


def _counts(material: Material, part: str) -> PartCounts:
    cases = of_patients(material.prepared, frozenset(material.split.part(part))).cases
    union = np.max if _is_of_tumour(material) else np.sum
    marked = [union(case.region_voxels, axis=1) for case in cases if case.region_voxels is not None]
    n_voxels = sum(int(np.prod(case.working.shape)) for case in cases)
    return PartCounts(
        n_patients=len({case.patient for case in cases}),
        n_cases=len(cases),
        n_slices=sum(case.n_slices for case in cases),
        n_marked_slices=sum(int((each > 0).sum()) for each in marked),
        marked_share=sum(int(each.sum()) for each in marked) / n_voxels,
    )


def _gallery(predictor: Predictor, material: Material, part: str, rows: Sequence[Row]) -> list[GalleryItem]:
    regions = predictor.regions
    main = regions[0]
    shown = material.part(part)
    prepared = {case.id: case for case in shown.prepared.cases}
    channels = channels_of(material.prepared, predictor.modalities)
    dice = {str(row["case"]): row[f"{main}.dice"] for row in rows}
    items: list[GalleryItem] = []
    n_free = 0
    for case_id, kind in ranked_cases(rows, main, _N_EACH):
        case = shown.cases[case_id]
        found = score_prepared(predictor, prepared[case_id], case, channels, predictor.scheme)
        image = load_image(case)
        values = found.reference.scheme.values_of(main)
        reference = np.isin(found.reference.array, values)
        predicted = np.isin(found.prediction.label_map.array, found.prediction.label_map.scheme.values_of(main))
        value = dice[case_id]
        number = value if isinstance(value, float) else None
        common = (image, found.reference, found.prediction.label_map, regions, number)
        items.append(gallery_item(case_id, part, kind, telling_slice(reference, predicted), *common))
        free = tumour_free_slice(image, reference, predicted)
        if free is not None and n_free < _N_FREE:
            n_free += 1
            items.append(gallery_item(case_id, part, "no-tumour", free, *common))
    return items


def _weight_maps(recipe: Recipe, material: Material) -> list[WeightMap]:
    if not recipe.loss.needs_border:
        return []
    part = of_patients(material.prepared, frozenset(material.split.part("train")))
    maps = border_maps(part, recipe.loss.border)
    found = []
    for case in part.cases:
        for z in range(case.n_slices):
            term = maps.at(case.id, z)
            regions = case.regions
            if term is None or regions is None:
                continue
            row = int(term.max(axis=(1, 2)).argmax())
            name = material.prepared.region_names[row]
            found.append(WeightMap(case.id, z, regions[z, row] > 0, term[row].astype(np.float32), name))
            break
        if len(found) == _N_MAPS:
            break
    return found


def _network(recipe: Recipe, material: Material) -> NetworkFacts:
    n_channels = recipe.slices.n_channels(len(material.modalities))
    with torch.random.fork_rng(devices=[]):
        wanted = n_logits(len(material.prepared.region_names), recipe.predict.activation)
        model = build_model(recipe.model, n_channels, wanted, seed=0)
    size = largest_slice(material.prepared) if recipe.patches is None else recipe.patches.voxels
    levels = summarise_levels(model, size)
    return NetworkFacts(
        name=network_name(recipe.model),
        levels=tuple(
            Level(one.kind, one.channels, one.size, one.words, one.attention, one.sources, one.joined, one.column)
            for one in levels
        ),
        n_parameters=n_parameters(model),
        facts=option_facts(recipe.model),
    )
