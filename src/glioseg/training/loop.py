"""The training loop: one readable loop, exact to the bit across interruptions.

What decides a step is a function of (seed, epoch, step, rank); what the steps have made (weights, optimiser, running
means, best score) is in the checkpoint. Killed at any step and continued, a training therefore ends with the weights of
one that was never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from glioseg.errors import GliosegError
from glioseg.networks.summary import dims_of_module
from glioseg.training.checkpoint import load_checkpoint, require_same, save_checkpoint
from glioseg.training.ema import WeightMean
from glioseg.training.log import append_log, cut_log
from glioseg.training.optimiser import build_optimiser
from glioseg.training.options import TrainOptions
from glioseg.training.randomness import DrawKey, generator, torch_seed
from glioseg.training.sampler import batch_of, epoch_order, n_steps_of
from glioseg.training.schedule import Plateau, learning_rate
from glioseg.training.stopping import StopRequest, stop_on_signals

LATEST = "latest_checkpoint.pth"
BEST = "best_model.pth"
LOG = "log.jsonl"


class TrainingError(GliosegError):
    """A training that cannot go on: a loss that is not a number."""


class Batch(NamedTuple):
    """Images (B, C, *S) float32, the targets of the loss, and, where the loss has them, weight maps like the targets.

    S is (H, W) for slices, (D, H, W) for patches. Targets are what the task makes of them: regions (B, R, *S) uint8
    0/1, or classes (B, K) uint8, one of them 1.
    """

    images: npt.NDArray[np.float32]
    targets: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None = None


class Items(Protocol):
    """What a training takes its batches from: slices or patches of the training part."""

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each item shows what is looked for: tumour, or another class than the first."""

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        """The items of a batch, read from the cache.

        Args:
            indices: (B,) which items.
            key: the place in the training, for items that are drawn; in one epoch an item is the same whichever step
                and process takes it.
        """

    def name(self, index: int) -> str:
        """The case and slice, or patch, of an item, for messages."""


class Validation(NamedTuple):
    """What a validation found: the loss, the score that picks the best model, and all figures for the log."""

    loss: float
    score: float
    figures: Mapping[str, Any]


