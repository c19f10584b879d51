"""The shipped networks: the closed table, and where each lies. ``model:NAME`` stands for a bundle wherever one may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

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
        distribution: what is installed to have that package.
    """

    name: str
    package: str = "glioseg.weights"
    distribution: str = "glioseg"

    @property
    def is_installed(self) -> bool:
        """Whether its weights are here: those on research terms are a distribution of their own."""
        return find_spec(self.package) is not None

    @property
    def how_to_get(self) -> str:
        """The command that installs it, in words."""
        in_a_clone = f"pip install ./{_RESEARCH_FOLDER} in a clone of glioseg"
        return f"{in_a_clone}, or where it is published pip install {self.distribution}"

    @property
    def folder(self) -> Path:
        """Its bundle.

        Raises:
            FileError: its distribution is not installed.
        """
        if not self.is_installed:
            raise FileError(
                f"{PREFIX}{self.name} is not installed",
                expected=f"the package {self.distribution}, which has terms of its own",
                remedy=f"Get it with: {self.how_to_get}",
            )
        return Path(str(resources.files(self.package))) / self.name

    def card(self) -> Card:
        """What it says of itself.

        Raises:
            FileError: it is missing or damaged.
        """
        path = self.folder / "bundle.json"
        described = read_json(path)
        try:
            return Card.model_validate(described["card"] if isinstance(described, dict) else None)
        except (KeyError, ValidationError) as error:
            raise FileError(
                "a shipped network without its card", path=path, remedy=f"Install {self.distribution} again"
            ) from error


_RESEARCH_FOLDER = "weights-research"
_RESEARCH = ("glioseg_weights_research", "glioseg-weights-research")
_MODELS = (
    ShippedModel("brats", *_RESEARCH),
    ShippedModel("phantom"),
    ShippedModel("t1c-pictures"),
    ShippedModel("lgg", *_RESEARCH),
    ShippedModel("tissue", *_RESEARCH),
    ShippedModel("tumour-or-none", *_RESEARCH),
)
SHIPPED: Mapping[str, ShippedModel] = MappingProxyType({model.name: model for model in _MODELS})
"""All that there are, in the order in which they are proposed; not all may be installed."""


def installed_models() -> tuple[ShippedModel, ...]:
    """Those that can be used here."""
    return tuple(model for model in SHIPPED.values() if model.is_installed)


def is_model_name(path: Path) -> bool:
    """Whether ``model:NAME`` is meant and not a path."""
    return str(path).startswith(PREFIX)


def located(path: Path) -> Path:
    """The folder of a shipped network that is named by ``model:NAME``; any other path as it is.

    Raises:
        OptionError: no network of that name is shipped.
        FileError: it is of a distribution that is not installed.
    """
    if not is_model_name(path):
        return path
    return shipped(str(path).removeprefix(PREFIX)).folder


def shipped(name: str) -> ShippedModel:
    """The shipped network of that name.

    Raises:
        OptionError: there is none.
    """
    if name not in SHIPPED:
        raise OptionError(
            f"there is no shipped network {name or 'without a name'}",
            expected=f"one of {', '.join(PREFIX + shipped_name for shipped_name in SHIPPED)}",
            remedy="See them with `glioseg models`",
        )
    return SHIPPED[name]
