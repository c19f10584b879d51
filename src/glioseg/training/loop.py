"""The training loop: one readable loop, exact to the bit across interruptions.

What decides a step is a function of (seed, epoch, step); what the steps have made (weights, optimiser, running means,
best score) is in the checkpoint. Killed at any step and continued, a training therefore ends with the weights of one
that was never stopped. Several processes take the step that one would (``step``), so that a training may go on with
another number of them: the first one writes and speaks, all others know what it knows. The one thing that is taken from
a clock is where schedules end, and only in a training that ``train.max_minutes`` is going to end before its epochs do
(``_look_at_clock``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NoReturn

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from glioseg.errors import GliosegError
from glioseg.machine.processors import allowed_processors
from glioseg.training.batches import BatchMaker, OwnBatch, ahead
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
from glioseg.training.job import Job, Validation
from glioseg.training.log import LOG, LogRow, append_log, cut_log, read_log, require_log
from glioseg.training.options import PlateauOptions
from glioseg.training.progress import Outcome, Pace, Progress, TrainingPlace, is_limit, progress_of
from glioseg.training.randomness import DrawKey, generator
from glioseg.training.sampler import epoch_order, n_steps_of
from glioseg.training.schedule import learning_rate
from glioseg.training.step import Stepper
from glioseg.training.stopping import StopRequest, stop_on_signals
from glioseg.training.team import Team
from glioseg.training.validation import validated

_UPDATES_BETWEEN_LOOKS = 10
_REMEDY = "lower train.lr or set train.clip_norm; the last checkpoint is as it was"
_SHARE_BEFORE_FIRST_LOOK = 0.05
"""Of ``train.max_minutes``, which the first steps of a process, slower than the others, must not decide."""


class TrainingError(GliosegError):
    """A training that cannot go on: a loss, or a validation, that is not a number."""


def fit(fabric: Fabric, model: nn.Module, job: Job) -> Outcome:
    """Train ``model`` from its checkpoint, or from the start, until the recipe, a limit or the user ends it.

    Raises:
        ResumeError: the run folder's checkpoint belongs to another recipe, split or data set.
        TrainingError: the loss, or a validation, is not a number.
        FileError: the run folder cannot be written to.
        LostProcessError: another process of the training has ended, or does not answer.
    """
    team = Team.of(fabric, job.options.patience_minutes)
    with team.watched():
        training = TrainingLoop(fabric, team, model, job)
        training.resume()
        return _trained(training)


def _trained(training: TrainingLoop) -> Outcome:
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

    def __init__(self, fabric: Fabric, team: Team, model: nn.Module, job: Job) -> None:
        self.fabric = fabric
        self.team = team
        self.job = job
        self.options = job.options
        self.progress = Progress()
        self.n_steps = n_steps_of(len(job.items.is_positive), self.options.batch_size)
        self.stepper = Stepper(fabric, team, model, job)
        self.batches = BatchMaker(job, team, fabric.device, augments=_can_augment_beside(fabric.device, team))
        self._started = time.monotonic()
        self._pace = Pace()
        self._pending: tuple[Tensor, OwnBatch] | None = None
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
        self.stepper.network.train()
        self._pace = Pace()
        with ahead(partial(self.batches.batch, order, progress.epoch), progress.step, self.n_steps) as following:
            while progress.step < self.n_steps:
                reason = self._reason_to_stop(request)
                if reason is not None:
                    break
                self._begin()
                self._one_step(following)
                self._look_at_clock()
                if self.team.is_first:
                    self._stop_reason = self.job.on_step(self._place())
                if progress.n_updates % options.checkpoint_every == 0 and progress.step < self.n_steps:
                    self.save_latest()
        self._settle()
        return reason

    def end_epoch(self) -> None:
        """Validate where it is due, write the log and the checkpoints, and see whether the training is over."""
        progress = self.progress
        train_loss = self._mean_loss()
        rate = self._learning_rate(progress.n_updates - 1)  # as it was: validation may lower it from here on
        validation = self._validate() if self._validates(progress.epoch) else None
        row = self._log_row(train_loss, rate, validation)
        progress.epoch += 1
        progress.step, progress.loss_sum, progress.n_losses = 0, 0.0, 0
        progress.finished = self._is_over()
        if self.team.is_first:
            progress.log_size = append_log(self.job.run / LOG, row)
            self._stop_reason = self.job.on_epoch(row) or self._stop_reason  # which its last step may have set
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
        """Validate, together; all go on from what the first process says of it."""
        progress, options = self.progress, self.options
        network, mean = self.stepper.network, self.stepper.mean
        with nullcontext() if mean is None else mean.in_place_of(network):
            validation = validated(self.job.validate, network, self.team)
        _require_numbers(validation, progress.epoch)
        if isinstance(options.schedule, PlateauOptions):
            progress.plateau = progress.plateau.after(validation.score, options.schedule)
        has_gained = validation.score > progress.best_score
        progress.n_without_gain = 0 if has_gained else progress.n_without_gain + 1
        if has_gained or options.keep == "last":
            progress.best_score, progress.best_epoch = validation.score, progress.epoch
            self._save_best(validation)
        return validation

    # -- a step --------------------------------------------------------------------------------------------------------

    def _one_step(self, following: Callable[[], OwnBatch]) -> None:
        progress, started = self.progress, time.monotonic()
        batch = self.batches.augmented(following())
        loss = self.stepper.gradients(batch, self._learning_rate(progress.n_updates))
        self._settle()
        self._pending = (loss, batch)
        if self.fabric.device.type == "cpu":
            self._settle()  # nothing to wait for, so that the weights are never touched by a loss that is not a number
        self.stepper.move()
        self._pace.add(batch.n, time.monotonic() - started)
        progress.step += 1
        progress.n_updates += 1

    def _settle(self) -> None:
        """Look at the loss of the step before: on a GPU it is ready by now, so that nothing waits for it."""
        if self._pending is None:
            return
        (share, batch), self._pending = self._pending, None
        own_share = float(share)
        (loss,) = self.team.sums(own_share)
        if not math.isfinite(loss):
            indices = [] if math.isfinite(own_share) else batch.indices.tolist()
            self._refuse(loss, batch.key, [self.job.items.name(int(index)) for index in indices])
        self.progress.loss_sum += loss
        self.progress.n_losses += 1

    def _refuse(self, loss: float, key: DrawKey, names: list[str]) -> NoReturn:
        of_all = [name for several in self.team.gathered(names) for name in several]
        raise TrainingError(
            f"the loss is not a number in epoch {key.epoch + 1}, step {key.step + 1}",
            found=f"{loss} on {', '.join(dict.fromkeys(of_all))}",
            remedy=f"Look at these cases with `glioseg inspect`, {_REMEDY}",
        )

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
        progress.horizon = self.team.told(progress.horizon)

    def _mean_loss(self) -> float:
        return self.progress.loss_sum / max(self.progress.n_losses, 1)

    # -- stopping, saving, resuming ------------------------------------------------------------------------------------

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, those before a resume counted in."""
        return self.progress.elapsed_s + time.monotonic() - self._started

    def _reason_to_stop(self, request: StopRequest) -> str | None:
        """A limit of the recipe, of which the first process has the clock, or what any process was stopped by."""
        limit, reason = self._limit(), request.reason or self._stop_reason
        if self.team.size == 1:
            return limit or reason
        is_over, n_stopped = self.team.sums(float(limit is not None and self.team.is_first), float(reason is not None))
        if not is_over and not n_stopped:
            return None
        said = self.team.gathered(reason)
        return self.team.told(limit) or next(each for each in said if each is not None)

    def _limit(self) -> str | None:
        options = self.options
        if options.max_steps is not None and self.progress.n_updates >= options.max_steps:
            return f"train.max_steps = {options.max_steps}"
        if options.max_minutes is not None and self.elapsed_s >= options.max_minutes * 60:
            return f"train.max_minutes = {options.max_minutes:g}"
        return None

    def stop(self, reason: str) -> None:
        """Save where the training stands; at a limit of the recipe, validate too, whenever that would be due.

        A training that goes on from there is the one that was never stopped: the checkpoint is written first, and what
        the validation leaves (a row of the log, a better model) is taken back at the first step.
        """
        self.save_latest()
        if not is_limit(reason) or self._is_validated():
            return
        log, saved = self.job.run / LOG, replace(self.progress)
        train_loss = self._mean_loss()
        rate = self._learning_rate(max(saved.n_updates - 1, 0))
        if self.team.is_first:
            set_best_aside(self.job.run)
        row = self._log_row(train_loss, rate, self._validate())
        self.progress = replace(saved, best_score=self.progress.best_score, best_epoch=self.progress.best_epoch)
        if self.team.is_first:
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
        if self.team.is_first:
            cut_log(self.job.run / LOG, self.progress.log_size)
            take_best_back(self.job.run)

    def _place(self) -> TrainingPlace:
        progress = self.progress
        return TrainingPlace(
            epoch=progress.epoch,
            step=progress.step,
            n_steps=self.n_steps,
            n_updates=progress.n_updates,
            n_total=self._n_total,
            loss=progress.loss_sum / progress.n_losses if progress.n_losses else None,
            best_score=progress.best_score if progress.best_epoch >= 0 else None,
            elapsed_s=self.elapsed_s,
        )

    def save_latest(self) -> None:
        """Write the checkpoint that a resume goes on from."""
        self._settle()
        if self.team.is_first:
            save_checkpoint(self.job.run / LATEST, self._state())
        self.team.wait()

    def _state(self) -> dict[str, Any]:
        progress = asdict(self.progress) | {"elapsed_s": self.elapsed_s, "loss_sums": [self.progress.loss_sum]}
        return {"identity": self.job.identity.to_json(), "progress": progress, **self.stepper.state()}

    def _save_best(self, validation: Validation) -> None:
        if self.team.is_first:
            mean = self.stepper.mean
            weights = self.stepper.network.state_dict() if mean is None else mean.state
            state = {"identity": self.job.identity.to_json(), "model": weights, "epoch": self.progress.epoch}
            save_checkpoint(self.job.run / BEST, state | {"score": validation.score})
        self.team.wait()

    def resume(self) -> None:
        """Go on from the run folder's checkpoint, if it has one; the first process reads it for all."""
        path, state = self.job.run / LATEST, None
        if self.team.is_first and path.exists():
            state = load_checkpoint(path)
            require_same(path, state["identity"], self.job.identity)
        state = self.team.told(state)
        if state is not None:
            with taking(path):
                self._take(state)
        if self.team.is_first:
            require_log(self.job.run / LOG, self.progress.log_size)
            self.job.on_start(self._place())

    def _take(self, state: Mapping[str, Any]) -> None:
        stepper = self.stepper
        stepper.network.load_state_dict(state["model"])
        stepper.optimiser.load_state_dict(state["optimiser"])
        if stepper.mean is not None:
            for name, value in state["mean"]["weights"].items():
                stepper.mean.state[name].copy_(value)
            stepper.mean.n_updates = state["mean"]["n_updates"]
        values = dict(state["progress"])
        sums = values.pop("loss_sums")  # earlier versions kept one of each process
        self.progress = progress_of(values)
        self.progress.loss_sum = sum(sums) / len(sums)
        self.progress.finished = self._is_over()  # train.epochs may have been raised or lowered
        if self.options.max_minutes is None:  # there may have been a limit, over which the schedule fell
            self.progress.horizon = None
        self._started = time.monotonic()


def _require_numbers(validation: Validation, epoch: int) -> None:
    """Refuse figures by which no model can be chosen, and which the log cannot hold."""
    if not (math.isfinite(validation.loss) and math.isfinite(validation.score)):
        raise TrainingError(
            f"the validation of epoch {epoch + 1} is not a number",
            found=f"loss {validation.loss:g}, score {validation.score:g}",
            remedy=f"Look at the validation cases with `glioseg inspect`, {_REMEDY}",
        )


def _can_augment_beside(device: torch.device, team: Team) -> bool:
    """Whether a thread beside the network's has a processor to augment batches with; a GPU augments by itself.

    Of several processes nobody knows which share their processors, so that each keeps to its threads.
    """
    return device.type == "cpu" and team.size == 1 and torch.get_num_threads() < allowed_processors()
