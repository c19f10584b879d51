"""The training loop: one readable loop, exact to the bit across interruptions.

What decides a step is a function of (seed, epoch, step, rank); what the steps have made (weights, optimiser, running
means, best score) is in the checkpoint. Killed at any step and continued, a training therefore ends with the weights of
one that was never stopped. The one thing that is taken from a clock is where schedules end, and only in a training that
``train.max_minutes`` is going to end before its epochs do (``_look_at_clock``).
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from glioseg.errors import GliosegError
from glioseg.networks.summary import dims_of_module
from glioseg.training.checkpoint import (
    BEST,
    LATEST,
    load_checkpoint,
    require_same,
    save_checkpoint,
    set_best_aside,
    take_best_back,
    taking,
)
from glioseg.training.ema import WeightMean
from glioseg.training.job import Batch, Job, Validation
from glioseg.training.log import LOG, LogRow, append_log, cut_log, read_log, require_log
from glioseg.training.optimiser import build_optimiser
from glioseg.training.options import PlateauOptions
from glioseg.training.progress import Outcome, Pace, Place, Progress, is_limit, progress_of
from glioseg.training.randomness import DrawKey, generator, torch_seed
from glioseg.training.sampler import batch_of, epoch_order, n_steps_of
from glioseg.training.schedule import learning_rate
from glioseg.training.stopping import StopRequest, stop_on_signals

_UPDATES_BETWEEN_LOOKS = 10
_SHARE_BEFORE_FIRST_LOOK = 0.05
"""Of ``train.max_minutes``, which the first steps of a process, slower than the others, must not decide."""


class TrainingError(GliosegError):
    """A training that cannot go on: a loss that is not a number."""


def fit(fabric: Fabric, model: nn.Module, job: Job) -> Outcome:
    """Train ``model`` from its checkpoint, or from the start, until the recipe, a limit or the user ends it.

    Raises:
        ResumeError: the run folder's checkpoint belongs to another recipe, split or data set.
        TrainingError: the loss is not a number.
        FileError: the run folder cannot be written to.
    """
    training = TrainingLoop(fabric, model, job)
    training.resume()
    begun = training.progress.n_updates
    reason = None
    with stop_on_signals() as request:
        while not training.progress.finished and reason is None:
            reason = training.run_epoch(request)
            if reason is None:
                training.end_epoch()
            else:
                training.stop(reason)
    return Outcome(reason is None, reason, training.progress, training.progress.n_updates - begun)


class TrainingLoop:
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
        self._pace = Pace()
        self._pending: tuple[Tensor, npt.NDArray[np.int64], int] | None = None
        self._stop_reason: str | None = None
        self._has_begun = False

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
        self._pace = Pace()
        while progress.step < self.n_steps:
            reason = self._reason_to_stop(request)
            if reason is not None:
                self._settle()
                return reason
            self._begin()
            self._one_step(order)
            progress.step += 1
            progress.n_updates += 1
            self._look_at_clock()
            if self.fabric.is_global_zero:
                self._stop_reason = self.job.on_step(self._place())
            if progress.n_updates % options.checkpoint_every == 0 and progress.step < self.n_steps:
                self.save_latest()
        self._settle()
        return None

    def end_epoch(self) -> None:
        """Validate where it is due, write the log and the checkpoints, and see whether the training is over."""
        progress = self.progress
        train_loss = self._mean_over_processes()
        rate = self._learning_rate(progress.n_updates - 1)  # as it was: validation may lower it from here on
        validation = self._validate() if self._validates(progress.epoch) else None
        row = self._log_row(train_loss, rate, validation)
        progress.epoch += 1
        progress.step, progress.loss_sum, progress.n_losses = 0, 0.0, 0
        progress.finished = self._is_over()
        if self.fabric.is_global_zero:
            progress.log_size = append_log(self.job.run / LOG, row)
            self._stop_reason = self.job.on_epoch(row)
        self.save_latest()

    def _is_over(self) -> bool:
        patience = self.options.early_stopping
        exhausted = patience is not None and self.progress.n_without_gain >= patience
        return self.progress.epoch >= self.options.epochs or exhausted

    def _validates(self, epoch: int) -> bool:
        return (epoch + 1) % self.options.validate_every == 0 or epoch + 1 == self.options.epochs

    def _log_row(self, train_loss: float, rate: float, validation: Validation | None) -> LogRow:
        return LogRow(
            epoch=self.progress.epoch,
            train_loss=train_loss,
            learning_rate=rate,
            elapsed_s=round(self.elapsed_s, 3),
            images_per_s=self._pace.images_per_s(),
            val_loss=None if validation is None else validation.loss,
            val_score=None if validation is None else validation.score,
            figures={} if validation is None else validation.figures,
        )

    def _validate(self) -> Validation:
        """Validate in the first process; all go on from what it says."""
        progress, options = self.progress, self.options
        local = self._validate_in_this_process() if self.fabric.is_global_zero else None
        validation = cast(Validation, self.fabric.broadcast(local))
        if isinstance(options.schedule, PlateauOptions):
            progress.plateau = progress.plateau.after(validation.score, options.schedule)
        has_gained = validation.score > progress.best_score
        progress.n_without_gain = 0 if has_gained else progress.n_without_gain + 1
        if has_gained or options.keep == "last":
            progress.best_score, progress.best_epoch = validation.score, progress.epoch
            self._save_best(validation)
        return validation

    def _validate_in_this_process(self) -> Validation:
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
        indices = batch_of(order, progress.step, options.batch_size, fabric.global_rank, fabric.world_size)
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate(progress.n_updates)
        images, targets, weights = self._to_device(self.job.items.take(indices, key.of("patches")))
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
        self._pending = (total, indices, progress.step)
        if fabric.device.type == "cpu":
            self._settle()  # nothing to wait for, so that the weights are never touched by a loss that is not a number
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.mean is not None:
            self.mean.update(self.module)
        self._pace.add(len(indices) * fabric.world_size, time.monotonic() - started)

    def _settle(self) -> None:
        """Look at the loss of the step before: on a GPU it is ready by now, so that nothing waits for it."""
        if self._pending is None:
            return
        (total, indices, step), self._pending = self._pending, None
        loss = float(total)
        if not math.isfinite(loss):
            names = ", ".join(self.job.items.name(int(index)) for index in indices)
            raise TrainingError(
                f"the loss is not a number in epoch {self.progress.epoch + 1}, step {step + 1}",
                found=f"{loss} on {names}",
                remedy="Look at these cases with `glioseg inspect`, lower train.lr or set train.clip_norm; the last "
                "checkpoint is as it was",
            )
        self.progress.loss_sum += loss
        self.progress.n_losses += 1

    def _to_device(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        def to_device(array: npt.NDArray[Any]) -> Tensor:
            tensor = torch.from_numpy(array)
            if self.fabric.device.type == "cuda":
                tensor = tensor.pin_memory()
            return tensor.to(self.fabric.device, non_blocking=True)

        weights = None if batch.weights is None else to_device(batch.weights)
        return to_device(batch.images), to_device(batch.targets), weights

    def _learning_rate(self, update: int) -> float:
        return learning_rate(self.options, update, self._n_total, self.progress.plateau)

    @property
    def _n_total(self) -> int:
        """Updates of the whole training: of all epochs, or as many as the limit of time leaves."""
        return self.progress.horizon or self.n_steps * self.options.epochs

    def _look_at_clock(self) -> None:
        """Read off the clock after how many updates it will end the training, where it will before the epochs do.

        Schedules fall over that number, so that whoever gives 20 minutes gets a schedule of 20 minutes. It is read
        every ten updates, first when a share of the time has shown the pace, and is part of the checkpoint. A training
        that its epochs end in time never sees the clock: its rates are functions of the step alone.
        """
        progress, limit_min = self.progress, self.options.max_minutes
        if limit_min is None or progress.n_updates % _UPDATES_BETWEEN_LOOKS:
            return
        share = self.elapsed_s / (60 * limit_min)
        if share >= _SHARE_BEFORE_FIRST_LOOK:
            n_fitting = max(round(progress.n_updates / share), progress.n_updates)
            progress.horizon = n_fitting if n_fitting < self.n_steps * self.options.epochs else None
        if self.fabric.world_size > 1:
            progress.horizon = self.fabric.broadcast(progress.horizon)

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
        limit, reason = self._limit(), request.reason or self._stop_reason
        if self.fabric.world_size == 1:
            return limit or reason
        must_stop = self._reduced(float(reason is not None), "sum") > 0
        return limit or ((reason or "another process was stopped") if must_stop else None)

    def _limit(self) -> str | None:
        """The limit of the recipe that is reached; the first process has the clock."""
        options = self.options
        if options.max_steps is not None and self.progress.n_updates >= options.max_steps:
            return f"train.max_steps = {options.max_steps}"
        if options.max_minutes is None:
            return None
        is_over = self.elapsed_s >= options.max_minutes * 60
        if self.fabric.world_size > 1:
            is_over = self._reduced(float(is_over and self.fabric.is_global_zero), "sum") > 0
        return f"train.max_minutes = {options.max_minutes:g}" if is_over else None

    def stop(self, reason: str) -> None:
        """Save where the training stands; at a limit of the recipe, validate too, whenever that would be due.

        A training that goes on from there is the one that was never stopped: the checkpoint is written first, and what
        the validation leaves (a row of the log, a better model) is taken back at the first step.
        """
        self.save_latest()
        if not is_limit(reason) or self._is_validated():
            return
        log, saved = self.job.run / LOG, replace(self.progress)
        train_loss = self._mean_over_processes()
        rate = self._learning_rate(max(saved.n_updates - 1, 0))
        if self.fabric.is_global_zero:
            set_best_aside(self.job.run)
        row = self._log_row(train_loss, rate, self._validate())
        self.progress = replace(saved, best_score=self.progress.best_score, best_epoch=self.progress.best_epoch)
        if self.fabric.is_global_zero:
            cut_log(log, saved.log_size)
            if saved.step == 0:  # the row of the epoch stands there already, but for its validation
                row = replace(row, epoch=saved.epoch - 1, train_loss=read_log(log)[-1].train_loss)
            append_log(log, row)
            self.job.on_epoch(row)

    def _is_validated(self) -> bool:
        """Whether the weights at hand are those of the last regular validation, or those of the start."""
        progress = self.progress
        return not progress.n_updates or (progress.step == 0 and self._validates(progress.epoch - 1))

    def _begin(self) -> None:
        """Before the first step of this call: take back what stands in the folder beyond the checkpoint."""
        if self._has_begun:
            return
        self._has_begun = True
        if self.fabric.is_global_zero:
            cut_log(self.job.run / LOG, self.progress.log_size)
            take_best_back(self.job.run)

    def _place(self) -> Place:
        progress = self.progress
        return Place(
            epoch=progress.epoch,
            step=progress.step,
            n_steps=self.n_steps,
            n_updates=progress.n_updates,
            n_total=self._n_total,
            loss=progress.loss_sum / progress.n_losses if progress.n_losses else None,
            best_score=progress.best_score if progress.best_epoch >= 0 else None,
            elapsed_s=self.elapsed_s,
        )

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
            "identity": self.job.identity.to_json(),
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

    def _save_best(self, validation: Validation) -> None:
        if self.fabric.is_global_zero:
            weights = self.module.state_dict() if self.mean is None else self.mean.state
            state = {"identity": self.job.identity.to_json(), "model": weights, "epoch": self.progress.epoch}
            save_checkpoint(self.job.run / BEST, state | {"score": validation.score})
        self.fabric.barrier()

    def resume(self) -> None:
        """Go on from the run folder's checkpoint, if it has one."""
        path = self.job.run / LATEST
        if path.exists():
            self._load(path)
        if self.fabric.is_global_zero:
            require_log(self.job.run / LOG, self.progress.log_size)
            self.job.on_start(self._place())

    def _load(self, path: Path) -> None:
        state = load_checkpoint(path)
        require_same(path, state["identity"], self.job.identity)
        with taking(path):
            self.module.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            if self.mean is not None:
                for name, value in state["mean"]["weights"].items():
                    self.mean.state[name].copy_(value)
                self.mean.n_updates = state["mean"]["n_updates"]
            values = dict(state["progress"])
            sums = values.pop("loss_sums")
            self.progress = progress_of(values)
            self.progress.loss_sum = sums[self.fabric.global_rank]
        self.progress.finished = self._is_over()  # train.epochs may have been raised or lowered
        self._started = time.monotonic()


def _parts(n: int, n_parts: int) -> list[slice]:
    edges = np.linspace(0, n, min(n_parts, n) + 1).round().astype(int)
    return [slice(int(low), int(high)) for low, high in pairwise(edges)]
