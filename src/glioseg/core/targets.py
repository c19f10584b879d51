"""What a network is asked for: regions of each voxel, or a class of each picture or slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from glioseg.core.labels import LabelScheme

TaskName = Literal["segment", "classify"]
TASK_WORDS: Mapping[TaskName, str] = MappingProxyType({"segment": "draws regions", "classify": "says classes"})
"""What a network of each task does, for messages."""


@dataclass(frozen=True)
class RegionTargets:
    """Regions, each a yes/no question of every voxel.

    Args:
        names: in the order of the network's probabilities.
        scheme: whose labels the regions are unions of.
    """

    names: tuple[str, ...]
    scheme: LabelScheme


@dataclass(frozen=True)
class ClassTargets:
    """Classes that exclude each other, one of which each picture or slice is of.

    Args:
        names: in index order; the first is the one that stands for nothing to be seen.
    """

    names: tuple[str, ...]


Targets = RegionTargets | ClassTargets
