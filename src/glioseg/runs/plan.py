"""``glioseg plan``: a recipe proposed from a cohort and the memory at hand; and patches sized when a run begins."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Table

from glioseg.cohorts.checks.measure import distribution, planes, tissue
from glioseg.config import FORMAT, Recipe, build_recipe
from glioseg.console import QUIET, Reporter, Step
from glioseg.core import Case, Cohort, LabelScheme
from glioseg.errors import FileError, LabelError, OptionError
from glioseg.io import load_image, load_labels
from glioseg.io.files import require_place, write_text
from glioseg.machine.device import memory_at_hand, pick_device, uses_bf16
from glioseg.networks.build import dims_of
from glioseg.networks.unet import UNetSettings
from glioseg.planning.memory import Kind, Machine, PlannedNetwork, patch_for
from glioseg.planning.proposal import Choice, CohortFingerprint, RecipeProposal
from glioseg.planning.rules import propose
from glioseg.preparation.case import prepare_arrays
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import require_depth
from glioseg.runs import run_folder
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data, read
from glioseg.tasks.data import TrainingData
from glioseg.tasks.segment.cohort import scheme_of, with_references
from glioseg.training.checkpoint import LATEST

_MOST_CASES = 24
_BOX = PrepareOptions(crop_to_brain=True, normalise="min-max", brain_only=False)


@dataclass(frozen=True)
class PlanResult:
    """A proposed recipe, and what it was proposed from."""

    proposal: RecipeProposal
    fingerprint: CohortFingerprint
    machine: Machine
    recipe: Path

    def to_json(self) -> dict[str, Any]:
        """What ``plan --json`` prints."""
        return {
            "recipe": str(self.recipe),
            "fingerprint": asdict(self.fingerprint),
            "machine": asdict(self.machine),
            "step_gb": round(self.proposal.n_bytes / 1e9, 2),
            "choices": [asdict(choice) for choice in self.proposal.choices],
        }


def plan(
    data: Data | Cohort, out: Path, *, memory_gb: float | None = None, device: str = "auto", reporter: Reporter = QUIET
) -> PlanResult:
    """Look at a cohort, propose a recipe and write it, with a reason beside each setting.

    Args:
        data: the cohort; it needs references.
        out: the recipe's file, which must not be there yet.
        memory_gb: to plan for, in 10^9 bytes; None for what the device has free.
        device: to plan for.
        reporter: shows progress.

    Raises:
        FileError: there is a file already, or it cannot be written.
        OptionError: too little memory for any network.
        LabelError: no references, or their meaning is not known.
    """
    if out.exists():
        raise FileError(
            "there is a file already, perhaps with changes of yours", path=out, remedy="Name another: `--out`"
        )
    require_place(out)
    machine = machine_of(device, memory_gb)
    cohort = with_references(read(data, reporter), None, reporter)
    with reporter.progress("Looking at cases") as step:
        fingerprint = fingerprint_of(cohort, step)
    proposal = propose(fingerprint, machine)
    text = as_toml(proposal, cohort.name, fingerprint)
    build_recipe(tomlkit.parse(text).unwrap(), (), str(out))
    write_text(out, text)
    return PlanResult(proposal, fingerprint, machine, out)


def machine_of(device: str, memory_gb: float | None = None, n_devices: int = 1) -> Machine:
    """What a device has; processes that share a CPU share its memory."""
    torch_device = pick_device(device)
    memory = memory_at_hand(torch_device) if memory_gb is None else memory_gb
    n_sharing = n_devices if torch_device.type == "cpu" else 1
    return Machine(memory / n_sharing, cast(Kind, torch_device.type), uses_bf16("auto", torch_device))


def sized(recipe: Recipe, data: TrainingData, options: RunOptions) -> Recipe:
    """The recipe with the size of its patches decided; volumes that are too thin for them are refused.

    A run that is continued keeps the size with which it was begun, whatever memory there is by now.

    Raises:
        GeometryError: a case is too thin.
        OptionError: the memory is not enough, or the network is not one that is planned for.
    """
    patches = recipe.patches
    if patches is None:
        return recipe
    if patches.size == "auto":
        size = _begun_with(options) or _patch_for(recipe, data, options)
        patches = patches.model_copy(update={"size": size})
        recipe = recipe.model_copy(update={"patches": patches})
    for case in data.prepared.cases:
        require_depth(case.n_slices, patches.voxels, case.id)
    return recipe


def _begun_with(options: RunOptions) -> tuple[int, ...] | None:
    if options.restart or not (options.run / LATEST).exists():
        return None
    patches = run_folder.RunFolder(options.run).recipe.patches
    return None if patches is None or patches.size == "auto" else patches.size


def _patch_for(recipe: Recipe, data: TrainingData, options: RunOptions) -> tuple[int, ...]:
    model = recipe.model
    if not isinstance(model, UNetSettings):
        raise OptionError(
            "patches are sized for U-Nets only",
            found=f"model.kind = {model.kind}",
            remedy="Give three numbers, such as `--set patches.size=[96,96,96]`",
        )
    network = PlannedNetwork(
        dims=dims_of(model),
        width=model.width,
        depth=model.depth,
        n_channels=len(data.modalities),
        n_regions=len(data.prepared.region_names),
        deep_supervision=model.deep_supervision,
    )
    shapes = np.median([case.working.shape[::-1] for case in data.prepared.cases], axis=0)
    z, y, x = (round(float(n)) for n in shapes)
    n_items = -(-recipe.train.batch_size // (recipe.train.accumulate * options.n_devices))
    return patch_for((z, y, x), network, n_items, machine_of(options.device, n_devices=options.n_devices))


# -- the fingerprint ---------------------------------------------------------------------------------------------------


def fingerprint_of(cohort: Cohort, step: Step = lambda n_done, n_total: None) -> CohortFingerprint:
    """Look at up to 24 cases, spread evenly over the cohort; errors as of reading them."""
    scheme = scheme_of(cohort)
    places = np.unique(np.linspace(0, len(cohort.cases) - 1, min(len(cohort.cases), _MOST_CASES)).round().astype(int))
    regions = scheme.default_regions
    cases = []
    for number, place in enumerate(places, start=1):
        cases.append(_measure(cohort.cases[place], scheme, regions))
        step(number, len(places))
    shares = {name: [case.region_shares[name] for case in cases if case.region_shares[name] > 0] for name in regions}
    has_mm = all(case.spacing_mm is not None for case in cases)
    outliers = [[case.outliers[name] for case in cases if name in case.outliers] for name in cohort.modalities]
    return CohortFingerprint(
        n_patients=len({case.patient for case in cohort.cases}),
        modalities=cohort.modalities,
        regions=regions,
        shapes=tuple(case.shape for case in cases),
        spacings_mm=tuple(case.spacing_mm for case in cases if case.spacing_mm is not None) if has_mm else None,
        box_share=float(np.median([case.box_share for case in cases])),
        dark_share=float(np.median([case.dark_share for case in cases])),
        outlier_ratio=max((float(np.median(values)) for values in outliers if values), default=1.0),
        region_shares={name: float(np.median(values)) for name, values in shares.items() if values},
    )


@dataclass(frozen=True)
class _CaseMeasures:
    """One case; axes slices, rows, columns. See ``CohortFingerprint`` for the rest."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float] | None
    box_share: float
    dark_share: float
    outliers: Mapping[str, float]
    region_shares: Mapping[str, float]


