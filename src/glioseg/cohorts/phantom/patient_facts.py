"""Who the patients are: age, sex, grade, site, extent of resection and survival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.phantom.contrast import SCANNERS
from glioseg.cohorts.phantom.tumour import PhantomLesion
from glioseg.core.case import Facts


@dataclass(frozen=True)
class PatientFacts:
    """What is decided before the brain is drawn.

    Args:
        age: years.
        sex: F or M.
        high_grade: whether the tumour enhances.
        several: whether there are several lesions.
        site: index of the scanner.
        resection: GTR or STR, gross or subtotal.
        luck: what age, grade and size do not explain of the survival, standard normal.
    """

    age: float
    sex: str
    high_grade: bool
    several: bool
    site: int
    resection: str
    luck: float


def draw_facts(rng: np.random.Generator, share_high_grade: float, share_several: float) -> PatientFacts:
    """Draw a patient; high-grade gliomas come about two decades later in life than low-grade ones."""
    high_grade = bool(rng.random() < share_high_grade)
    age = rng.normal(61.0, 11.0) if high_grade else rng.normal(42.0, 12.0)
    return PatientFacts(
        age=float(np.round(np.clip(age, 19.0, 88.0), 1)),
        sex="M" if rng.random() < 0.58 else "F",
        high_grade=high_grade,
        several=bool(rng.random() < share_several),
        site=int(rng.integers(len(SCANNERS))),
        resection="GTR" if rng.random() < 0.6 else "STR",
        luck=float(rng.normal()),
    )


def facts_of(
    person: PatientFacts, lesions: Sequence[PhantomLesion], labels: npt.NDArray[np.uint8], spacing_mm: float
) -> Facts:
    """The table row of a patient.

    Survival is log-normal around about 14 months in high grade and 7 years in low grade, shorter with age, with the
    size of the core and after subtotal resection.

    Args:
        person: the patient.
        lesions: the tumour.
        labels: its label at the brain voxels.
        spacing_mm: of those voxels.
    """
    core_ml = float(np.count_nonzero((labels == 1) | (labels == 3))) * spacing_mm**3 / 1000.0
    usual = np.log(420.0) if person.high_grade else np.log(2500.0)
    days = usual - 0.018 * (person.age - 55.0) - 0.006 * (core_ml - 25.0) + 0.5 * person.luck
    days -= 0.25 if person.resection == "STR" else 0.0
    return {
        "age": person.age,
        "sex": person.sex,
        "survival_days": int(np.clip(np.round(np.exp(days)), 12, 6000)),
        "grade": "HGG" if person.high_grade else "LGG",
        "resection": person.resection,
        "site": SCANNERS[person.site].name,
        "n_lesions": len(lesions),
    }
