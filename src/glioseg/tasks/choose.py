"""Which task a name stands for: the closed table, read once in a command."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from glioseg.core.targets import TaskName
from glioseg.tasks.classify.task import ClassifyTask
from glioseg.tasks.segment.task import SegmentTask
from glioseg.tasks.task import AnyTask

TASKS: Mapping[TaskName, AnyTask] = MappingProxyType({"segment": SegmentTask(), "classify": ClassifyTask()})


def task_named(name: TaskName) -> AnyTask:
    """The task of a recipe (``recipe.task``) or a bundle (``info.task``)."""
    return TASKS[name]
