"""A network or a loss of one's own in a training: objects that are given from Python, and how they are told again.

Recipes and bundles never name code to import. What identifies an object is its qualified name, the names and shapes of
its parameters, and the digest of its source where there is one; a training goes on only with the same.
"""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glioseg.core.targets import TaskName
from glioseg.errors import OptionError
from glioseg.inference.bundle import OwnNetwork, parameters_digest
from glioseg.networks.summary import dims_of_module
from glioseg.training.job import Items, Loss
from glioseg.training.randomness import DrawKey


@dataclass(frozen=True, eq=False)
class OwnParts:
    """What stands in the place of the recipe's network and loss; None for those of the recipe."""

    network: nn.Module | None = None
    loss: Loss | None = None

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with, as plain values; empty where nothing is one's own."""
        identity: dict[str, Any] = {}
        if self.network is not None:
            identity["network"] = _facts_of(self.network) | {"parameters": parameters_digest(self.network.state_dict())}
        if self.loss is not None:
            identity["loss"] = _facts_of(self.loss)
        return identity

    def require(self, n_devices: int) -> None:
        """Refuse several processes: an object of the caller's script may not be found in another one."""
        if n_devices > 1 and (self.network is not None or self.loss is not None):
            raise OptionError(
                "a network or a loss of your own is trained in one process", found=f"{n_devices} devices", expected=1
            )

    def try_out(self, network: nn.Module, items: Items) -> None:
        """Show them one item, before hours are spent: what does not fit is said in a sentence.

        Args:
            network: of one's own or the recipe's; it is left as it was.
            items: of the training.

        Raises:
            OptionError: a network of one's own that does not take the images or gives another shape than the targets',
                or a loss of one's own that fails on them or gives no scalar.
        """
        if self.network is None and self.loss is None:
            return
        batch = items.take(np.zeros(1, np.int64), DrawKey(0, "patches"))
        weights = None if batch.weights is None else torch.from_numpy(batch.weights)
        targets, was_training = torch.from_numpy(batch.targets), network.training
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        images = torch.from_numpy(batch.images).to(device).float()  # as a training gives them
        try:
            with torch.no_grad(), torch.random.fork_rng():
                logits = self._logits(network.eval(), images, targets.shape)
        finally:
            network.train(was_training)
        if self.loss is not None:
            _require_scalar(self.loss, logits.cpu().requires_grad_(), targets, weights)

    def _logits(self, network: nn.Module, images: Tensor, shape: torch.Size) -> Tensor:
        if self.network is None:
            given: Tensor = network(images)
            return given
        expected = f"logits {tuple(shape)} of images {tuple(images.shape)}, the first number being that of the batch"
        try:
            given = network(images)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            raise OptionError("the network does not take the images", found=found, expected=expected) from error
        if not isinstance(given, Tensor) or given.shape != shape:
            found = str(tuple(given.shape)) if isinstance(given, Tensor) else type(given).__name__
            raise OptionError("the network gives something else", found=found, expected=expected)
        return given

    def described(self, task: TaskName) -> OwnNetwork | None:
        """What the bundle says in the place of the recipe's network."""
        if self.network is None:
            return None
        return OwnNetwork(
            name=_qualified_name(self.network),
            parameters=parameters_digest(self.network.state_dict()),
            task=task,
            dims=dims_of_module(self.network),
        )


def _require_scalar(loss: Loss, logits: Tensor, targets: Tensor, weights: Tensor | None) -> None:
    expected = (
        f"a scalar tensor of (logits {tuple(logits.shape)} {logits.dtype}, targets {tuple(targets.shape)} "
        f"{targets.dtype}, weights {'None' if weights is None else tuple(weights.shape)})"
    ).replace("torch.", "")
    try:
        given = loss(logits, targets, weights)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        raise OptionError("the loss fails", found=found, expected=expected) from error
    if not isinstance(given, Tensor) or given.ndim > 0 or not given.requires_grad:
        is_tensor = isinstance(given, Tensor)
        found = f"a tensor {tuple(given.shape)}" if is_tensor else f"{type(given).__name__} {given!r}"[:80]
        without = ", without a gradient" if is_tensor and not given.requires_grad else ""
        raise OptionError("the loss gives something else", found=f"{found}{without}", expected=expected)


def _facts_of(part: object) -> dict[str, str | None]:
    return {"name": _qualified_name(part), "source": _source_digest(part)}


def _qualified_name(part: object) -> str:
    definition = part if hasattr(part, "__qualname__") else type(part)
    return f"{definition.__module__}.{definition.__qualname__}"


def _source_digest(part: object) -> str | None:
    """SHA-256 of the source of a function or class; None where there is none, as in a C extension."""
    definition = part if hasattr(part, "__qualname__") else type(part)
    try:
        source = inspect.getsource(definition)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None
    return hashlib.sha256(source.encode()).hexdigest()
