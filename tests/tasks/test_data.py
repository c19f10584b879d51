"""Which modalities of a cohort a network sees, by whatever names they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from glioseg.config import DataOptions
from glioseg.core import Cohort
from glioseg.errors import OptionError
from glioseg.tasks.data import with_modalities
from tests.preparation.toys import toy_cohort


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
