"""Cohorts on which the command runs, each written once in a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from glioseg.cohorts.phantom import PhantomOptions, PhantomPatient, generate_patient
from glioseg.cohorts.write import WriteOptions, write_cohort
from tests.cli.command import glioseg
from tests.fakes.cases import toy_cases
from tests.store import Store

PHANTOM = PhantomOptions(n_patients=2, spacing_mm=6.0)

Cohorts = Callable[[str], Path]
"""Layout -> the folder of a cohort in it; not to be changed."""


@pytest.fixture(scope="session")
def phantom_patients() -> Sequence[PhantomPatient]:
    """What the files of ``phantoms`` must hold."""
    return [generate_patient(PHANTOM, index) for index in range(PHANTOM.n_patients)]


@pytest.fixture(scope="session")
def phantoms(store: Store) -> Cohorts:
    """Two phantom patients, written by the command; ``tissues`` are those of brats2023."""

    def write(root: Path, layout: str) -> None:
        given = ["--patients", "2", "--spacing", "6", "--layout", layout]
        given += ["--tissues", str(root / "tissues")] if layout == "brats2023" else []
        ran = glioseg("phantom", root / layout, *given)
        assert (ran.code, ran.out.splitlines()[0]) == (0, f"2 phantom patients: {root / layout}")

    def folder(name: str) -> Path:
        layout = "brats2023" if name == "tissues" else name
        return store.get(f"phantoms-{layout}", lambda root: write(root, layout)) / name

    return folder


@pytest.fixture
def toys(tmp_path: Path) -> Cohorts:
    """Two toy cases of 6 x 5 x 4 voxels, with one voxel of each label in slice 1; a test may damage them."""

    def folder(layout: str) -> Path:
        write_cohort(toy_cases(2), tmp_path / layout, layout, WriteOptions(picture_gap_mm=1.0))
        return tmp_path / layout

    return folder
