"""Figures that a publication gives for a classifier, for recipes that follow one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from glioseg.core.targets import TaskName
from glioseg.evaluation.classification import ClassFigures
from glioseg.evaluation.comparable import ALL_ASPECTS, Aspect, Reason, against, too_few
from glioseg.evaluation.metrics import ClassMetricName
from glioseg.evaluation.published import PublishedRow
from glioseg.evaluation.score import reading
from glioseg.frozen import Frozen

Of = Literal["part", "picture", "claim"]


class PublishedClassFigure(Frozen):
    """A figure of a publication."""

    metric: ClassMetricName
    value: float = Field(ge=0, le=1)
    where: str = Field(min_length=1, description="what the figure is said of, and where")
    of: Of = Field(
        "part",
        description="measured on a part; or of a single picture, beside which no mean stands; or claimed, not measured",
    )
    must_agree: tuple[Aspect, ...] = Field(
        ALL_ASPECTS, description="in what a run must be as the authors' before its figure is comparable"
    )


class PublishedClasses(Frozen):
    """What the authors of a publication report of a classifier."""

    task: ClassVar[TaskName] = "classify"

    source: str = Field(min_length=1, description="the publication")
    split: Literal["patient", "slice"] = Field("patient", description="what the authors kept together in their split")
    copies_apart: bool = Field(True, description="whether copies of a picture may lie in several parts of their split")
    data: str = Field("", description="the authors' data set")
    n_patients: int | None = Field(None, ge=1, description="pictures of it; None where they do not say")
    n_scored: int | None = Field(
        None, ge=1, description="pictures that the figures are of; fewer are too few only if there are fewer than 20"
    )
    epoch: Literal["best", "last"] | None = Field(
        None, description="which epoch's network the figures are of; None where they do not say"
    )
    settings: Mapping[str, Any] = Field(
        default_factory=dict, description="settings by which the figures came about, where not the recipe's"
    )
    figures: tuple[PublishedClassFigure, ...] = Field(min_length=1)


@dataclass(frozen=True)
class ObtainedClassFigure:
    """A published figure and what was obtained.

    Args:
        figure: published.
        obtained: None where it is undefined, or nothing stands beside the published one.
        not_comparable: why the two must not be read against each other; empty where they may.
    """

    figure: PublishedClassFigure
    obtained: float | None
    not_comparable: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The figure, published and obtained."""
        return {
            "metric": self.figure.metric,
            "where": self.figure.where,
            "of": self.figure.of,
            "must_agree": list(self.figure.must_agree),
            "published": self.figure.value,
            "obtained": self.obtained,
            "comparable": not self.not_comparable,
            "not_comparable": list(self.not_comparable),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], not_comparable: Sequence[str]) -> Self:
        """What ``to_json`` wrote; ``not_comparable`` stands in where each figure had no reasons of its own yet."""
        figure = PublishedClassFigure(
            metric=values["metric"],
            value=values["published"],
            where=values["where"],
            of=values.get("of", "part"),
            must_agree=tuple(values.get("must_agree", ALL_ASPECTS)),
        )
        return cls(figure, values["obtained"], tuple(values.get("not_comparable", not_comparable)))


@dataclass(frozen=True)
class ClassesAsPublished:
    """The block ``as_published`` of a classifier's evaluation.

    Args:
        source: the publication.
        data: its data set.
        n_items: pictures that were scored.
        figures: published, each with the obtained value and what is against comparing them.
    """

    source: str
    data: str
    n_items: int
    figures: tuple[ObtainedClassFigure, ...]

    @property
    def not_comparable(self) -> tuple[str, ...]:
        """Why some figure must not be read against the published one; empty where all may."""
        return tuple(dict.fromkeys(words for each in self.figures for words in each.not_comparable))

    def to_json(self) -> dict[str, object]:
        """Strict JSON; undefined figures are null."""
        return {
            "protocol": {"source": self.source, "data": self.data},
            "n_items": self.n_items,
            "comparable": not self.not_comparable,
            "not_comparable": list(self.not_comparable),
            "figures": [each.to_json() for each in self.figures],
        }

    def rows(self, part: str) -> list[PublishedRow]:
        """The published values, which are all of the test part."""
        if part != "test":
            return []
        return [
            PublishedRow(
                part,
                each.figure.where,
                each.figure.metric,
                "picture",
                "none",
                each.figure.value,
                each.obtained,
                each.not_comparable,
            )
            for each in self.figures
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
                    ObtainedClassFigure.from_json(values, block["not_comparable"]) for values in block["figures"]
                ),
            )


def published_classes(
    figures: ClassFigures, protocol: PublishedClasses, reasons: Sequence[Reason] = ()
) -> ClassesAsPublished:
    """Published and obtained side by side, and why they may not be compared.

    Args:
        figures: of the part.
        protocol: of the publication.
        reasons: in what the run is not as the publication.
    """
    reasons = (*reasons, *too_few(figures.n_items, "picture", protocol.n_scored))
    return ClassesAsPublished(
        source=protocol.source,
        data=protocol.data,
        n_items=figures.n_items,
        figures=tuple(_beside(figure, figures, reasons) for figure in protocol.figures),
    )


def _beside(figure: PublishedClassFigure, figures: ClassFigures, reasons: Sequence[Reason]) -> ObtainedClassFigure:
    words = against(figure.must_agree, reasons)
    if figure.of == "picture":
        return ObtainedClassFigure(figure, None, ("it is of a single picture, beside which no mean stands", *words))
    obtained = figures.metrics[figure.metric].value
    claimed = ("it was claimed and not measured",) if figure.of == "claim" else ()
    return ObtainedClassFigure(figure, obtained, (*claimed, *words))
