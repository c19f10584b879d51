"""Every shipped recipe trains on every layout that its ``about`` promises: one step, on few pixels, whole pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.write import write_phantom
from glioseg.config import read_recipe
from glioseg.config.files import shipped_recipes
from glioseg.console import QUIET
from glioseg.runs.gather import gather
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data
from glioseg.tasks.choose import task_named
from tests.cli.command import glioseg
from tests.fakes.pictures import write_brisc, write_pairs
from tests.runs.toy import toy_pictures
from tests.store import Store

_BRATS = ("brats2021", "brats2023", "brats-h5", "msd", "nnunet")
PROMISED: Mapping[str, tuple[str, ...]] = {
    "brats": _BRATS,
    "brats-2d": _BRATS,
    "brats-3d": _BRATS,
    "classifier": ("classes", "brats2023", "lgg"),
    "demo": ("brats2023",),
    "egwaoje-brats-flair": _BRATS,
    "lgg": ("lgg",),
    "lgg-any-contrast": ("lgg",),
    "lgg-best": ("lgg",),
    "nazir-unet": ("pairs", "pairs in colours", "lgg"),
    "phantom": ("brats2023",),
    "rc9-brats-attention": _BRATS,
    "rc9-brats-multimodal": _BRATS,
    "sharma-cnn": ("classes",),
    "t1c-pictures": ("brisc",),
    "tissue": ("ibsr",),
    "tum-lgg": ("lgg",),
}
"""Recipe -> layouts that it must train on."""
PAIRS = [(recipe, layout) for recipe, layouts in PROMISED.items() for layout in layouts]
_SMALL = ("train.max_steps=1", "train.batch_size=4", "train.epochs=1", "evaluate.n_resamples=20")
_OTHERS: Mapping[str, tuple[str, ...]] = {
    "brats": ("model.width=2", "prepare.size=32", "train.start_from=none"),
    "brats-3d": ("model.width=2", "patches.size=[16,16,16]"),
    "lgg-best": ("prepare.size=32",),  # its network is that of model:phantom
    "sharma-cnn": ("model.filters=2", "prepare.size=16"),
    "tum-lgg": ("model.width=2", "prepare.size=32", "slices.dark_below=0.1"),  # phantoms fill less than heads do
}


def _phantom(layout: str) -> Callable[[Path], object]:
    return lambda folder: write_phantom(
        PhantomOptions(n_patients=6, spacing_mm=6.0, seed=3), folder / "data", layout, n_workers=1
    )


def _tissues(folder: Path) -> None:
    options = PhantomOptions(n_patients=4, spacing_mm=6.0, seed=3)
    write_phantom(options, folder / "tumours", "brats2023", tissues=folder / "data", n_workers=1)


_MADE: Mapping[str, Callable[[Path], object]] = {
    "classes": lambda folder: toy_pictures(folder / "data", {"yes": (10, 250), "no": (10, 20)}),
    "pairs": lambda folder: write_pairs(folder / "data", map(str, range(12))),
    "pairs in colours": lambda folder: write_pairs(folder / "data", map(str, range(12)), colours=True),
    "brisc": lambda folder: write_brisc(folder / "data", {"gl_ax": 8, "me_co": 8, "pi_sa": 8, "no_ax": 8}),
    "ibsr": _tissues,
}


@pytest.fixture
def data(store: Store, layout: str) -> Path:
    """A small cohort in a layout."""
    name = f"recipes-{layout.replace(' ', '-')}"
    return store.get(name, _MADE.get(layout) or _phantom(layout)) / "data"


def _settings(recipe: str) -> tuple[str, ...]:
    return (*_SMALL, *_OTHERS.get(recipe, ("model.width=2", "prepare.size=32")))


def test_every_recipe_is_promised_something() -> None:
    assert set(PROMISED) == set(shipped_recipes())


@pytest.mark.parametrize("layout", ["pairs", "pairs in colours"])
def test_images_with_masks_are_what_nazir_is_for(data: Path, layout: str, tmp_path: Path) -> None:
    recipe = read_recipe("nazir-unet", _settings("nazir-unet"))
    gathered = gather(task_named(recipe.task), recipe, Data(data), RunOptions(tmp_path / "run"), QUIET)
    assert gathered.targets.names == ("tumour",)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "layout"), PAIRS)
@pytest.mark.usefixtures("plain_report")
def test_every_recipe_trains_on_what_it_promises(recipe: str, layout: str, data: Path, tmp_path: Path) -> None:
    settings = [part for change in _settings(recipe) for part in ("--set", change)]
    places = ["--data", data, "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--device", "cpu"]
    ran = glioseg("train", recipe, *places, "--quiet", *settings)
    assert ran.code == 0, ran.err
    assert (tmp_path / "run" / "bundle").is_dir()
