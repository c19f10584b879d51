"""Every public function, called twice after all modules of the package were imported."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from pydantic import BaseModel

import glioseg
from glioseg.cli.app import app
from glioseg.errors import OptionError
from tests.fakes.pictures import write_lgg
from tests.runs.conftest import TinyRun, _one_thread, class_pictures, plain_reports, tiny, tiny_classifier, tiny_runs
from tests.runs.test_timeline import write_time_point

__all__ = ["_one_thread", "class_pictures", "tiny", "tiny_classifier", "tiny_runs"]

_STUDY = """
recipe = "{recipe}"
parts = ["val"]
[set]
"train.epochs" = 1
"train.max_steps" = 1
"""
_RANGES = '\n[tune]\n"train.lr" = { low = 1e-3, high = 1e-2, log = true }\n'


@dataclass(frozen=True)
class _Call:
    """Where a call may write, on which turn it is, and what it may use."""

    tiny: TinyRun
    out: Path
    turn: int

    @property
    def new(self) -> Path:
        """A path that is free on each turn."""
        return self.out / f"new-{self.turn}"

    def file(self, name: str, text: str) -> Path:
        path = self.out / name
        path.write_text(text, encoding="utf-8")
        return path


def _compare(call: _Call) -> Any:
    for name in ("one", "two"):
        glioseg.evaluate(call.tiny.run, part="val", out=call.out / name, cache=call.tiny.cache)
    return glioseg.compare(call.out / "one", call.out / "two").table()["mean"].tolist()


def _study(call: _Call) -> Any:
    file = call.file("mine.toml", _STUDY.format(recipe=call.tiny.recipe_file))
    changes = {"train.validate_every": 1, "train.max_steps": None}
    result = glioseg.study(file, call.tiny.data, call.out / "study", changes=changes, cache=call.tiny.cache)
    assert result.interrupted is None
    return result.table()["case_mean"].dropna().tolist()


def _tune(call: _Call) -> Any:
    recipe = call.file("ranged.toml", glioseg.recipe_text(call.tiny.recipe) + _RANGES)
    result = glioseg.tune(
        recipe, call.tiny.data, call.out / "search", trials=2, changes={"train.epochs": 1}, cache=call.tiny.cache
    )
    assert result.best is not None
    return result.table()["score"].dropna().tolist()


def _demo(call: _Call) -> Any:
    """Minutes long: its parts are the other functions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glioseg.runs.demo.demo", lambda out, reporter: (out.name, reporter.quiet))
        return glioseg.demo(call.out / "demo")


def _calibrate(call: _Call) -> Any:
    """It needs more patients than there are here: ``tests/runs/test_calibrate.py`` has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glioseg.runs.calibrate.calibrate", lambda run, data, **more: (run.name, more["promises"].risk))
        return glioseg.calibrate(call.tiny.run, risk=0.2)


def _serve(call: _Call) -> Any:
    """It serves until somebody stops it: ``tests/app`` has what it answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uvicorn.Server.run", lambda server, sockets: None)
        glioseg.serve(call.out / "worklist", browser=False)
        return sorted(path.name for path in (call.out / "worklist" / ".glioseg-app").iterdir())


def _timeline(call: _Call) -> Any:
    points = [write_time_point(call.out / name, name, side) for name, side in (("a", 20), ("b", 10))]
    return glioseg.timeline(*points, out=call.out / "timeline").table().to_dict()


def _make_ready(call: _Call) -> Any:
    """On one grid already, so that nothing is moved: ``tests/preparation/ready`` has what is."""
    heads = glioseg.phantom(call.new / "heads", 1, spacing_mm=6.0)
    return [sorted(case.files) for case in glioseg.make_ready(heads, call.new / "ready").cases]


_MASK = np.ones((2, 2, 2), np.uint8)
_CALLS: dict[str, Callable[[_Call], Any]] = {
    "cache": lambda call: glioseg.cache(call.tiny.data, call.tiny.cache, recipe=call.tiny.recipe).key,
    "calibrate": _calibrate,
    "compare": _compare,
    "convert": lambda call: glioseg.convert(call.tiny.data, call.new, "nnunet").patients,
    "demo": _demo,
    "download": lambda call: (
        glioseg.download("lgg", check=write_lgg(call.new, {"TCGA_CS_4941_19960909": (1, 2)})).found
    ),
    "doctor": lambda call: glioseg.doctor("cpu")["device"],
    "evaluate": lambda call: glioseg.evaluate(call.tiny.run, part="val", out=call.out, cache=call.tiny.cache).to_json(),
    "export": lambda call: glioseg.export(call.tiny.run, call.out / "a.onnx").n_bytes,
    "inspect": lambda call: glioseg.inspect(call.tiny.data).table().to_dict(),
    "load": lambda call: glioseg.load(call.tiny.run, device="cpu").modalities,
    "make_ready": _make_ready,
    "models": lambda call: glioseg.models(),
    "phantom": lambda call: glioseg.phantom(call.new, 1, spacing_mm=6.0).modalities,
    "plan": lambda call: glioseg.plan(call.tiny.data, call.new, memory_gb=2.0, device="cpu").fingerprint,
    "plan_study": lambda call: glioseg.plan_study("five-folds", call.tiny.data, call.new, cache=call.tiny.cache).runs,
    "public_sets": lambda call: glioseg.public_sets(),
    "read": lambda call: glioseg.read(call.tiny.data),
    "recipe": lambda call: glioseg.recipe("lgg", {"train.epochs": 2}),
    "recipe_names": lambda call: glioseg.recipe_names(),
    "recipe_text": lambda call: glioseg.recipe_text("lgg"),
    "score": lambda call: glioseg.score(_MASK, _MASK).to_json(),
    "serve": _serve,
    "settings": lambda call: glioseg.settings("loss"),
    "split": lambda call: glioseg.split(call.tiny.data, call.out / "split.json").sha256,
    "split_folds": lambda call: glioseg.split_folds(call.tiny.data, changes={"split.n_folds": 2}),
    "study": _study,
    "verify": lambda call: glioseg.verify(call.tiny.run, cache=call.tiny.cache, device="cpu").to_json(),
    "study_names": lambda call: glioseg.study_names(),
    "timeline": _timeline,
    "train": lambda call: glioseg.train(
        call.tiny.recipe, call.tiny.data, call.tiny.run, cache=call.tiny.cache, device="cpu", evaluate=False
    ).scores("test"),
    "tune": _tune,
}