Augment = Callable[[Tensor, Tensor, Tensor | None, DrawKey], tuple[Tensor, Tensor, Tensor | None]]
Loss = Callable[[Tensor | Sequence[Tensor], Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Job:
    """A training, as the recipe and the data decide it.

    Args:
        options: of the loop.
        items: the training part.
        augment: (images, targets, weights, key) -> the same, augmented, on the device.
        loss: (logits, targets, weights) -> scalar.
        validate: the network in evaluation mode -> figures on whole cases. Called in the first process only.
        identity: what must not change between the parts of a training (recipe, split, data), as plain values.
        run: the run folder.
        on_epoch: called in the first process with each row of the log; a reason stops the training as Ctrl-C does.
        on_step: called in the first process with (steps done, steps of the whole training); likewise.
    """

    options: TrainOptions
    items: Items
    augment: Augment
    loss: Loss
    validate: Callable[[nn.Module], Validation]
    identity: Mapping[str, Any]
    run: Path
    on_epoch: Callable[[Mapping[str, Any]], str | None]
    on_step: Callable[[int, int], str | None]


@dataclass
class Progress:
    """Where a training stands; all of it goes into the checkpoint."""

    epoch: int = 0
    step: int = 0
    n_updates: int = 0
    loss_sum: float = 0.0
    n_losses: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    best_score: float = -math.inf
    best_epoch: int = -1
    n_without_gain: int = 0
    elapsed_s: float = 0.0
    log_size: int = 0
    finished: bool = False


@dataclass
class Pace:
    """Images that the steps of an epoch got through, and the seconds that they took, since the last resume."""

    n_images: int = 0
    elapsed_s: float = 0.0

    def add(self, n_images: int, elapsed_s: float) -> None:
        """Count a step."""
        self.n_images += n_images
        self.elapsed_s += elapsed_s

    def images_per_s(self) -> float | None:
        """Loading and augmentation counted in, validation and checkpoints not; None before any step."""
        return round(self.n_images / self.elapsed_s, 2) if self.elapsed_s > 0 else None


def progress_of(values: Mapping[str, Any]) -> Progress:
    """The progress whose ``asdict`` is ``values``."""
    return Progress(**{**values, "plateau": Plateau(**values["plateau"])})


@dataclass(frozen=True)
class Outcome:
    """How a training ended: by itself (finished), or stopped by a reason and to be continued."""

    finished: bool
    reason: str | None
    progress: Progress

    @property
    def met_limit(self) -> bool:
        """Whether a limit of the recipe (``train.max_minutes``, ``train.max_steps``) stopped it before its end."""
        return not self.finished and (self.reason or "").startswith("train.")


def fit(fabric: Fabric, model: nn.Module, job: Job) -> Outcome:
    """Train ``model`` from its checkpoint, or from the start, until the recipe, a limit or the user ends it.

    Raises:
        ResumeError: the run folder's checkpoint belongs to another recipe, split or data set.
        TrainingError: the loss is not a number.
        FileError: the run folder cannot be written to.
    """
    training = Training(fabric, model, job)
    training.resume()
    with stop_on_signals() as request:
        while not training.progress.finished:
            reason = training.run_epoch(request)
            if reason is not None:
                training.save_latest()
                return Outcome(finished=False, reason=reason, progress=training.progress)
            training.end_epoch()
    return Outcome(finished=True, reason=None, progress=training.progress)


class Training:
    """The moving parts of a training and the steps that move them."""

    def __init__(self, fabric: Fabric, model: nn.Module, job: Job) -> None:
        self.fabric = fabric
        self.job = job
        self.options = job.options
        self.progress = Progress()
        self.n_steps = n_steps_of(len(job.items.is_positive), self.options.batch_size)
        layout = torch.channels_last_3d if dims_of_module(model) == 3 else torch.channels_last
        self.module = model.to(fabric.device).to(memory_format=layout)  # type: ignore[call-overload]
        self.layout = layout
        optimiser = build_optimiser(self.module, self.options)
        self.model, self.optimiser = fabric.setup(self.module, optimiser)
        self.mean = None if self.options.ema is None else WeightMean(self.module, self.options.ema)
        self._started = time.monotonic()
        self._stepped = Pace()
        self._pending: tuple[Tensor, npt.NDArray[np.int64], int] | None = None
        self._asked_to_stop: str | None = None

    # -- an epoch ------------------------------------------------------------------------------------------------------

    def run_epoch(self, request: StopRequest) -> str | None:
        """The rest of the epoch at hand; the reason, where something stops it before its end."""
        progress, options = self.progress, self.options
        order = epoch_order(
            self.job.items.is_positive,
            options.tumour_share,
            generator(DrawKey(options.seed, "order", progress.epoch)),
        )
        self.model.train()
        self._stepped = Pace()
        while progress.step < self.n_steps:
            reason = self._reason_to_stop(request)
            if reason is not None:
                self._settle()
                return reason
            self._one_step(order)
            progress.step += 1
            progress.n_updates += 1
            if self.fabric.is_global_zero:
                self._asked_to_stop = self.job.on_step(progress.n_updates, self.n_steps * options.epochs)
            if progress.n_updates % options.checkpoint_every == 0 and progress.step < self.n_steps:
                self.save_latest()
        self._settle()
        return None

    def end_epoch(self) -> None:
        """Validate where it is due, write the log and the checkpoints, and see whether the training is over."""
        progress, options = self.progress, self.options
        row: dict[str, Any] = {
            "epoch": progress.epoch,
            "train_loss": self._mean_over_processes(),
            "learning_rate": self._learning_rate(progress.n_updates - 1),
            "images_per_s": self._stepped.images_per_s(),
        }
        last = progress.epoch + 1 == options.epochs
        if (progress.epoch + 1) % options.validate_every == 0 or last:
            row |= self._validate()
        progress.epoch += 1
        progress.step, progress.loss_sum, progress.n_losses = 0, 0.0, 0
        patience = options.early_stopping
        exhausted = patience is not None and progress.n_without_gain >= patience
        progress.finished = progress.epoch >= options.epochs or exhausted
        row |= {"elapsed_s": round(self.elapsed_s, 3)}
        if self.fabric.is_global_zero:
            progress.log_size = append_log(self.job.run / LOG, row)
            self._asked_to_stop = self.job.on_epoch(row)
        self.save_latest()

    def _validate(self) -> dict[str, Any]:
        progress, options = self.progress, self.options
        here = self._validate_here() if self.fabric.is_global_zero else None
        found = cast(Validation, self.fabric.broadcast(here))
        progress.plateau = progress.plateau.after(found.score, options)
        gained = found.score > progress.best_score
        progress.n_without_gain = 0 if gained else progress.n_without_gain + 1
        if gained or options.keep == "last":
            progress.best_score, progress.best_epoch = found.score, progress.epoch
            self._save_best(found)
        return {"val_loss": found.loss, "val_score": found.score, **found.figures}

    def _validate_here(self) -> Validation:
        self.module.eval()
        try:
            if self.mean is None:
                return self.job.validate(self.module)
            with self.mean.in_place_of(self.module):
                return self.job.validate(self.module)
        finally:
            self.module.train()

    # -- a step --------------------------------------------------------------------------------------------------------

    def _one_step(self, order: npt.NDArray[np.int64]) -> None:
        progress, options, fabric = self.progress, self.options, self.fabric
        started = time.monotonic()
        key = DrawKey(options.seed, "augment", progress.epoch, progress.step, fabric.global_rank)
        taken = batch_of(order, progress.step, options.batch_size, fabric.global_rank, fabric.world_size)
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate(progress.n_updates)
        images, targets, weights = self._to_device(self.job.items.take(taken, key.of("patches")))
        images, targets, weights = self.job.augment(images, targets, weights, key)
        torch.manual_seed(torch_seed(key.of("dropout")))
        total = torch.zeros((), device=fabric.device)
        parts = _parts(len(images), options.accumulate)
        for number, part in enumerate(parts):
            share = (part.stop - part.start) / len(images)
            with fabric.no_backward_sync(self.model, enabled=number + 1 < len(parts)):
                logits = self.model(images[part].contiguous(memory_format=self.layout))
                loss = self.job.loss(logits, targets[part], None if weights is None else weights[part]) * share
                fabric.backward(loss)
            total += loss.detach()
        if options.clip_norm is not None:
            fabric.clip_gradients(self.model, self.optimiser, max_norm=options.clip_norm, error_if_nonfinite=False)
        self._settle()
        self._pending = (total, taken, progress.step)
        if fabric.device.type == "cpu":
            self._settle()  # nothing to wait for, so that the weights are never touched by a loss that is not a number
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.mean is not None:
            self.mean.update(self.module)
        self._stepped.add(len(taken) * fabric.world_size, time.monotonic() - started)

    def _settle(self) -> None:
        """Look at the loss of the step before: on a GPU it is ready by now, so that nothing waits for it."""
        if self._pending is None:
            return
        (total, taken, step), self._pending = self._pending, None
        loss = float(total)
        if not math.isfinite(loss):
            names = ", ".join(self.job.items.name(int(index)) for index in taken)
            raise TrainingError(
                f"the loss is not a number in epoch {self.progress.epoch + 1}, step {step + 1}",
                found=f"{loss} on {names}",
                remedy="Look at these cases with glioseg inspect, lower train.lr or set train.clip_norm; the last "
                "checkpoint is as it was",
            )
        self.progress.loss_sum += loss
        self.progress.n_losses += 1

    def _to_device(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        def moved(array: npt.NDArray[Any]) -> Tensor:
            tensor = torch.from_numpy(array)
            if self.fabric.device.type == "cuda":
                tensor = tensor.pin_memory()
            return tensor.to(self.fabric.device, non_blocking=True)

        weights = None if batch.weights is None else moved(batch.weights)
        return moved(batch.images), moved(batch.targets), weights

    def _learning_rate(self, update: int) -> float:
        return learning_rate(self.options, update, self.n_steps * self.options.epochs, self.progress.plateau)

    def _mean_over_processes(self) -> float:
        mean = self.progress.loss_sum / max(self.progress.n_losses, 1)
        if self.fabric.world_size == 1:
            return mean
        return self._reduced(mean, "mean")

    # -- stopping, saving, resuming ------------------------------------------------------------------------------------

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, those before a resume counted in."""
        return self.progress.elapsed_s + time.monotonic() - self._started

    def _reason_to_stop(self, request: StopRequest) -> str | None:
        options, progress = self.options, self.progress
        reason = request.reason or self._asked_to_stop
        if options.max_steps is not None and progress.n_updates >= options.max_steps:
            reason = f"train.max_steps = {options.max_steps}"
        elif options.max_minutes is not None and self.elapsed_s >= options.max_minutes * 60:
            reason = f"train.max_minutes = {options.max_minutes:g}"
        if self.fabric.world_size == 1:
            return reason
        wanted = self._reduced(float(reason is not None), "sum") > 0
        return (reason or "another process was stopped") if wanted else None

    def _reduced(self, value: float, how: str) -> float:
        """The sum or mean of a number over all processes."""
        reduced = self.fabric.all_reduce(torch.tensor(value, dtype=torch.float64), reduce_op=how)
        return float(cast(Tensor, reduced))

    def save_latest(self) -> None:
        """Write the checkpoint that a resume goes on from."""
        self._settle()
        state = self._state()
        if self.fabric.is_global_zero:
            save_checkpoint(self.job.run / LATEST, state)
        self.fabric.barrier()

    def _state(self) -> dict[str, Any]:
        progress = asdict(self.progress) | {"elapsed_s": self.elapsed_s}
        state: dict[str, Any] = {
            "identity": dict(self.job.identity),
            "progress": progress | {"loss_sums": self._gathered_loss_sums()},
            "model": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        if self.mean is not None:
            state["mean"] = {"weights": self.mean.state, "n_updates": self.mean.n_updates}
        return state

    def _gathered_loss_sums(self) -> list[float]:
        """Each process sees losses of its own; the checkpoint keeps them all."""
        if self.fabric.world_size == 1:
            return [self.progress.loss_sum]
        gathered = self.fabric.all_gather(torch.tensor(self.progress.loss_sum, dtype=torch.float64))
        return [float(value) for value in gathered]

    def _save_best(self, found: Validation) -> None:
        if self.fabric.is_global_zero:
            weights = self.module.state_dict() if self.mean is None else self.mean.state
            state = {"identity": dict(self.job.identity), "model": weights, "epoch": self.progress.epoch}
            save_checkpoint(self.job.run / BEST, state | {"score": found.score})
        self.fabric.barrier()

    def resume(self) -> None:
        """Go on from the run folder's checkpoint, if it has one."""
        path = self.job.run / LATEST
        if not path.exists():
            if self.fabric.is_global_zero:
                cut_log(self.job.run / LOG, 0)
            return
        state = load_checkpoint(path)
        require_same(path, state["identity"], dict(self.job.identity))
        self.module.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.mean is not None:
            for name, value in state["mean"]["weights"].items():
                self.mean.state[name].copy_(value)
            self.mean.n_updates = state["mean"]["n_updates"]
        kept = dict(state["progress"])
        sums = kept.pop("loss_sums")
        self.progress = progress_of(kept)
        self.progress.loss_sum = sums[self.fabric.global_rank]
        # train.epochs may have been raised or lowered; early stopping judges anew at the next validation
        self.progress.finished = self.progress.epoch >= self.options.epochs
        self._started = time.monotonic()
        if self.fabric.is_global_zero:
            cut_log(self.job.run / LOG, self.progress.log_size)


def _parts(n: int, n_parts: int) -> list[slice]:
    edges = np.linspace(0, n, min(n_parts, n) + 1).round().astype(int)
    return [slice(int(low), int(high)) for low, high in pairwise(edges)]
