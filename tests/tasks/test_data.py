"""Which modalities of a cohort a network sees, by whatever names they are called."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glioseg.config import DataOptions
from glioseg.core import Cohort
from glioseg.errors import OptionError
from glioseg.tasks.data import unit_names, with_modalities
from tests.preparation.toys import toy_cohort


def _cohort_of(patients: dict[str, str]) -> Any:
    return SimpleNamespace(cases=[SimpleNamespace(id=case, patient=patient) for case, patient in patients.items()])


def test_patients_whose_cases_show_the_same_are_drawn_together() -> None:
    """a and c share a picture, c and b another one: three patients are one unit, named for the first of them."""
    cohort = _cohort_of({"1": "b", "2": "a", "3": "c", "4": "c", "5": "d"})
    copies = (
        frozenset("23"),
        frozenset("14"),
        frozenset("34"),
        frozenset({"5", "elsewhere"}),
        frozenset({"elsewhere"}),
    )
    assert unit_names(cohort, copies) == {"1": "a", "2": "a", "3": "a", "4": "a", "5": "d"}
    assert unit_names(cohort, ()) == {"1": "b", "2": "a", "3": "c", "4": "c", "5": "d"}


def test_many_copies_take_no_time() -> None:
    """20,000 pictures, each of which is there twice: 41 s, when all were looked through for each pair."""
    cohort = _cohort_of({f"{number:05d}": f"{number:05d}" for number in range(20_000)})
    started = time.process_time()
    units = unit_names(cohort, [frozenset((f"{2 * n:05d}", f"{2 * n + 1:05d}")) for n in range(10_000)])
    assert len(set(units.values())) == 10_000
    assert time.process_time() - started < 5


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Two cases of t1c and t2f."""
    return toy_cohort(tmp_path, 2)


def test_a_network_sees_a_modality_by_the_name_that_it_was_trained_with(cohort: Cohort) -> None:
    shown = with_modalities(cohort, ("flair",))
    assert shown.modalities == ("flair",)
    assert [case.images for case in shown.cases] == [{"flair": case.images["t2f"]} for case in cohort.cases]


def test_our_own_names_change_nothing(cohort: Cohort) -> None:
    assert with_modalities(cohort, ("t2f", "t1c")) is cohort
    assert with_modalities(cohort, None) is cohort


def test_one_that_is_not_there_is_refused_by_the_name_that_was_said(cohort: Cohort) -> None:
    with pytest.raises(OptionError, match="has no modality t1; found t1c, t2f; expected"):
        with_modalities(cohort, ("t1", "flair"))


def test_a_recipe_names_those_of_the_cohort() -> None:
    older = DataOptions(modalities=("flair", "T1Gd"))
    assert older.of(("t1n", "t1c", "t2f")) == ("t2f", "t1c")
    assert DataOptions(modalities=("flair",)).of(("pre", "flair", "post")) == ("flair",)
    assert DataOptions().of(("t1n",)) is None
