"""The page of a network that segments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from glioseg.report.parts import (
    contributions,
    run_cases,
    run_further,
    run_kinds,
    run_lesions,
    run_masks,
    run_results,
    run_scans,
    run_setup,
    run_training,
)
from glioseg.report.run import RunPage
from glioseg.report.run_facts import SegmentationFacts


def scored_segmentation_page(facts: SegmentationFacts, figures: Path, together: Mapping[str, float | None]) -> RunPage:
    """Figures, scans and cases of data that was scored; ``together`` as ``run_setup.members``."""
    return RunPage(
        run_results.tiles(facts),
        (
            partial(run_results.results, facts),
            partial(run_setup.members, facts, together),
            partial(run_kinds.kinds, facts, figures),
            partial(run_scans.gallery, facts, figures),
            partial(run_scans.triptychs, facts, figures),
            partial(run_cases.distributions, facts, figures),
            partial(run_masks.surfaces, facts, figures),
            partial(run_masks.lesions, facts, figures),
            partial(run_lesions.detection, facts, figures),
            partial(run_further.subgroups, facts, figures),
            partial(run_further.reliability, facts, figures),
            partial(contributions.contributions, facts),
            partial(run_cases.case_table, facts),
            partial(run_setup.scored_data, facts),
            partial(run_setup.conventions, facts),
        ),
    )


def segmentation_page(facts: SegmentationFacts, figures: Path) -> RunPage:
    """Key figures, and the sections in reading order; their pictures are saved into ``figures``."""
    return RunPage(
        run_results.tiles(facts),
        (
            partial(run_results.results, facts),
            partial(run_kinds.kinds, facts, figures),
            partial(run_results.published, facts),
            partial(run_scans.gallery, facts, figures),
            partial(run_scans.triptychs, facts, figures),
            partial(run_training.training, facts, figures),
            partial(run_cases.distributions, facts, figures),
            partial(run_masks.surfaces, facts, figures),
            partial(run_masks.lesions, facts, figures),
            partial(run_lesions.detection, facts, figures),
            partial(run_further.subgroups, facts, figures),
            partial(run_further.reliability, facts, figures),
            partial(contributions.contributions, facts),
            partial(run_further.confidence, facts),
            partial(run_cases.case_table, facts),
            partial(run_training.epochs, facts),
            partial(run_setup.data, facts),
            partial(run_setup.network, facts, figures),
            partial(run_scans.weight_maps, facts, figures),
            partial(run_setup.recipe, facts),
            partial(run_setup.methods, facts),
            partial(run_setup.machine, facts),
            partial(run_setup.conventions, facts),
        ),
    )