@pytest.fixture(scope="module")
def every_module() -> None:
    """Every module of the package, imported."""
    for module in pkgutil.walk_packages(glioseg.__path__, "glioseg."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _functions() -> set[str]:
    return {name for name in glioseg.__all__ if inspect.isfunction(getattr(glioseg, name))}


def test_all_of_them_are_called() -> None:
    assert set(_CALLS) == _functions()


@pytest.mark.usefixtures("every_module")
@pytest.mark.parametrize("name", _CALLS)
def test_twice_is_as_once(name: str, tiny: TinyRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with plain_reports():
        first, second = (_CALLS[name](_Call(tiny, tmp_path, turn)) for turn in (1, 2))
    assert first
    assert str(first) == str(second)
    assert capfd.readouterr() == ("", "")  # nothing prints


@pytest.mark.parametrize("name", sorted(_functions()))
def test_documented_with_arguments_results_and_errors(name: str) -> None:
    function = getattr(glioseg, name)
    words, parameters = function.__doc__, inspect.signature(function).parameters
    for parameter in parameters:
        assert f"\n        {parameter}: " in f"\n{words}", parameter
    assert not parameters or "Raises:" in words
    hints = inspect.get_annotations(function)
    assert set(hints) == {*parameters, "return"}


# -- the page ----------------------------------------------------------------------------------------------------------

_DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_is_what_the_docstrings_say() -> None:
    page = runpy.run_path(str(_DOCS / "make_api_page.py"))["api_page"]()
    assert page == (_DOCS / "api.md").read_text(encoding="utf-8"), "python docs/make_api_page.py"
    assert all(f"### {name}\n" in page for name in glioseg.__all__)


def test_every_command_has_its_function() -> None:
    commands = runpy.run_path(str(_DOCS / "make_api_page.py"))["COMMANDS"]
    assert set(commands) == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for names in commands.values():
        for name in re.findall(r"[a-zA-Z_]+", names.replace("(…)", "")):
            assert any(hasattr(place, name) for place in (glioseg, glioseg.Run, glioseg.Model)), name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: glioseg.StudyOptions(folds="five"), "folds: found five, expected a whole number or none"),
        (lambda: glioseg.StudyOptions(**{"seed": 1}), "there is no setting seed; did you mean seeds"),
        (lambda: glioseg.Recipe(train={"epochs": "x"}), r"train\.epochs: found x, expected a whole number"),
        (lambda: glioseg.Recipe(**{"epochs": 3}), r"no setting epochs; did you mean train\.epochs"),
        (
            lambda: glioseg.Recipe(train={"optimiser": {"kind": "adam", "momentum": 2}}),
            r"momentum has no effect with train\.optimiser = adam; it acts with train\.optimiser\.kind=sgd",
        ),
        (lambda: glioseg.UncertaintyOptions(dropout=1000), "dropout: found 1000, expected a number of at most 100"),
    ],
)
def test_options_that_are_made_by_hand_say_what_is_wrong(make: Callable[[], object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()


def test_every_public_set_of_options_says_what_is_wrong() -> None:
    """None of them raises an error that is another library's."""
    public = [getattr(glioseg, name) for name in glioseg.__all__]
    made_by_users = [one for one in public if isinstance(one, type) and issubclass(one, BaseModel)]
    assert made_by_users
    for one in made_by_users:
        with pytest.raises(OptionError, match="there is no setting nonsense"):
            one(nonsense=1)


def test_settings_are_not_changed_in_place() -> None:
    recipe = glioseg.recipe("lgg")
    for values, name in ((recipe, "name"), (recipe.train, "epochs"), (glioseg.UncertaintyOptions(), "dropout")):
        before = getattr(values, name)
        with pytest.raises(OptionError, match=rf"is not changed once it is made; found {name} = 3\. Give changes"):
            setattr(values, name, 3)
        assert getattr(values, name) == before
    assert glioseg.recipe("lgg", {"train.epochs": 3}).train.epochs == 3
