"""What a bundle says of itself to people: a model card, every part of it optional. Nothing here decides a mask.

References:
    [1] Mitchell M et al. Model cards for model reporting. FAT* 2019.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from glioseg.frozen import Frozen


class DataFacts(Frozen):
    """Data that a network was trained, chosen or scored on.

    Attributes:
        name: of the data set.
        role: what it was used for, as in ``training`` or ``test only``.
        licence: under which it was published, as in ``CC BY-NC-SA 4.0``.
        terms: what the licence asks of whoever uses the network: citation, non-commercial use.
        source: where it is from: an address or a DOI.
        n_patients: how many of its patients were used.
        digest: SHA-256 of its contents.
    """

    name: str
    role: str = ""
    licence: str = ""
    terms: str = ""
    source: str = ""
    n_patients: int | None = Field(None, ge=0)
    digest: str = ""


class Figure(Frozen):
    """One figure of a network.

    Attributes:
        data: on which it was scored, by name.
        part: of it, as in ``test``.
        of: region or class; empty for a figure of all of them.
        metric: key of it in ``evaluation.metrics``, as in ``dice``.
        value: mean over cases.
        ci95: lowest and highest value of its 95 % interval.
        n_cases: how many it is the mean of.
        only: modalities that were shown, the others being hidden; empty where all were.
        note: on what was chosen, on whose grid, and what else a reader must know.
    """

    data: str
    part: str = "test"
    of: str = ""
    metric: str
    value: float
    ci95: tuple[float, float] | None = None
    n_cases: int | None = Field(None, ge=0)
    only: tuple[str, ...] = ()
    note: str = ""

    @model_validator(mode="after")
    def _interval_has_an_order(self) -> Self:
        if self.ci95 is not None and self.ci95[0] > self.ci95[1]:
            raise ValueError("the interval ci95 begins above its end")
        return self


class GroupFigure(Frozen):
    """The mean Dice of some of the cases, told apart by a fact.

    Attributes:
        part: of the data that was scored.
        of: region.
        fact: by which cases are told apart, as in ``size of WT``, ``site``, ``grade``.
        group: its value.
        value: mean over cases; None where none counts.
        ci95: lowest and highest value of its 95 % interval.
        n_patients: of the group.
        detectable: difference from the other groups that so many would show in four of five tries; None where it is
            not known.
    """

    part: str
    of: str
    fact: str
    group: str
    value: float | None = None
    ci95: tuple[float, float] | None = None
    n_patients: int = Field(ge=0)
    detectable: float | None = None


class Card(Frozen):
    """A model card [1].

    Attributes:
        name: under which the network is known.
        about: what it does, in a sentence or two.
        intended_use: for whom and for what it is meant.
        licence: of the weights.
        data: what it was trained, chosen and scored on.
        protocol: how it was trained and how its figures were made.
        figures: what it scored, with intervals.
        subgroups: the same by the size of the tumour and by what is known of the patients.
        limits: what it must not be used for, what it was never shown, where it is known to fail; a sentence each.
        references: what to cite.
    """

    name: str
    about: str
    intended_use: str = ""
    licence: str = ""
    data: tuple[DataFacts, ...] = ()
    protocol: str = ""
    figures: tuple[Figure, ...] = ()
    subgroups: tuple[GroupFigure, ...] = ()
    limits: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
