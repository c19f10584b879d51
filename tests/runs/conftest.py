"""One tiny run, trained once, that all tests of workflows look at; none of them may change it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.write import write_phantom
from glioseg.config import Recipe
from tests.cli.command import Ran, glioseg
from tests.runs.toy import toy_recipe, write_toy


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """One thread and one process: toys gain nothing from more, and lose much where tests share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glioseg.cohorts.parallel.n_processors", lambda: 1)
        yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class TinyRun:
    """A phantom cohort in the layout of BraTS 2023, and a run on it."""

    data: Path
    cache: Path
    recipe_file: Path
    run: Path
    ran: Ran

    @property
    def recipe(self) -> Recipe:
        """What it was trained by."""
        return toy_recipe()


@pytest.fixture(scope="package")
def phantom_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five patients at 6 mm, as BraTS 2023 lays them out."""
    folder = tmp_path_factory.mktemp("phantom") / "data"
    write_phantom(PhantomOptions(n_patients=5, spacing_mm=6.0, seed=1), folder, "brats2023", n_workers=1)
    return folder


@pytest.fixture(scope="package")
def tiny(phantom_data: Path, _one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """``glioseg train`` on the phantom, with evaluation and report."""
    folder = tmp_path_factory.mktemp("tiny")
    recipe = write_toy(folder / "toy.toml")
    places = ["--data", phantom_data, "--out", folder / "run", "--cache", folder / "cache"]
    ran = glioseg("train", recipe, *places, "--device", "cpu", "--json")
    assert ran.code == 0, ran.err
    return TinyRun(phantom_data, folder / "cache", recipe, folder / "run", ran)
