"""Dealing patients out to parts so that tumour burden, class and site are alike in all of them.

What may not be torn apart is a *unit*: a patient with all time points, joined with every patient who shows the same.
Units of one patient are stratified by site, class and tumour burden: in each stratum, at each site and in all, every
part gets its ideal number of them, rounded down or up. Such a controlled rounding [1]_ always exists, since strata,
sites and the whole are nested; it is found by linear programming, whose corners are whole numbers here as in every
network. Units of several patients are dealt out before, each to the part that it brings nearest to its share (D'Hondt).

Everything random is a hash of seed and name, so that the order of the cases does not matter.

.. [1] Cox LH. A constructive procedure for unbiased controlled rounding. Journal of the American Statistical
   Association 82 (1987) 520-524.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Case, Cohort
from glioseg.errors import SplitError

Groups = Iterable[Collection[str]]
"""Groups of ids of cases that show the same."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Unit:
    """What may not be torn apart.

    Args:
        patients: sorted.
        site: where they were scanned; several names where the patients of a group differ, empty where unknown.
        stratum: site, class and level of tumour burden.
    """

    patients: tuple[str, ...]
    site: str
    stratum: tuple[str, str, str]


def units_of(cohort: Cohort, groups: Groups, burden: Mapping[str, float] | None, n_levels: int) -> list[Unit]:
    """The units of a cohort, in the order of their first patient's name.

    Args:
        cohort: its cases' facts name the site.
        groups: groups of cases that show the same; ids that the cohort lacks are left aside.
        burden: case id -> tumour volume; a unit's is the largest among its cases.
        n_levels: strata of burden with as many units each, besides one for no tumour and one for burden unknown.
    """
    joined = _joined(cohort, groups)
    burdens = [
        max((burden[case.id] for case in cases if burden and case.id in burden), default=None) for cases in joined
    ]
    units = []
    for cases, level in zip(joined, _levels(burdens, n_levels), strict=True):
        site = "+".join(sorted({str(case.facts["site"]) for case in cases if "site" in case.facts}))
        category = "+".join(sorted({case.category for case in cases if case.category is not None}))
        patients = tuple(sorted({case.patient for case in cases}))
        units.append(Unit(patients, site, (site, category, level)))
    return sorted(units, key=lambda unit: unit.patients)


def deal(units: Sequence[Unit], shares: Sequence[float], seed: str) -> list[list[Unit]]:
    """Units to parts.

    Args:
        units: see ``units_of``.
        shares: of each part; they sum to 1. A part with a share gets at least one unit, a part without gets none.
        seed: decides everything random; other for other purposes.

    Returns:
        the units of each part.

    Raises:
        SplitError: fewer units than parts with a share.
    """
    with_share = [number for number, share in enumerate(shares) if share > 0]
    if len(units) < len(with_share):
        raise SplitError(
            "there are fewer patients than parts or folds",
            found=f"{len(units)} that may be separated",
            expected=f"at least {len(with_share)}",
            remedy="Ask for fewer folds, or set the share of a part to 0",
        )
    parts: list[list[Unit]] = [[] for _ in shares]
    targets = np.asarray(shares, dtype=np.float64) * sum(len(unit.patients) for unit in units)
    single = [unit for unit in units if len(unit.patients) == 1]
    _deal_large([unit for unit in units if len(unit.patients) > 1], len(single), targets, parts, seed)
    if single:
        left = np.maximum(targets - [_n_patients(part) for part in parts], 0.0)
        needy = [number for number in with_share if not parts[number]]
        _deal_single(single, _targets(left, len(single), needy), parts, seed)
    return parts


def _joined(cohort: Cohort, groups: Groups) -> list[list[Case]]:
    """The cases of each unit: those of patients whom groups connect."""
    of_case = {case.id: case.patient for case in cohort.cases}
    leader = {patient: patient for patient in of_case.values()}

    def find(patient: str) -> str:
        while leader[patient] != patient:
            leader[patient] = leader[leader[patient]]
            patient = leader[patient]
        return patient

    for group in groups:
        roots = sorted({find(of_case[name]) for name in group if name in of_case})
        for root in roots[1:]:
            leader[root] = roots[0]
    units: dict[str, list[Case]] = defaultdict(list)
    for case in cohort.cases:
        units[find(case.patient)].append(case)
    return list(units.values())


def _levels(burdens: Sequence[float | None], n_levels: int) -> list[str]:
    """The quantile that each burden is in, from 1; ``none`` for no tumour, empty where it is not known."""
    volumes = np.array([value for value in burdens if value is not None and value > 0], dtype=np.float64)
    if n_levels == 1 or len(volumes) == 0:
        return [""] * len(burdens)
    edges = np.quantile(volumes, np.linspace(0, 1, n_levels + 1)[1:-1])

    def word(value: float | None) -> str:
        if value is None:
            return ""
        return "none" if value <= 0 else str(1 + int(np.searchsorted(edges, value, side="left")))

    return [word(value) for value in burdens]


