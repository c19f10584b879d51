"""From the parts of a recipe to a training in one or several processes."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.multiprocessing.spawn import ProcessRaisedException

from glioseg.core import Cohort
from glioseg.errors import OptionError
from glioseg.evaluation.classification import PickingMetric
from glioseg.evaluation.overlap import OverlapMetric
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.inference.activation import n_logits
from glioseg.inference.bundle import load_bundle
from glioseg.inference.classifier import Classifier
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Predictor
from glioseg.machine.device import pick_device, uses_bf16
from glioseg.networks.build import ModelOptions, build_model, is_classifier
from glioseg.preparation.border_cache import border_maps
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.slices import SliceOptions, largest_slice
from glioseg.preparation.store import PreparedCohort, of_patients
from glioseg.training.augment import AugmentOptions, ChannelLayout, augment
from glioseg.training.classify import ClassLoss, ClassValidator, augment_pictures, class_items, class_loss
from glioseg.training.events import EventLog
from glioseg.training.items import PatchItems, SliceItems, patch_items, slice_items
from glioseg.training.loop import Job, Outcome, TrainingError, fit, progress_of
from glioseg.training.losses import ClassWeights, Loss, LossOptions, balanced_class_weights, build_loss
from glioseg.training.options import TrainOptions
from glioseg.training.transfer import take_weights
from glioseg.training.validation import Validator

_OURS = re.compile(r"^glioseg\.[\w.]*Error: (.*)\Z", re.MULTILINE | re.DOTALL)


class Watcher(Protocol):
    """Whoever watches a training; lives in the first process. A reason that it gives stops the training cleanly."""

    def on_step(self, done: int, total: int) -> str | None:
        """Steps done, of the steps of the whole training."""

    def on_case(self, done: int, total: int) -> None:
        """Cases validated, of those of the validation part."""

    def on_epoch(self, row: Mapping[str, Any]) -> str | None:
        """A row of the log."""


@dataclass(frozen=True)
class Plan:
    """Everything that a training needs; plain data, so that it can be sent to other processes.

    Args:
        cohort: for the references on their native grids.
        prepared: the cohort, prepared.
        train: patients of the training part.
        val: patients of the validation part.
        modalities: channels of the network, in order.
        classes: of a classifier, in index order; empty for a network that segments.
        initial: a run or bundle whose weights it starts from; None for weights drawn from the seed.
        identity: what must not change between the parts of a training, as plain values.
        run: the run folder.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        n_devices: processes.
        model, loss, augment, slices, train_options, predict, evaluate: the recipe's parts.
        patches: of a 3-D network; None for a network of slices.
        tensorboard: also write the log as events for TensorBoard, into ``run/tensorboard``.
    """

    cohort: Cohort
    prepared: PreparedCohort
    train: frozenset[str]
    val: frozenset[str]
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    initial: Path | None
    identity: Mapping[str, Any]
    run: Path
    device: str
    n_devices: int
    model: ModelOptions
    loss: LossOptions
    augment: AugmentOptions
    slices: SliceOptions
    train_options: TrainOptions
    predict: PredictOptions
    evaluate: EvaluateOptions
    patches: PatchOptions | None = None
    tensorboard: bool = False


def run_training(plan: Plan, watch: Callable[[], Watcher]) -> Outcome:
    """Train as the plan says, in this process or, for several devices, in spawned ones.

    Args:
        plan: the training.
        watch: makes the watcher, in the process where it is needed.

    Raises:
        OptionError: several devices that this machine does not have.
        ResumeError, TrainingError, FileError: see ``loop.fit``.
    """
    fabric = make_fabric(plan.device, plan.n_devices, plan.train_options)
    if plan.train_options.deterministic:
        _be_deterministic(fabric.device)
    if plan.n_devices == 1:
        return _train(fabric, plan, watch)
    # Fabric looks through arguments and results for modules and tensors, and stumbles over frozen dataclasses: so the
    # plan goes inside the function, and the outcome comes back as plain values
    try:
        kept = fabric.launch(partial(_train_together, plan=plan, watch=watch))
    except ProcessRaisedException as error:
        raise _said_by_process(error) from error
    return Outcome(kept["finished"], kept["reason"], progress_of(kept["progress"]))


def make_fabric(device: str, n_devices: int, options: TrainOptions) -> Fabric:
    """Devices, precision and processes."""
    chosen = pick_device(device)
    if n_devices > 1 and chosen.type == "cuda" and n_devices > torch.cuda.device_count():
        raise OptionError(
            "this machine has fewer GPUs than asked for", found=torch.cuda.device_count(), expected=n_devices
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces what doctor and reports say
    several = n_devices > 1 or chosen.type == "cpu"
    return Fabric(
        accelerator=chosen.type,
        devices=n_devices if several else [chosen.index or 0],
        precision="bf16-mixed" if uses_bf16(options.precision, chosen) else "32-true",
        strategy="ddp_spawn" if n_devices > 1 else "auto",
    )


def _be_deterministic(device: torch.device) -> None:
    if device.type == "cuda":
        # cuBLAS repeats only with a fixed workspace, which it reads from here at its first use
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def _train(fabric: Fabric, plan: Plan, watch: Callable[[], Watcher]) -> Outcome:
    watcher = watch()
    events = EventLog(plan.run) if plan.tensorboard and fabric.is_global_zero else None
    try:
        make_job = _classifying_job if is_classifier(plan.model) else _job
        outcome = fit(fabric, _model(plan), make_job(fabric, plan, watcher, events))
        if events is not None:
            events.close()
        return outcome
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _train_together(fabric: Fabric, plan: Plan, watch: Callable[[], Watcher]) -> dict[str, Any]:
    return asdict(_train(fabric, plan, watch))


def _said_by_process(error: ProcessRaisedException) -> Exception:
    """Our own errors cross the border of a process as the last part of a printed traceback; others stay as they are."""
    found = _OURS.findall(str(error))
    return TrainingError(found[-1].strip()) if found else error


def _model(plan: Plan) -> nn.Module:
    n_channels = plan.slices.n_channels(len(plan.modalities))
    n_targets = len(plan.classes) or n_logits(len(plan.prepared.region_names), plan.predict.activation)
    size = plan.prepared.options.size
    model = build_model(plan.model, n_channels, n_targets, seed=plan.train_options.seed, size=size)
    if plan.initial is not None:
        take_weights(model, load_bundle(plan.initial))
    return model


def _job(fabric: Fabric, plan: Plan, watcher: Watcher, events: EventLog | None = None) -> Job:
    part = of_patients(plan.prepared, plan.train)
    items, weights = _items(plan, part)
    return Job(
        options=plan.train_options,
        items=items,
        augment=partial(augment, options=plan.augment, channels=_channel_layout(plan)),
        loss=build_loss(plan.loss, weights, device=fabric.device),
        validate=_validator(fabric, plan, items.channels, build_loss(plan.loss, weights), watcher),
        identity=plan.identity,
        run=plan.run,
        on_epoch=_on_epoch(watcher, events),
        on_step=watcher.on_step,
    )


def _on_epoch(watcher: Watcher, events: EventLog | None) -> Callable[[Mapping[str, Any]], str | None]:
    """A row of the log goes to TensorBoard, where that is wanted, and to the watcher, who may ask for a stop."""

    def on_epoch(row: Mapping[str, Any]) -> str | None:
        if events is not None:
            events.on_epoch(row)
        return watcher.on_epoch(row)

    return on_epoch


def _items(plan: Plan, part: PreparedCohort) -> tuple[SliceItems | PatchItems, ClassWeights | None]:
    """What batches are taken from, and the class weights of its voxels where the loss has them."""
    if plan.patches is not None:
        return patch_items(part, plan.patches, plan.modalities), None
    borders = border_maps(part, plan.loss.border) if plan.loss.needs_border else None
    items = slice_items(part, plan.slices, plan.modalities, borders)
    return items, _class_weights(items) if plan.loss.needs_class_weights else None


def _classifying_job(fabric: Fabric, plan: Plan, watcher: Watcher, events: EventLog | None = None) -> Job:
    items = class_items(of_patients(plan.prepared, plan.train), plan.slices, plan.modalities, plan.classes)
    return Job(
        options=plan.train_options,
        items=items,
        augment=partial(augment_pictures, options=plan.augment, channels=_channel_layout(plan)),
        loss=class_loss(plan.loss, items, device=fabric.device),
        validate=_class_validator(fabric, plan, items.channels, class_loss(plan.loss, items), watcher),
        identity=plan.identity,
        run=plan.run,
        on_epoch=_on_epoch(watcher, events),
        on_step=watcher.on_step,
    )


def _class_validator(
    fabric: Fabric, plan: Plan, channels: tuple[int, ...], loss: ClassLoss, watcher: Watcher
) -> ClassValidator:
    classifier = Classifier(
        model=nn.Identity(),
        modalities=plan.modalities,
        classes=plan.classes,
        prepare=plan.prepared.options,
        slices=plan.slices,
        batch_size=plan.predict.batch_size,
        bf16=uses_bf16(plan.train_options.precision, fabric.device),
    )
    return ClassValidator(
        classifier=classifier,
        cases=of_patients(plan.prepared, plan.val).cases,
        channels=channels,
        loss=loss,
        score=cast(PickingMetric, plan.train_options.score),  # the recipe has seen to it
        on_case=watcher.on_case,
    )


def _channel_layout(plan: Plan) -> ChannelLayout:
    flair = next((row for row, name in enumerate(plan.modalities) if name in ("flair", "t2f")), None)
    return ChannelLayout(len(plan.modalities), plan.slices.n_shown, flair)


def _validator(fabric: Fabric, plan: Plan, channels: tuple[int, ...], loss: Loss, watcher: Watcher) -> Validator:
    scheme = plan.prepared.scheme
    assert scheme is not None, "a cohort without labels is refused before"
    cases = {case.id: case for case in plan.cohort.cases}
    predictor = Predictor(
        model=nn.Identity(),
        modalities=plan.modalities,
        regions=plan.prepared.region_names,
        scheme=scheme,
        prepare=plan.prepared.options,
        slices=plan.slices,
        options=plan.predict,
        bf16=uses_bf16(plan.train_options.precision, fabric.device),
        patches=None if plan.patches is None else _quicker(plan.patches),
        shape=largest_slice(of_patients(plan.prepared, plan.train)) if plan.patches is None else None,
    )
    return Validator(
        predictor=predictor,
        cases=[(case, cases[case.id]) for case in of_patients(plan.prepared, plan.val).cases],
        channels=channels,
        slices=plan.slices,
        loss=loss,
        options=plan.evaluate,
        score=cast(OverlapMetric, plan.train_options.score),  # the recipe has seen to it
        on_case=watcher.on_case,
    )


def _quicker(patches: PatchOptions) -> PatchOptions:
    """The windows of a validation during the training."""
    return patches.model_copy(update={"overlap": patches.validation_overlap})


def _class_weights(items: SliceItems) -> tuple[tuple[float, float], ...]:
    """Balanced weights from the voxels of the training part's slices."""
    index, n_inside, n_voxels = items.index, [0] * len(items.prepared.region_names), 0
    for position, case in enumerate(items.prepared.cases):
        chosen = index.slices[index.cases == position]
        assert case.region_voxels is not None
        for row, n in enumerate(case.region_voxels[chosen].sum(axis=0)):
            n_inside[row] += int(n)
        n_voxels += len(chosen) * case.working.shape[0] * case.working.shape[1]
    return balanced_class_weights(n_inside, n_voxels)
