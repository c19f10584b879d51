"""Figures that a publication gives for a classifier, for recipes that follow one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from glioseg.core.targets import TaskName
from glioseg.evaluation.classification import ClassFigures
from glioseg.evaluation.metrics import ClassMetricName
from glioseg.evaluation.published import PublishedRow
from glioseg.evaluation.score import reading

_ENOUGH = 20


class PublishedClassFigure(BaseModel):
    """A figure of a publication."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: ClassMetricName
    value: float = Field(ge=0, le=1)
    where: str = Field(min_length=1, description="what the figure is said of, and where")


class PublishedClasses(BaseModel):
    """What the authors of a publication report of a classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: ClassVar[TaskName] = "classify"

    source: str = Field(min_length=1, description="the publication")
    split: Literal["patient", "slice"] = Field("patient", description="what the authors kept together in their split")
    copies_apart: bool = Field(True, description="whether copies of a picture may lie in several parts of their split")
    data: str = Field("", description="the authors' data set")
    n_patients: int | None = Field(None, ge=1, description="pictures of it; None where they do not say")
    settings: Mapping[str, Any] = Field(
        default_factory=dict, description="settings by which the figures came about, where not the recipe's"
    )
    figures: tuple[PublishedClassFigure, ...] = Field(min_length=1)


@dataclass(frozen=True)
class ClassesAsPublished:
    """The block ``as_published`` of a classifier's evaluation.

    Args:
        source: the publication.
        data: its data set.
        n_items: pictures that were scored.
        figures: published, each with the obtained value, None where that is undefined.
        not_comparable: why they must not be read against each other; empty where they may.
    """

    source: str
    data: str
    n_items: int
    figures: tuple[tuple[PublishedClassFigure, float | None], ...]
    not_comparable: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Strict JSON; undefined figures are null."""
        return {
            "protocol": {"source": self.source, "data": self.data},
            "n_items": self.n_items,
            "comparable": not self.not_comparable,
            "not_comparable": list(self.not_comparable),
            "figures": [
                {"metric": figure.metric, "where": figure.where, "published": figure.value, "obtained": obtained}
                for figure, obtained in self.figures
            ],
        }

    def rows(self, part: str) -> list[PublishedRow]:
        """The published values, which are all of the test part."""
        if part != "test":
            return []
        return [
            PublishedRow(part, figure.where, figure.metric, "picture", "none", figure.value, obtained)
            for figure, obtained in self.figures
        ]

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote.

        Raises:
            ScoreError: not such a block.
        """
        with reading("a block of published figures"):
            return cls(
                source=block["protocol"]["source"],
                data=block["protocol"]["data"],
                n_items=int(block["n_items"]),
                figures=tuple(
                    (
                        PublishedClassFigure(metric=values["metric"], value=values["published"], where=values["where"]),
                        values["obtained"],
                    )
                    for values in block["figures"]
                ),
                not_comparable=tuple(block["not_comparable"]),
            )


def published_classes(
    figures: ClassFigures, protocol: PublishedClasses, reasons: Sequence[str] = ()
) -> ClassesAsPublished:
    """Published and obtained side by side, and why they may not be compared."""
    apart = ["copies of pictures may lie in several parts of the authors' split"] if protocol.copies_apart else []
    few = [f"{figures.n_items} pictures, fewer than {_ENOUGH}"] if figures.n_items < _ENOUGH else []
    return ClassesAsPublished(
        source=protocol.source,
        data=protocol.data,
        n_items=figures.n_items,
        figures=tuple((figure, figures.metrics[figure.metric].value) for figure in protocol.figures),
        not_comparable=(*reasons, *apart, *few),
    )
