"""A training as it is started: devices, precision and processes, and what the loop is given in each of them."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from glioseg.config import Recipe
from glioseg.errors import GliosegError, OptionError
from glioseg.inference.bundle import load_bundle
from glioseg.machine.device import pick_device, uses_bf16
from glioseg.machine.launched import Launched
from glioseg.networks.small_images import widen_small_images
from glioseg.runs.options import RunOptions
from glioseg.runs.own_parts import OwnParts
from glioseg.runs.progress_table import ProgressTable
from glioseg.tasks.data import TrainingData
from glioseg.tasks.task import AnyTask
from glioseg.training.checkpoint import Identity
from glioseg.training.events import EventLog
from glioseg.training.job import Job
from glioseg.training.log import LogRow
from glioseg.training.loop import TrainingError, fit
from glioseg.training.progress import Outcome, progress_of
from glioseg.training.team import LostProcessError
from glioseg.training.transfer import take_weights

_OUR_ERROR = re.compile(r"^glioseg\.runs\.launch\._ToldError: (.*)\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, eq=False)
class TrainingSetup:
    """Everything that a training needs; plain data, so that it can be sent to other processes.

    Args:
        task: what the network is asked for.
        recipe: what decides the training.
        data: what it works on.
        options: paths and machinery.
        identity: what must not change between the parts of a training.
        own: a network and a loss in the place of the recipe's.
    """

    task: AnyTask
    recipe: Recipe
    data: TrainingData
    options: RunOptions
    identity: Identity
    own: OwnParts


def launch(setup: TrainingSetup, make_table: Callable[[], ProgressTable], fabric: Fabric | None = None) -> Outcome:
    """Train in this process, alone or as one of several, or on several devices in spawned ones.

    Args:
        setup: the training.
        make_table: makes what shows it, in the process where it is needed.
        fabric: that has joined this process to the others that it was launched with.

    Raises:
        OptionError: several devices that this machine does not have.
        ResumeError, TrainingError, FileError, LostProcessError: see ``loop.fit``.
    """
    fabric = fabric or make_fabric(setup.recipe, setup.options)
    _be_deterministic(fabric.device, wanted=setup.recipe.train.deterministic)
    if setup.options.n_devices == 1:
        return _train(fabric, setup, make_table)
    # Fabric looks through arguments and results for modules and tensors, and stumbles over frozen dataclasses: so the
    # setup goes inside the function, and the outcome comes back as plain values
    try:
        values = fabric.launch(partial(_train_together, setup=setup, make_table=make_table))
    except ProcessRaisedException as error:
        raise _error_of_process(error) from error
    except ProcessExitedException as error:
        raise _death_of_process(error, setup.options.n_devices) from error
    return Outcome(values["finished"], values["reason"], progress_of(values["progress"]), values["n_new"])


def make_fabric(recipe: Recipe, options: RunOptions) -> Fabric:
    """Devices, precision and processes."""
    device, launched = pick_device(options.device), options.launched
    if launched is not None and launched.size == 1:
        launched = None
    n_local = options.n_devices if launched is None else launched.n_local
    if n_local > 1 and device.type == "cuda" and n_local > torch.cuda.device_count():
        raise OptionError(
            "this machine has fewer GPUs than asked for",
            found=torch.cuda.device_count(),
            expected=n_local,
            remedy="Let every process see all of them, and start one for each",
        )
    _silence_fabric()
    several = n_local > 1 or launched is not None
    return Fabric(
        accelerator=device.type,
        devices=n_local if several or device.type == "cpu" else [device.index or 0],
        num_nodes=1 if launched is None else launched.n_machines,
        precision="bf16-mixed" if uses_bf16(recipe.train.precision, device) else "32-true",
        strategy=_together(recipe, device, launched) if several else "auto",
        plugins=[_ENVIRONMENTS[launched.by]() if launched is not None else LightningEnvironment()],
    )


_ENVIRONMENTS: Mapping[str, Callable[[], ClusterEnvironment]] = {
    "torchrun": TorchElasticEnvironment,
    "srun": partial(SLURMEnvironment, auto_requeue=False),
}


def _silence_fabric() -> None:
    """It announces what doctor and reports say."""
    for name in ("lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _SilentDDP(DDPStrategy):
    """Fabric's own, in processes that it has spawned too, where it begins to announce things anew."""

    def setup_environment(self) -> None:
        """Join the others."""
        _silence_fabric()
        super().setup_environment()


