"""What the Python face says to arguments that are something else: in its own words, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glioseg

api: Any = glioseg
_MASK = np.ones((2, 2, 2), np.uint8)
_WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a change in one text": (
        lambda path: api.recipe("lgg", "train.epochs=2"),
        "changes are a dictionary, or a list of texts; found 'train.epochs=2'",
    ),
    "a change without value": (
        lambda path: api.recipe("lgg", ["train.epochs"]),
        "a setting is changed by NAME=VALUE; found train.epochs",
    ),
    "a number as change": (lambda path: api.recipe("lgg", 3), "changes are a dictionary, or a list of texts; found 3"),
    "numbers as changes": (lambda path: api.recipe("lgg", [3]), "changes are a dictionary, or a list of texts"),
    "a name that is none": (lambda path: api.recipe("lgg", {3: 4}), "changes are a dictionary, or a list of texts"),
    "no recipe": (lambda path: api.recipe(None), "recipe= is something else; found NoneType None"),
    "no run": (lambda path: api.Run(path / "nope"), "there is no such run folder. Check the path"),
    "no run in the folder": (lambda path: api.Run(path), "not a run folder: it has no recipe.toml; found an empty fol"),
    "no model": (lambda path: api.load(path / "nope"), "there is no such run or bundle"),
    "a number as model": (lambda path: api.load(3), "run= is something else; found int 3"),
    "one run": (lambda path: api.compare(path), "a comparison needs two runs or more; found 1"),
    "what is no run": (
        lambda path: api.compare(path, path.parent),
        "not a run folder: it has no recipe.toml and no cas",
    ),
    "one metric in a text": (lambda path: api.compare(path, path.parent, metrics="dice"), "metrics= is a list"),
    "a number as folder": (lambda path: api.read(3), "path= is something else; found int 3; expected a folder"),
    "a number as data": (lambda path: api.split(3), "data= is something else; found int 3"),
    "labels without a scheme": (lambda path: api.read(path, scheme={"a": 1}), "scheme= is something else; found dict"),
    "one modality in a text": (lambda path: api.read(path, modalities="flair"), "modalities= is a list; found 'flair'"),
    "a layout that is none": (lambda path: api.read(path, layout=3), "layout= is something else; found int 3"),
    "no device": (lambda path: api.train("demo", path, path, devices=0), "devices= is too small; found 0; expected at"),
    "no network": (lambda path: api.train("demo", path, path, network=3), "network= is something else; found int 3"),
    "no loss": (lambda path: api.train("demo", path, path, loss="dice"), "loss= is something else; found str 'dice'"),
    "no task": (lambda path: api.train("demo", path, path, task="segment"), "task= is something else; found str"),
    "a name as metric": (
        lambda path: api.train("demo", path, path, metrics=["dice"]),
        "metrics= is something else; found str 'dice'; expected metrics of your own: RegionMetric",
    ),
    "a fold of none": (lambda path: api.train("demo", path, path, fold=1), "set split.n_folds=5"),
    "one other in a text": (lambda path: api.evaluate(path, others="b"), "others= is a list; found 'b'"),
    "one region in a text": (lambda path: api.score(_MASK, _MASK, regions="WT"), "regions= is a list; found 'WT'"),
    "seeds in a text": (lambda path: api.study("five-folds", path, path, seeds="12"), "seeds= is a list; found '12'"),
    "no trial": (
        lambda path: api.tune("lgg", path, path, trials=0),
        "trials= is too small; found 0; expected at least",
    ),
    "another's settings": (lambda path: api.cache(path, changes={"train.epochs": 2}), "no effect on what is prepared"),
}


@pytest.mark.parametrize("what", _WRONG)
def test_arguments_of_another_kind(what: str, tmp_path: Path) -> None:
    call, said = _WRONG[what]
    with pytest.raises(glioseg.GliosegError) as caught:
        call(tmp_path)
    assert said in str(caught.value)
    assert "--" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_split_that_is_none_says_how_one_is_made(tmp_path: Path) -> None:
    from glioseg.cohorts.splits.split_file import load_split

    file = tmp_path / "scan.nii.gz"
    file.write_bytes(b"\x1f\x8b\x08\x00")
    case = glioseg.Case("a", "a", {"t2f": glioseg.Source((file,), "nifti")}, None)
    cohort = glioseg.Cohort("c", "volumes", "", (case,), ("t2f",), None)
    with pytest.raises(glioseg.GliosegError, match="not a split; ") as caught:
        load_split(file, cohort)
    assert str(caught.value).endswith(f'Make one: glioseg.split(DATA, out="{tmp_path / "split.json"}").')
    with pytest.raises(glioseg.GliosegError, match="there is no such file"):
        load_split(tmp_path / "nope.json", cohort)
