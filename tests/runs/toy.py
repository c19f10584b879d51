"""The recipes of the tiny runs: all that a training can do, on as few pixels as will do; and toy pictures by class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from glioseg.config import Recipe, build_recipe, read_recipe, write_recipe

_TOY = {
    "name": "toy",
    "data": {"modalities": ["t2f", "t1c"]},
    "split": {"train": 0.6, "val": 0.2, "test": 0.2},
    "prepare": {"size": 32, "regions": ["WT", "ET"]},
    "slices": {"n_neighbours": 1},
    "model": {"width": 4, "depth": 2},
    "loss": {"kind": "combined"},
    "augment": {"flip": {"probability": 0.5, "axes": ["width"]}, "rotation": {"probability": 0.5}},
    "train": {"epochs": 2, "batch_size": 16, "lr": 0.01, "ema": 0.9, "precision": "fp32"},
    "predict": {"tune": True},
    "evaluate": {"n_resamples": 100},
}
TOY_CLASSIFIER = (
    *("model.width=4", "model.depth=2", "prepare.size=16", "train.epochs=3", "train.batch_size=8", "train.lr=0.01"),
    *("train.validate_every=1", "train.precision=fp32", "evaluate.n_resamples=60"),
    *("split.train=0.6", "split.val=0.2", "split.test=0.2"),
)
"""What makes a toy of the shipped recipe ``classifier``."""
PICTURE_MODES = ("L", "RGB", "RGBA", "P", "I;16")


def toy_recipe(*changes: str) -> Recipe:
    """The recipe that segments, with ``a.b=value`` changes applied."""
    return build_recipe(_TOY, changes)


def toy_classifier(*changes: str) -> Recipe:
    """The recipe that classifies, with ``a.b=value`` changes applied."""
    return read_recipe("classifier", (*TOY_CLASSIFIER, *changes))


def write_toy(path: Path, *changes: str) -> Path:
    """The recipe that segments as a file."""
    path.write_text(write_recipe(toy_recipe(*changes)), encoding="utf-8")
    return path


def toy_picture(path: Path, seed: int, value: int, mode: str = "L") -> Path:
    """Noise of a size of its own with a square of ``value``, in a mode of Pillow."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(10, 120, (20 + seed % 5, 18 + seed % 7)).astype(np.uint8)
    pixels[6:14, 6:14] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Pillow.fromarray(pixels)
    (Pillow.fromarray(pixels.astype(np.uint16) * 200) if mode == "I;16" else picture.convert(mode)).save(path)
    return path


def toy_pictures(root: Path, classes: Mapping[str, tuple[int, int]], modes: tuple[str, ...] = PICTURE_MODES) -> Path:
    """Class -> (number of pictures, value of their square)."""
    for offset, (name, (count, value)) in enumerate(classes.items()):
        for number in range(count):
            seed = 100 * offset + number
            toy_picture(root / name / f"{name[0].upper()}{number}.png", seed, value, modes[number % len(modes)])
    return root
