"""Scoring as a publication did: its grid, slices, unit and rule for empty masks, whatever one thinks of them.

The same predictions give a Dice of 0.58 or 0.75 depending on whether slices or patients are averaged and on what two
empty masks count. So a recipe that follows a publication names each of these, and only figures computed under them
stand beside the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from glioseg.core import PartName
from glioseg.core.targets import TaskName
from glioseg.errors import ScoreError, listed, name_some
from glioseg.evaluation.cases import CaseScores, GridName, select_slices
from glioseg.evaluation.comparable import ALL_ASPECTS, Aspect, Reason, against, too_few
from glioseg.evaluation.metrics import OverlapMetricName, ruled_ratio
from glioseg.evaluation.overlap import emptiness, mean_or_none
from glioseg.evaluation.score import EMPTY_RULES, EmptyRule, Flags, Integers, reading
from glioseg.frozen import Frozen

Unit = Literal["slice", "case", "batch", "pooled"]
SliceChoice = Literal["all", "tumour-bearing", "recipe"]
MEAN = "mean"


class PublishedFigure(Frozen):
    """A figure that a publication reports, and how it was averaged."""

    metric: OverlapMetricName
    unit: Unit = Field(description="what the mean is over; pooled: one ratio from all voxels")
    empty: EmptyRule = Field(description="what counts where a mask is empty and a ratio is 0/0")
    values: Mapping[str, float] = Field(
        default_factory=dict, description="published value by region, and under 'mean' the mean over regions"
    )
    part: PartName = Field("test", description="the part of the authors' data that it is of")
    must_agree: tuple[Aspect, ...] = Field(
        ALL_ASPECTS, description="in what a run must be as the authors' before its figure is comparable"
    )

    @property
    def name(self) -> str:
        """What it is and over what: ``dice by slice``, ``dice pooled``."""
        return f"{self.metric} {'pooled' if self.unit == 'pooled' else f'by {self.unit}'}"


class PublishedProtocol(Frozen):
    """How the authors of a publication scored, for recipes that follow one."""

    task: ClassVar[TaskName] = "segment"

    source: str = Field(min_length=1, description="the publication, and which of its figures these are")
    grid: GridName = Field(description="native, or the recipe's working grid")
    slices: SliceChoice = Field(
        description="all; those whose reference has tumour; those that the recipe keeps (dark ones dropped)"
    )
    batch: int | None = Field(None, ge=1, description="slices in a batch, for figures averaged over batches")
    split: Literal["patient", "slice"] = Field("patient", description="what the authors kept together in their split")
    data: str = Field("", description="the authors' data set")
    n_patients: int | None = Field(None, ge=1, description="patients of it; None where they do not say")
    n_scored: int | None = Field(
        None, ge=1, description="patients that the figures are of; fewer are too few only if there are fewer than 20"
    )
    epoch: Literal["best", "last"] | None = Field(
        None, description="which epoch's network the figures are of; None where they do not say"
    )
    settings: Mapping[str, Any] = Field(
        default_factory=dict, description="settings by which the figures came about, where not the recipe's"
    )
    figures: tuple[PublishedFigure, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _batch_is_known(self) -> PublishedProtocol:
        uses_batches = any(figure.unit == "batch" for figure in self.figures)
        if uses_batches != (self.batch is not None):
            raise ValueError("batch: give the number of slices if, and only if, a figure has the unit 'batch'")
        return self


def protocol_of_part(protocol: PublishedProtocol, part: str) -> PublishedProtocol | None:
    """The protocol with those figures alone that the authors give of a part; None where they give none of it."""
    figures = tuple(figure for figure in protocol.figures if figure.part == part)
    if not figures:
        return None
    in_batches = any(figure.unit == "batch" for figure in figures)
    return protocol.model_copy(update={"figures": figures, "batch": protocol.batch if in_batches else None})


def protocol_of(protocol: PublishedProtocol, part: str) -> tuple[PublishedProtocol, tuple[Reason, ...]]:
    """The protocol with the figures that were published of a part, and why others do not fit it.

    Where none was published of that part, those of the other parts stand there, and the reason says of which they are.
    """
    figures = tuple(figure for figure in protocol.figures if figure.part == part)
    if any(figure.values for figure in figures) or not any(figure.values for figure in protocol.figures):
        return protocol.model_copy(update={"figures": figures or protocol.figures}), ()
    parts = sorted({figure.part for figure in protocol.figures if figure.values})
    words = f"scored on the {part} part, published on the {listed(parts)} part"
    return protocol, (Reason("part", words),)


@dataclass(frozen=True)
class PublishedRow:
    """One published value and what was obtained: a line of a table, whatever the network was asked for.

    Args:
        part: of the data.
        region: or ``mean`` over regions; of a classifier where the authors say it.
        metric: scored as follows.
        unit: what the mean is over.
        empty: rule for empty masks; ``none`` where there are no masks.
        published: by the authors.
        obtained: None where it is undefined.
        not_comparable: why the two must not be read against each other; empty where they may.
    """

    part: str
    region: str
    metric: str
    unit: str
    empty: str
    published: float
    obtained: float | None
    not_comparable: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObtainedFigure:
    """A published figure and what was obtained.

    Args:
        figure: published.
        obtained: region, or ``mean`` over regions -> value, None where undefined.
        not_comparable: why the two must not be read against each other; empty where they may.
    """

    figure: PublishedFigure
    obtained: Mapping[str, float | None]
    not_comparable: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Metric, unit, rule, and obtained and published values side by side."""
        return {
            "part": self.figure.part,
            "metric": self.figure.metric,
            "unit": self.figure.unit,
            "empty": self.figure.empty,
            "empty_meaning": EMPTY_RULES[self.figure.empty],
            "must_agree": list(self.figure.must_agree),
            "comparable": not self.not_comparable,
            "not_comparable": list(self.not_comparable),
            "regions": {
                name: {"obtained": value, "published": self.figure.values.get(name)}
                for name, value in self.obtained.items()
            },
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any], not_comparable: Sequence[str]) -> Self:
        """What ``to_json`` wrote; ``not_comparable`` stands in where each figure had no reasons of its own yet.

        Raises:
            ScoreError: not such a figure.
        """
        with reading("a published figure"):
            regions = block["regions"]
            published_values = {name: values["published"] for name, values in regions.items()}
            figure = PublishedFigure(
                metric=block["metric"],
                unit=block["unit"],
                empty=block["empty"],
                values={name: value for name, value in published_values.items() if value is not None},
                part=block.get("part", "test"),
                must_agree=tuple(block.get("must_agree", ALL_ASPECTS)),
            )
            obtained = {name: values["obtained"] for name, values in regions.items()}
            return cls(figure, obtained, tuple(block.get("not_comparable", not_comparable)))


