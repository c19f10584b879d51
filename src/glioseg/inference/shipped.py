"""The shipped networks: the closed table, and where each lies. ``model:NAME`` stands for a bundle wherever one may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from glioseg.errors import FileError, OptionError
from glioseg.inference.card import Card
from glioseg.io.text import read_json

PREFIX = "model:"


@dataclass(frozen=True)
class ShippedModel:
    """A network that needs no training.

    Args:
        name: what stands behind ``model:``.
        package: the Python package that holds its folder.
    """

    name: str
    package: str = "glioseg.weights"

    @property
    def folder(self) -> Path:
        """Its bundle."""
        return Path(str(resources.files(self.package))) / self.name

    def card(self) -> Card:
        """What it says of itself.

        Raises:
            FileError: it is missing or damaged.
        """
        path = self.folder / "bundle.json"
        described = read_json(path)
        if not isinstance(described, dict) or not described.get("card"):
            raise FileError("a shipped network without its card", path=path, remedy="Install glioseg again")
        return Card.model_validate(described["card"])


_MODELS = (ShippedModel("phantom"), ShippedModel("t1c-pictures"))
SHIPPED: Mapping[str, ShippedModel] = MappingProxyType({model.name: model for model in _MODELS})
"""All of them, in the order in which they are proposed."""


def is_model_name(path: Path) -> bool:
    """Whether ``model:NAME`` is meant and not a path."""
    return str(path).startswith(PREFIX)


def located(path: Path) -> Path:
    """The folder of a shipped network that is named by ``model:NAME``; any other path as it is.

    Raises:
        OptionError: no network of that name is shipped.
    """
    if not is_model_name(path):
        return path
    name = str(path).removeprefix(PREFIX)
    if name not in SHIPPED:
        raise OptionError(
            f"there is no shipped network {name or 'without a name'}",
            expected=f"one of {', '.join(PREFIX + known for known in SHIPPED)}",
            remedy="See them with: glioseg models",
        )
    return SHIPPED[name].folder