def _deal_large(
    units: Sequence[Unit], n_single: int, targets: npt.NDArray[np.float64], parts: list[list[Unit]], seed: str
) -> None:
    """Units of several patients, the largest first: each to the part with most room for it, no part left without."""
    ordered = sorted(units, key=lambda unit: (-len(unit.patients), unit.stratum, _hash(seed, *unit.patients)))
    for position, unit in enumerate(ordered):
        left = len(ordered) - position + n_single
        empty = [number for number, target in enumerate(targets) if target > 0 and not parts[number]]
        among = empty if len(empty) >= left else [number for number, target in enumerate(targets) if target > 0]
        quotas = [targets[number] / (_n_patients(parts[number]) + len(unit.patients)) for number in among]
        parts[among[int(np.argmax(quotas))]].append(unit)


def _targets(room: npt.NDArray[np.float64], n: int, needy: Sequence[int]) -> npt.NDArray[np.float64]:
    """How many of ``n`` units each part should get: in proportion to its room, at least one for the needy."""
    targets = room * (n / room.sum())
    short: set[int] = set()
    while newly_short := {number for number in needy if targets[number] < 1 - _ROUNDING} - short:
        short |= newly_short
        others = [number for number in range(len(room)) if number not in short]
        scale = (n - len(short)) / max(room[others].sum(), _ROUNDING)
        targets = room * scale
        targets[sorted(short)] = 1.0
    return np.asarray(targets)


def _deal_single(units: Sequence[Unit], targets: npt.NDArray[np.float64], parts: list[list[Unit]], seed: str) -> None:
    """Units of one patient: as many of each stratum to each part as ``_rounded`` says, which of them by hash."""
    strata: dict[tuple[str, str, str], list[Unit]] = defaultdict(list)
    for unit in sorted(units, key=lambda unit: _hash(seed, *unit.patients)):
        strata[unit.stratum].append(unit)
    names = sorted(strata)
    ideal = np.outer([len(strata[name]) for name in names], targets / len(units))
    counts = _rounded(ideal, [name[0] for name in names], seed)
    for name, row in zip(names, counts, strict=True):
        ends = np.cumsum(row)
        for number, (start, end) in enumerate(zip(ends - row, ends, strict=True)):
            parts[number] += strata[name][start:end]


def _rounded(ideal: npt.NDArray[np.float64], sites: Sequence[str], seed: str) -> npt.NDArray[np.int64]:
    """Whole numbers next to ``ideal``, cell by cell, at each site and in all.

    Args:
        ideal: (S strata, P parts) whose rows sum to whole numbers.
        sites: (S,) of each stratum.
        seed: where several roundings are possible, a cell is rounded up as often as its fraction says.

    Returns:
        (S, P) integers with the rows' sums.
    """
    n_strata, n_parts = ideal.shape
    fractions = ideal - np.floor(ideal + _ROUNDING)
    draws = np.array([[_draw(seed, str(row), str(part)) for part in range(n_parts)] for row in range(n_strata)])
    costs = -np.log(draws) / np.maximum(fractions, 1e-6)
    of_site: dict[str, list[int]] = defaultdict(list)
    for row, site in enumerate(sites):
        of_site[site].append(row)
    from scipy import sparse  # slow to import, and only drawing a split needs it
    from scipy.optimize import linprog

    cells = np.arange(ideal.size).reshape(ideal.shape)
    summed, most = [], []
    for rows in [*(of_site[site] for site in sorted(of_site)), list(range(n_strata))]:
        for part in range(n_parts):
            total = float(ideal[rows, part].sum())
            summed += [(cells[rows, part], 1.0), (cells[rows, part], -1.0)]
            most += [_up(total), -_down(total)]
    starts = np.cumsum([0, *(len(places) for places, _ in summed)])
    signs = np.concatenate([np.full(len(places), sign) for places, sign in summed])
    sums: Any = sparse.csr_array((signs, np.concatenate([places for places, _ in summed]), starts))
    of_strata: Any = sparse.kron(sparse.eye_array(n_strata), np.ones((1, n_parts)))  # SciPy types no sparse tables
    solved = linprog(
        costs.ravel(),
        A_ub=sums,
        b_ub=np.array(most),
        A_eq=of_strata,
        b_eq=np.rint(ideal.sum(axis=1)),
        bounds=[(_down(value), _up(value)) for value in ideal.ravel()],
        method="highs-ds",
    )
    if solved.x is None:  # cannot be: the ideal numbers themselves satisfy everything
        raise SplitError("no split with these shares was found", found=solved.message)
    return np.asarray(np.rint(solved.x).reshape(ideal.shape), dtype=np.int64)


def _down(value: float) -> int:
    return math.floor(value + _ROUNDING)


def _up(value: float) -> int:
    return math.ceil(value - _ROUNDING)


def _n_patients(part: Sequence[Unit]) -> int:
    return sum(len(unit.patients) for unit in part)


def _hash(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _draw(*words: str) -> float:
    """A number above 0 and up to 1."""
    return (int(_hash(*words)[:13], 16) + 1) / 16**13