@dataclass(frozen=True)
class AsPublished:
    """The block ``as_published`` of an evaluation.

    Args:
        protocol: how it was scored.
        n_cases: cases with at least one slice that counts.
        n_patients: their patients.
        n_slices: slices that count.
        results: one per figure of the protocol, each with what is against comparing it.
    """

    protocol: PublishedProtocol
    n_cases: int
    n_patients: int
    n_slices: int
    results: tuple[ObtainedFigure, ...]

    @property
    def not_comparable(self) -> tuple[str, ...]:
        """Why some figure must not be read against the published one; empty where all may."""
        return tuple(dict.fromkeys(words for result in self.results for words in result.not_comparable))

    def to_json(self) -> dict[str, object]:
        """Strict JSON; undefined figures are null."""
        return {
            "protocol": {
                "source": self.protocol.source,
                "grid": self.protocol.grid,
                "slices": self.protocol.slices,
                "batch": self.protocol.batch,
            },
            "n_cases": self.n_cases,
            "n_patients": self.n_patients,
            "n_slices": self.n_slices,
            "comparable": not self.not_comparable,
            "not_comparable": list(self.not_comparable),
            "figures": [result.to_json() for result in self.results],
        }

    def rows(self, part: str) -> list[PublishedRow]:
        """The published values that are of this part."""
        return [
            PublishedRow(
                part,
                region,
                figure.metric,
                figure.unit,
                figure.empty,
                value,
                result.obtained[region],
                result.not_comparable,
            )
            for result in self.results
            if (figure := result.figure).part == part
            for region, value in figure.values.items()
        ]

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote; the authors' data and settings, which it does not hold, are unknown.

        Raises:
            ScoreError: not such a block.
        """
        with reading("a block of published figures"):
            described, reasons = block["protocol"], block["not_comparable"]
            results = tuple(ObtainedFigure.from_json(figure, reasons) for figure in block["figures"])
            return cls(
                protocol=PublishedProtocol(**described, figures=tuple(result.figure for result in results)),
                n_cases=int(block["n_cases"]),
                n_patients=int(block["n_patients"]),
                n_slices=int(block["n_slices"]),
                results=results,
            )


def published(
    cases: Sequence[CaseScores],
    protocol: PublishedProtocol,
    *,
    kept_slices: Mapping[str, Flags] | None = None,
    reasons: Sequence[Reason] = (),
) -> AsPublished:
    """Score by a publication's protocol.

    Batches are of consecutive slices, through the cases in order of their ids, the last one as short as it comes.

    Args:
        cases: scored on the protocol's grid, the same regions in each.
        protocol: how.
        kept_slices: case id -> (S,) the slices that the recipe keeps; needed where the protocol counts only these.
        reasons: in what the caller knows the run not to be as the publication (other data, another split).

    Raises:
        ScoreError: no slice to count, another grid, differing regions, figures for regions that were not scored, or
            ``kept_slices`` lacking.
    """
    regions = _checked_regions(cases, protocol)
    chosen = [
        part
        for case in sorted(cases, key=lambda case: case.case)
        if (part := select_slices(case, _marks(case, protocol.slices, kept_slices))) is not None
    ]
    if not chosen:
        raise ScoreError("no slice is left to be scored as published", found=f"slices: {protocol.slices}")
    n_patients = len({case.patient for case in chosen})
    reasons = (*reasons, *too_few(n_patients, "patient", protocol.n_scored))
    return AsPublished(
        protocol=protocol,
        n_cases=len(chosen),
        n_patients=n_patients,
        n_slices=sum(case.n_slices for case in chosen),
        results=tuple(_result(chosen, regions, figure, protocol.batch, reasons) for figure in protocol.figures),
    )


def _checked_regions(cases: Sequence[CaseScores], protocol: PublishedProtocol) -> tuple[str, ...]:
    if not cases:
        raise ScoreError("there is no case to evaluate")
    regions = cases[0].regions
    for case in cases:
        if case.regions != regions:
            raise ScoreError(f"case {case.case} was scored on other regions", found=case.regions, expected=regions)
        if case.grid != protocol.grid:
            raise ScoreError(
                f"case {case.case} was not scored on the published grid", found=case.grid, expected=protocol.grid
            )
    unknown = {name for figure in protocol.figures for name in figure.values} - {*regions, MEAN}
    if unknown:
        raise ScoreError(
            "published figures name regions that were not scored", found=name_some(sorted(unknown)), expected=regions
        )
    return regions


def _marks(case: CaseScores, choice: SliceChoice, kept_slices: Mapping[str, Flags] | None) -> Flags:
    """(S,) which slices of the case count."""
    if choice == "all":
        return np.ones(case.n_slices, dtype=np.bool_)
    if choice == "tumour-bearing":
        reference_empty, _ = emptiness(case.slices.regions)
        bearing: Flags = np.count_nonzero(reference_empty, axis=1) < len(case.regions)
        return bearing
    if kept_slices is None or case.case not in kept_slices:
        raise ScoreError(f"case {case.case}: it is not known which slices the recipe keeps")
    return kept_slices[case.case]


def _result(
    cases: Sequence[CaseScores],
    regions: Sequence[str],
    figure: PublishedFigure,
    batch: int | None,
    reasons: Sequence[Reason],
) -> ObtainedFigure:
    counts = _units(cases, figure.unit, batch)
    means = [mean_or_none(ruled_ratio(counts[:, row], figure.metric, figure.empty)) for row in range(len(regions))]
    overall = mean_or_none(np.array([np.nan if mean is None else mean for mean in means]))
    obtained = {**dict(zip(regions, means, strict=True)), MEAN: overall}
    return ObtainedFigure(figure, obtained, against(figure.must_agree, reasons))


def _units(cases: Sequence[CaseScores], unit: Unit, batch: int | None) -> Integers:
    """(U, R, 4) confusion counts of each unit that the mean is taken over."""
    if unit == "case":
        return np.stack([case.counts for case in cases])
    slices = np.concatenate([case.slices.regions for case in cases])
    if unit == "slice":
        return slices
    size = len(slices) if unit == "pooled" or batch is None else batch
    return np.add.reduceat(slices, np.arange(0, len(slices), size), axis=0)
