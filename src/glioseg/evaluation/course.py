"""How a tumour changes from one time point to the next: figures of one patient over time, and their change in percent.

Two changes are told, as trials tell them [1]: from the first time point, by which a response is judged, and from the
smallest value before, by which progression is.

References:
    [1] Wen PY et al. RANO 2.0. J Clin Oncol 2023;41:5187-5199: of the sum of products of diameters −50 % is a response
        and +25 % progression, of volumes −65 % and +40 %, if what else is asked for agrees (steroids, clinical state,
        new lesions, confirmation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SUM = "sum of products"
"""What the sum of products of diameters is called beside the regions."""


@dataclass(frozen=True)
class Change:
    """Of a figure at one time point, as shares: 0.25 is a quarter more; None where there is nothing to compare with."""

    from_first: float | None
    from_smallest: float | None


@dataclass(frozen=True)
class TimePoint:
    """One case of a patient.

    Args:
        name: of the case.
        day: days since the first time point; None where no dates are known.
        figures: region -> ml, and ``SUM`` -> mm², in the order in which they are shown.
    """

    name: str
    day: int | None
    figures: Mapping[str, float]


def changes(values: Sequence[float]) -> list[Change]:
    """The changes of a figure, in order of time; none at the first, and none from nothing."""
    all_changes = []
    for number, value in enumerate(values):
        before = values[:number]
        all_changes.append(
            Change(
                _relative(value, before[0]) if before else None,
                _relative(value, min(before)) if before else None,
            )
        )
    return all_changes


def changes_of(points: Sequence[TimePoint]) -> dict[str, list[Change]]:
    """Figure -> its changes, of time points that all have the same figures; in the order in which they are shown."""
    return {name: changes([point.figures[name] for point in points]) for name in points[0].figures}


def _relative(value: float, base: float) -> float | None:
    return None if base == 0 else value / base - 1