def _measure(case: Case, scheme: LabelScheme, regions: Sequence[str]) -> _CaseMeasures:
    image, labels = load_image(case), load_labels(case, scheme)
    box = prepare_arrays(image, labels, image.modalities, regions, _BOX)
    if box.regions is None:
        raise LabelError(f"case {case.id} has no reference", remedy="A recipe is proposed from cases with masks")
    stacks = {name: planes(image.array[row]) for row, name in enumerate(image.modalities)}
    brain, _ = tissue(stacks, image.grid.shape[::-1])
    x, y, z = box.working.shape
    spacing = box.working.spacing_mm if box.working.has_mm else None
    return _CaseMeasures(
        shape=(z, y, x),
        spacing_mm=None if spacing is None else (spacing[2], spacing[1], spacing[0]),
        box_share=x * y * z / brain.size,
        dark_share=max(1 - int(brain.sum()) / (x * y * z), 0.0),
        outliers={name: _outliers(voxels, brain) for name, voxels in stacks.items()},
        region_shares=dict(zip(regions, box.regions.mean(axis=(0, 2, 3)).tolist(), strict=True)),
    )


def _outliers(voxels: npt.NDArray[Any], brain: npt.NDArray[np.bool_]) -> float:
    """How far above the median the largest value is, in distances of the quantile 0.999 from it."""
    values = distribution(voxels, brain)
    if values is None:
        return 1.0
    middle, high = values.quantiles[4], values.quantiles[-1]
    return (values.maximum - middle) / (high - middle) if high > middle else 1.0


# -- the file ----------------------------------------------------------------------------------------------------------


def as_toml(proposal: RecipeProposal, cohort: str, fingerprint: CohortFingerprint) -> str:
    """The recipe as a person reads it: each setting below the reason for it."""
    document = tomlkit.document()
    for line in (f"Proposed by glioseg plan for {cohort}. Change what you know better: this file is all there is.",):
        document.add(tomlkit.comment(line))
    document.add("format", tomlkit.item(FORMAT))
    document.add("name", tomlkit.item(f"{cohort}-{proposal.network.dims}d"))
    document.add("about", tomlkit.item(f"{', '.join(fingerprint.regions)} on {cohort}, proposed by its fingerprint"))
    for choice in proposal.choices:
        _add(document, choice)
    return tomlkit.dumps(document)


def _add(document: TOMLDocument, choice: Choice) -> None:
    part, _, name = choice.setting.partition(".")
    if part not in document:
        document.add(part, tomlkit.table())
    table = cast(Table, document[part])
    for line in textwrap.wrap(choice.why, 116):
        table.add(tomlkit.comment(line))
    value = choice.value
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update(value)
        table.add(name, inline)
    else:
        table.add(name, tomlkit.item(value))
