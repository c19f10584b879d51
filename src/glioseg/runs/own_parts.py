"""A network or a loss of one's own in a training: objects that are given from Python, and how they are told again.

Recipes and bundles never name code to import. What identifies an object is its qualified name, the names and shapes of
its parameters, and the digest of its source where there is one; a training goes on only with the same.
"""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from typing import Any

from torch import nn

from glioseg.core.targets import TaskName
from glioseg.errors import OptionError
from glioseg.inference.bundle import OwnNetwork, parameters_digest
from glioseg.networks.summary import dims_of_module
from glioseg.training.job import Loss


@dataclass(frozen=True, eq=False)
class OwnParts:
    """What stands in the place of the recipe's network and loss; None for those of the recipe."""

    network: nn.Module | None = None
    loss: Loss | None = None

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with, as plain values; empty where nothing is one's own."""
        identity: dict[str, Any] = {}
        if self.network is not None:
            identity["network"] = _told(self.network) | {"parameters": parameters_digest(self.network.state_dict())}
        if self.loss is not None:
            identity["loss"] = _told(self.loss)
        return identity

    def require(self, n_devices: int) -> None:
        """Refuse several processes: an object of the caller's script may not be found in another one."""
        if n_devices > 1 and (self.network is not None or self.loss is not None):
            raise OptionError(
                "a network or a loss of your own is trained in one process", found=f"{n_devices} devices", expected=1
            )

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


def _told(thing: object) -> dict[str, str | None]:
    return {"name": _qualified_name(thing), "source": _source_digest(thing)}


def _qualified_name(thing: object) -> str:
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def _source_digest(thing: object) -> str | None:
    """SHA-256 of the source of a function or class; None where there is none, as in a C extension."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    try:
        source = inspect.getsource(named)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None
    return hashlib.sha256(source.encode()).hexdigest()
