"""One step of a training: the network, its optimiser and running mean, and what moves them.

Over several processes a step is that of one process with the whole batch: each passes its items through the network,
layers that look at the batch look at all of it (``shared_layers``), the loss is that of all items, and PyTorch's
DistributedDataParallel gives every process the mean of the gradients.
"""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from glioseg.networks.summary import dims_of_module
from glioseg.training.batches import OwnBatch
from glioseg.training.compiled import compiled, compiler_faults
from glioseg.training.ema import WeightMean
from glioseg.training.job import Job
from glioseg.training.optimiser import build_optimiser
from glioseg.training.randomness import torch_seed
from glioseg.training.recompute import recompute_activations
from glioseg.training.share import BatchShare
from glioseg.training.shared_layers import Shared, share_layers
from glioseg.training.team import Team


class Stepper:
    """The moving parts of a training.

    Args:
        fabric: devices and precision.
        team: the processes that train together.
        network: on the CPU; it is moved, and taken over.
        job: what decides the training.
    """

    def __init__(self, fabric: Fabric, team: Team, network: nn.Module, job: Job) -> None:
        self.fabric, self.team, self.job, self.options = fabric, team, job, job.options
        self.layout = torch.channels_last_3d if dims_of_module(network) == 3 else torch.channels_last
        self.network = network.to(fabric.device).to(memory_format=self.layout)  # type: ignore[call-overload]
        self._shared = Shared(team)
        if team.size > 1:
            share_layers(self.network, self._shared)
        if self.options.recompute:
            recompute_activations(self.network)
        optimiser = build_optimiser(self.network, self.options)
        passing = compiled(self.network, self.options.compile, fabric.device, team.size)
        self._passing, self.optimiser = fabric.setup(passing, optimiser)
        self.mean = None if self.options.ema is None else WeightMean(self.network, self.options.ema)

    def gradients(self, batch: OwnBatch, rate: float) -> Tensor:
        """Put the gradients of an augmented batch in place.

        Returns:
            this process's share of the loss of the whole batch: their sum over the processes is the loss.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(torch_seed(batch.key.of("dropout")))
        total, begin = torch.zeros((), device=self.fabric.device), 0
        for number, part in enumerate(batch.parts):
            own_rows = slice(begin, begin := begin + len(part.places))
            self._shared.part = part
            with self.fabric.no_backward_sync(self._passing, enabled=number + 1 < len(batch.parts)):
                total += self._pass(part, own_rows, batch)
        if self.options.clip_norm is not None:
            self.fabric.clip_gradients(
                self._passing, self.optimiser, max_norm=self.options.clip_norm, error_if_nonfinite=False
            )
        return total

    def _pass(self, part: BatchShare, own_rows: slice, batch: OwnBatch) -> Tensor:
        """Forward and backward of a part; its share of the loss."""
        images, targets, weights = batch.tensors
        with compiler_faults():
            logits = self._passing(images[own_rows].contiguous(memory_format=self.layout))
        targets, weights = targets[own_rows], None if weights is None else weights[own_rows]
        if not part.is_shared:  # each process has all of it, and the mean of equal gradients is each of them
            loss = self.job.loss(logits, targets, weights) * part.share
            self.fabric.backward(loss)
            return loss.detach() / self.team.size
        if self.job.loss_is_mean:
            loss = self.job.loss(logits, targets, weights) * (part.share * len(part.places) / part.n)
            self.fabric.backward(loss * self.team.size)  # of the gradients the mean is taken, where the sum is meant
            return loss.detach()
        loss = self._loss_of_all(part, logits, targets, weights) * part.share
        self.fabric.backward(loss * self.team.size)
        return loss.detach() / self.team.size

    def _loss_of_all(
        self, part: BatchShare, logits: Tensor | tuple[Tensor, ...], targets: Tensor, weights: Tensor | None
    ) -> Tensor:
        """The loss of the part with the items of all processes, which send each other what their networks say."""

        def of_all(tensor: Tensor) -> Tensor:
            return self.team.rows(tensor, part.rows)

        several = of_all(logits) if isinstance(logits, Tensor) else tuple(map(of_all, logits))
        return self.job.loss(several, of_all(targets), None if weights is None else of_all(weights))

    def move(self) -> None:
        """Take the step that the gradients say."""
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.mean is not None:
            self.mean.update(self.network)

    def state(self) -> dict[str, object]:
        """What a checkpoint holds of it."""
        state: dict[str, object] = {"model": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
        if self.mean is not None:
            state["mean"] = {"weights": self.mean.state, "n_updates": self.mean.n_updates}
        return state