def _together(recipe: Recipe, device: torch.device, launched: Launched | None) -> DDPStrategy:
    """Data parallel training.

    What PyTorch calls ``find_unused_parameters`` keeps gradients in the same groups from the first step on. Otherwise
    they are regrouped after the first one, sums are then made in another order, and a training that is resumed would
    differ from one that was never stopped in the last digits.
    """
    return _SilentDDP(
        process_group_backend="cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        timeout=timedelta(minutes=recipe.train.patience_minutes),
        start_method="spawn" if launched is None else "popen",
        find_unused_parameters=True,
    )


def _be_deterministic(device: torch.device, *, wanted: bool) -> None:
    """As the recipe says, whatever an earlier training of this process was; on CPUs all kernels repeat."""
    if device.type != "cuda":
        return
    if wanted:
        # cuBLAS repeats only with a fixed workspace, which it reads from here at its first use
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(wanted)


def _train(fabric: Fabric, setup: TrainingSetup, make_table: Callable[[], ProgressTable]) -> Outcome:
    table = make_table()
    events = EventLog(setup.options.run) if setup.options.tensorboard and fabric.is_global_zero else None
    try:
        network = setup.own.network or setup.task.network(setup.recipe, setup.data)
        if setup.options.initial is not None:
            take_weights(network, load_bundle(setup.options.initial), setup.data.modalities)
        widen_small_images(network)
        job = job_of(setup, fabric.device, table, events, is_first=fabric.is_global_zero)
        setup.own.try_out(network, job.items)
        outcome = fit(fabric, network, job)
        if events is not None:
            events.close()
        return outcome
    finally:
        table.close()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _train_together(fabric: Fabric, setup: TrainingSetup, make_table: Callable[[], ProgressTable]) -> dict[str, Any]:
    try:
        return asdict(_train(fabric, setup, make_table))
    except GliosegError as error:
        raise _ToldError(error.text) from error


class _ToldError(Exception):
    """One of our own errors in another process: its text, as both faces make their own of it."""


def job_of(
    setup: TrainingSetup,
    device: torch.device,
    table: ProgressTable,
    events: EventLog | None = None,
    *,
    is_first: bool = True,
) -> Job:
    """What the loop works on: the task's items, loss and validation, on a device."""
    on_case = table.on_case if is_first else _nobody_looks
    parts = setup.task.training_parts(setup.recipe, setup.data, device)
    if setup.own.loss is not None:
        parts = replace(parts, loss=setup.own.loss, validation_loss=setup.own.loss)
    return Job(
        options=setup.recipe.train,
        items=parts.items,
        augment=parts.augment,
        loss=parts.loss,
        validate=setup.task.validator(setup.recipe, setup.data, parts, device, on_case),
        identity=setup.identity,
        run=setup.options.run,
        on_epoch=_on_epoch(table, events),
        on_step=table.on_step,
        on_start=table.on_start,
        loss_is_mean=parts.loss_is_mean and setup.own.loss is None,
    )


def _nobody_looks(n_done: int, n_total: int) -> None:
    """One process shows how far it is."""


def _on_epoch(table: ProgressTable, events: EventLog | None) -> Callable[[LogRow], str | None]:
    """A row of the log goes to TensorBoard, where that is asked for, and to the table, whose watcher may stop it."""

    def on_epoch(row: LogRow) -> str | None:
        if events is not None:
            events.on_epoch(row)
        return table.on_epoch(row)

    return on_epoch


def _error_of_process(error: ProcessRaisedException) -> Exception:
    """What is told crosses the border of a process as the last part of a printed traceback; others stay as they are."""
    messages = _OUR_ERROR.findall(str(error))
    return TrainingError(messages[-1].strip()) if messages else error


def _death_of_process(error: ProcessExitedException, n_devices: int) -> LostProcessError:
    died_of = error.signal_name or f"exit code {error.exit_code}"
    return LostProcessError(
        f"process {error.error_index + 1} of the {n_devices} that trained together died",
        found=died_of,
        remedy="The last checkpoint is whole: the same command goes on from it"
        + ("; the memory may not be enough for so many" if died_of == "SIGKILL" else ""),
    )
