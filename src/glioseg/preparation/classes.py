"""Which class a picture or a slice is of: its folder's, or whether its reference shows tumour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glioseg.core import Cohort
from glioseg.errors import LabelError, SplitError, name_some
from glioseg.preparation.slices import tumour_slices
from glioseg.preparation.store import PreparedCase, PreparedCohort

NO_YES = ("no", "yes")
"""The classes of slices in a cohort with masks: without and with tumour."""


def class_names(cohort: Cohort) -> tuple[str, ...]:
    """The classes of a cohort in index order: its folders', or those of slices where it has masks."""
    return cohort.categories or NO_YES


def slice_classes(case: PreparedCase, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """(Z,) class index of each slice of a case.

    A case with a category is of one class throughout. Of a case with a reference a slice has class 1 where the
    reference shows tumour on the working grid (``slices.tumour_slices``), else 0.

    Raises:
        LabelError: neither category nor reference, or a category that is not among the classes.
    """
    if case.category is not None:
        if case.category not in classes:
            raise LabelError(
                f"case {case.id} is of a class that the network does not know",
                found=case.category,
                expected=f"one of {', '.join(classes)}",
            )
        return np.full(case.n_slices, classes.index(case.category), dtype=np.int64)
    if case.region_voxels is None:
        raise LabelError(f"the class of case {case.id} is not known", expected="a class folder, or a reference")
    return tumour_slices(case).astype(np.int64)


def require_classes(prepared: PreparedCohort, classes: Sequence[str], part: str) -> None:
    """Refuse a part of a split in which a class does not occur: nothing could be learnt or said of it.

    Raises:
        LabelError: one class alone.
        SplitError: a class without a picture (slice).
    """
    if len(classes) < 2:
        raise LabelError(
            "a classifier needs two classes",
            path=prepared.name,
            found=", ".join(classes),
            expected="two classes or more, each in a folder of its own",
        )
    counts = np.zeros(len(classes), dtype=np.int64)
    for case in prepared.cases:
        counts += np.bincount(slice_classes(case, classes), minlength=len(classes))
    absent = [name for name, n in zip(classes, counts, strict=True) if not n]
    if absent:
        raise SplitError(
            f"the {part} part of the split has no picture of a class",
            path=prepared.name,
            found=f"none of {name_some(absent)}; "
            + ", ".join(f"{n} of {name}" for name, n in zip(classes, counts, strict=True) if n),
            expected="pictures of every class in the training and in the validation part",
            remedy="Add pictures of that class (copies of one picture count as one), or change the split's shares",
        )
