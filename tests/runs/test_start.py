"""The weights that a training starts from: those that its recipe names, and others that were asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from glioseg.config import read_recipe
from glioseg.inference.bundle import load_bundle
from glioseg.runs.options import RunOptions
from glioseg.runs.train import _started
from tests.cli.command import glioseg
from tests.runs.conftest import TinyRun

_NAMED = Path("model:phantom")


@pytest.mark.parametrize(
    ("recipe", "asked", "named_after", "initial"),
    [
        ("lgg", None, None, None),
        ("lgg-best", None, "model:phantom", _NAMED),
        ("lgg-best", Path("model:lgg"), "model:lgg", Path("model:lgg")),
        ("lgg-best", Path("runs/other"), None, Path("runs/other")),
        ("lgg", _NAMED, "model:phantom", _NAMED),
    ],
)
def test_what_is_asked_for_comes_before_what_the_recipe_names(
    recipe: str, asked: Path | None, named_after: str | None, initial: Path | None
) -> None:
    """The recipe of the run says what was done; a path, which is another one elsewhere, does not stand in it."""
    trained, options = _started(read_recipe(recipe), RunOptions(run=Path("run"), initial=asked))
    assert (trained.train.start_from, options.initial) == (named_after, initial)
    assert trained.train.model_copy(update={"start_from": None}) == read_recipe(recipe, ["train.start_from=none"]).train


def test_a_recipe_starts_from_the_network_that_it_names(tiny: TinyRun, tmp_path: Path) -> None:
    changes = [
        *("train.start_from=model:phantom", "model.width=16", "model.depth=4", "slices.n_neighbours=1"),
        *("train.max_steps=1", "train.lr=1e-9", "train.ema=none", "predict.tune=false"),
        'data.modalities=["t1n","t1c","t2w","t2f"]',
    ]
    settings = [part for change in changes for part in ("--set", change)]
    places = ("--data", tiny.data, "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--device", "cpu")
    ran = glioseg("train", tiny.recipe_file, *places, *settings, "--no-evaluate", "--quiet")
    assert ran.code == 0, ran.err
    shipped, trained = load_bundle(_NAMED), load_bundle(tmp_path / "run")
    first = next(name for name, weights in shipped.model.state_dict().items() if weights.ndim == 4)
    torch.testing.assert_close(trained.model.state_dict()[first], shipped.model.state_dict()[first], atol=1e-6, rtol=0)
    facts = json.loads((tmp_path / "run" / "environment.json").read_text(encoding="utf-8"))
    assert facts["started_from"].startswith("weights of phantom (")
    assert 'start_from = "model:phantom"' in (tmp_path / "run" / "recipe.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runs/other", "train.start_from: start_from names a shipped network, such as model:phantom"),
        ("model:none", "there is no shipped network none; expected one of model:brats"),
        ("model:t1c-pictures", "the weights to start from are of another network"),
    ],
)
def test_a_start_that_will_not_do_is_refused(name: str, said: str, tiny: TinyRun, tmp_path: Path) -> None:
    places = ("--data", tiny.data, "--out", tmp_path / "run", "--cache", tiny.cache, "--device", "cpu")
    ran = glioseg("train", tiny.recipe_file, *places, "--set", f"train.start_from={name}", "--quiet")
    assert ran.code == 2, ran.err
    assert said in ran.err
