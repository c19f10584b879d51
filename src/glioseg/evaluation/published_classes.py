"""Figures that a publication gives for a classifier, for recipes that follow one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from glioseg.core.targets import TaskName
from glioseg.evaluation.classification import ClassFigures
from glioseg.evaluation.metrics import ClassMetricName

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


def published_classes(
    figures: ClassFigures, protocol: PublishedClasses, reasons: Sequence[str] = ()
) -> dict[str, object]:
    """The block ``as_published``: published and obtained side by side, and why they may not be compared."""
    apart = ["copies of pictures may lie in several parts of the authors' split"] if protocol.copies_apart else []
    few = [f"{figures.n_items} pictures, fewer than {_ENOUGH}"] if figures.n_items < _ENOUGH else []
    why = [*reasons, *apart, *few]
    return {
        "protocol": {"source": protocol.source, "data": protocol.data},
        "n_items": figures.n_items,
        "comparable": not why,
        "not_comparable": why,
        "figures": [
            {
                "metric": figure.metric,
                "where": figure.where,
                "published": figure.value,
                "obtained": figures.metrics[figure.metric].value,
            }
            for figure in protocol.figures
        ],
    }
