"""One tiny run per task, trained once in a test run, that all tests of runs look at; none of them may change it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from glioseg.config import Recipe, write_recipe
from tests.cli.command import Ran, glioseg
from tests.runs.toy import toy_classifier, toy_pictures, toy_recipe
from tests.store import Store

Task = Literal["segment", "classify"]
TASKS: tuple[Task, ...] = ("segment", "classify")


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Toys gain nothing from more, and lose much where tests share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@contextmanager
def plain_reports() -> Iterator[None]:
    """A page of one line: reports have tests of their own, and take most of the time of so short a run."""

    def plain(task: object, run: Any, *more: object) -> Path:
        path: Path = run.folder / "report.html"
        path.write_text("a report", encoding="utf-8")
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glioseg.runs.train.report", plain)
        yield


@pytest.fixture
def plain_report() -> Iterator[None]:
    """For a test that trains and does not look at the report."""
    with plain_reports():
        yield


@dataclass(frozen=True)
class TinyRun:
    """What ``glioseg train`` made of a toy recipe, with evaluation and report.

    Args:
        task: what it does.
        data: its cohort, which all processes of the test run share: five phantom patients in the layout of BraTS 2023
            for ``segment``; thirty pictures of every mode, sorted into the classes no and yes, for ``classify``.
        cache: the prepared cohort; this process's own copy.
        recipe_file: what it was trained by.
        run: the run folder; this process's own copy.
        ran: what the command said, as ``--json`` has it on stdout.
    """

    task: Task
    data: Path
    cache: Path
    recipe_file: Path
    run: Path
    ran: Ran

    @property
    def recipe(self) -> Recipe:
        """What it was trained by."""
        return _RECIPES[self.task]()


_RECIPES: dict[Task, Callable[[], Recipe]] = {"segment": toy_recipe, "classify": toy_classifier}


def _train_in(folder: Path, task: Task, data: Path) -> None:
    """Train in the folder; what the command said is kept beside the run."""
    recipe = folder / "toy.toml"
    recipe.write_text(write_recipe(_RECIPES[task]()), encoding="utf-8")
    places = ["--data", data, "--out", folder / "run", "--cache", folder / "cache"]
    ran = glioseg("train", recipe, *places, "--device", "cpu", "--json")
    assert ran.code == 0, ran.err
    (folder / "ran.json").write_text(json.dumps(dataclasses.asdict(ran)), encoding="utf-8")


@pytest.fixture(scope="session")
def class_pictures(store: Store) -> Path:
    """Thirty pictures of every mode, in the classes no and yes; not to be changed."""
    folder = store.get("classes", lambda path: toy_pictures(path / "pictures", {"yes": (15, 250), "no": (15, 20)}))
    return folder / "pictures"


@pytest.fixture(scope="package")
def tiny_runs(
    store: Store,
    phantom_data: Path,
    class_pictures: Path,
    _one_thread: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Task], TinyRun]:
    """Task -> its tiny run, trained once for all processes and copied once for this one."""
    cohorts: dict[Task, Path] = {"segment": phantom_data, "classify": class_pictures}
    copies: dict[Task, TinyRun] = {}

    def tiny_run_of(task: Task) -> TinyRun:
        if task not in copies:
            trained = store.get(f"tiny-{task}", lambda folder: _train_in(folder, task, cohorts[task]))
            copy = tmp_path_factory.mktemp("tiny") / task
            shutil.copytree(trained, copy)
            ran = Ran(**json.loads((copy / "ran.json").read_text(encoding="utf-8")))
            copies[task] = TinyRun(task, cohorts[task], copy / "cache", copy / "toy.toml", copy / "run", ran)
        return copies[task]

    return tiny_run_of


@pytest.fixture(scope="package", params=TASKS)
def tiny_run(request: pytest.FixtureRequest, tiny_runs: Callable[[Task], TinyRun]) -> TinyRun:
    """A tiny run of each task: a test that asks for it runs once per task, and finds which in ``tiny_run.task``.

    A test of some tasks only names them: ``@pytest.mark.parametrize("tiny_run", ["classify"], indirect=True)``.
    """
    return tiny_runs(request.param)


@pytest.fixture(scope="package")
def tiny(tiny_runs: Callable[[Task], TinyRun]) -> TinyRun:
    """The tiny run that segments."""
    return tiny_runs("segment")


@pytest.fixture(scope="package")
def tiny_classifier(tiny_runs: Callable[[Task], TinyRun]) -> TinyRun:
    """The tiny run that classifies."""
    return tiny_runs("classify")
