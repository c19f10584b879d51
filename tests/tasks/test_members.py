"""Files that a user names -> cases that networks see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glioseg.core import Grid
from glioseg.errors import OptionError
from glioseg.io.nifti import write_nifti
from glioseg.tasks.members import single_case

NEEDED = ("t1n", "t1c", "t2w", "t2f")


@pytest.mark.parametrize(
    ("file", "modality"),
    [("p1_flair.nii.gz", "t2f"), ("p1-t1c.nii.gz", "t1c"), ("T1_post.nii.gz", "t1c"), ("flair.nii", "t2f")],
)
def test_one_file_is_what_its_name_says(tmp_path: Path, file: str, modality: str) -> None:
    """Whether the network can do with it alone is asked later, of every case."""
    write_nifti(tmp_path / "p1" / file, np.ones((4, 4, 4), np.int16), Grid((4, 4, 4), np.eye(4)))
    case = single_case(tmp_path / "p1" / file, NEEDED)
    assert list(case.images) == [modality]
    assert case.images[modality].paths == (tmp_path / "p1" / file,)


def test_one_file_whose_name_says_nothing_is_not_guessed(tmp_path: Path) -> None:
    write_nifti(tmp_path / "scan.nii.gz", np.ones((4, 4, 4), np.int16), Grid((4, 4, 4), np.eye(4)))
    with pytest.raises(OptionError, match=r"the network needs several; .*expected t1n, t1c, t2w, t2f"):
        single_case(tmp_path / "scan.nii.gz", NEEDED)
