"""A row of ``log.jsonl`` as reports read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from glioseg.evaluation.score import reading

Place = tuple[str, ...]
"""Where a task's own figure stands in a row, such as ``("regions", "WT", "dice")``."""


@dataclass(frozen=True)
class LogRow:
    """One epoch; None where a figure was not measured, is undefined, or the epoch had no validation.

    Args:
        epoch: from 0.
        train_loss: mean over the epoch's batches.
        learning_rate: in the last step.
        images_per_s: slices or patches that training steps got through.
        elapsed_s: since the training began, validation included.
        val_loss: on validation.
        val_score: the score that picks the best model.
        own: figures of the task alone, which it logs within one another, by where they stand: ``("val_dice",)``,
            ``("regions", "WT", "dice")``, ``("classes", "recall", "yes")``.
    """

    epoch: int
    train_loss: float | None = None
    learning_rate: float | None = None
    images_per_s: float | None = None
    elapsed_s: float | None = None
    val_loss: float | None = None
    val_score: float | None = None
    own: Mapping[Place, float | None] = field(default_factory=dict)

    def figure(self, *place: str) -> float | None:
        """One of the task's own figures; None where the row lacks it too."""
        return self.own.get(place)

    def names(self, *place: str) -> tuple[str, ...]:
        """What stands below a place, in the order of the log: ``names("regions")`` are the regions."""
        depth = len(place)
        below = (other[depth] for other in self.own if other[:depth] == place and len(other) > depth)
        return tuple(dict.fromkeys(below))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """A line of the log. What is no number, as a task of one's own may log it, is left out.

        Raises:
            ScoreError: no such row.
        """
        with reading("a row of a training's log"):
            shared = {name: None if values.get(name) is None else float(values[name]) for name in _SHARED}
            own = {name: value for name, value in values.items() if name not in (*_SHARED, "epoch")}
            return cls(int(values["epoch"]), **shared, own=dict(_flattened(own)))


_SHARED = tuple(column.name for column in fields(LogRow) if column.name not in ("epoch", "own"))


def _flattened(values: Mapping[str, Any], above: Place = ()) -> Iterator[tuple[Place, float | None]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, (*above, name))
        elif value is None or isinstance(value, int | float):
            yield (*above, name), value
