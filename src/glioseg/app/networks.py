"""The networks that are offered, as their cards describe them, and which of them fits a case.

What knows networks takes seconds to import, and is imported where it is needed: the page must not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glioseg.core import Case
from glioseg.errors import OptionError
from glioseg.inference.card import Figure
from glioseg.inference.shipped import PREFIX, SHIPPED, ShippedModel

if TYPE_CHECKING:
    from glioseg.inference.bundle import BundleInfo


@dataclass(frozen=True)
class OfferedNetwork:
    """A network that is offered.

    Args:
        name: ``model:NAME``, or the path of a run or bundle.
        info: what its bundle says; None where it is not installed.
        how_to_get: then, how it is.
    """

    name: str
    info: BundleInfo | None
    how_to_get: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the page is told of it."""
        from glioseg.tasks.predicted import terms_of

        info = self.info
        card = None if info is None else info.card
        return {
            "name": self.name,
            "title": self.name.removeprefix(PREFIX) if card is None else card.name,
            "about": "" if card is None else card.about,
            "modalities": [] if info is None else list(info.modalities),
            "modality_sets": [] if info is None else [list(names) for names in info.modality_sets],
            "regions": [] if info is None else list(info.regions),
            "figures": [] if card is None else [{"text": _words(figure)} for figure in card.figures],
            "data": [] if card is None else [data.model_dump(mode="json") for data in card.data],
            "terms": [] if info is None else list(terms_of([info])),
            "limits": [] if card is None else list(card.limits),
            "installed": info is not None,
            "how_to_get": self.how_to_get,
        }


@dataclass(frozen=True)
class OfferedNetworks:
    """All networks that are offered, in the order in which they are proposed.

    Args:
        own: runs and bundles of the user's, before the shipped ones.
    """

    own: Sequence[Path] = ()

    def require_own(self) -> None:
        """Read what the user's own networks say of themselves, before anybody is offered them.

        Raises:
            OptionError: one of them is a classifier, which draws nothing that could be shown.
            FileError: one of them is no run or bundle, or damaged.
        """
        _ = self._described

    @cached_property
    def _described(self) -> tuple[OfferedNetwork, ...]:
        return tuple(_own(path) for path in self.own)

    @cached_property
    def all(self) -> tuple[OfferedNetwork, ...]:
        """Each with its description; read once."""
        shipped = (_shipped(model) for model in SHIPPED.values())
        draw = (network for network in shipped if network.info is None or network.info.task == "segment")
        return (*self._described, *draw)

    def info_of(self, name: str) -> BundleInfo:
        """What the bundle of the network of that name says, if it can be used.

        Raises:
            OptionError: there is none, or it is not installed.
        """
        for network in self.all:
            if network.name == name:
                if network.info is None:
                    raise OptionError(f"{name} is not installed", remedy=f"Get it with: {network.how_to_get}")
                return network.info
        raise OptionError(f"there is no network {name}", expected=", ".join(network.name for network in self.all))

    def fitting(self, case: Case) -> list[str]:
        """The networks that a case has the modalities of."""
        return [network.name for network in self.all if network.info is not None and _fits(case, network.info)]

    def missing(self, case: Case) -> dict[str, list[str]]:
        """Network that does not fit -> what the case lacks for it."""
        return {
            network.name: lacking_for(case, network.info)
            for network in self.all
            if network.info is not None and not _fits(case, network.info)
        }


def lacking_for(case: Case, info: BundleInfo) -> list[str]:
    """The modalities of a network that a case has not."""
    from glioseg.tasks.members import fitted

    images = fitted(case, info.modalities).images if case.images else {}
    return [name for name in info.modalities if name not in images]


def _fits(case: Case, info: BundleInfo) -> bool:
    from glioseg.runs.propose import fits
    from glioseg.tasks.members import fitted

    return bool(case.images) and fits(fitted(case, info.modalities), info)


def _words(figure: Figure) -> str:
    from glioseg.tasks.predicted import figure_words

    return f"{figure_words(figure)}. {figure.note}".removesuffix(". ")


def _own(path: Path) -> OfferedNetwork:
    from glioseg.inference.bundle import read_info

    info = read_info(path)
    if info.task != "segment":
        raise OptionError(
            "the application shows masks, and this network says classes",
            path=path,
            remedy="Name a network that segments",
        )
    return OfferedNetwork(str(path), info)


def _shipped(model: ShippedModel) -> OfferedNetwork:
    from glioseg.inference.bundle import read_info

    info = read_info(model.folder) if model.is_installed else None
    return OfferedNetwork(f"{PREFIX}{model.name}", info, "" if model.is_installed else model.how_to_get)
