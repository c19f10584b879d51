"""The recipe of the tiny runs: all that a training can do, on as few pixels as will do."""

from __future__ import annotations

from pathlib import Path

from glioseg.config import Recipe, build_recipe, write_recipe

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


def toy_recipe(*changes: str) -> Recipe:
    """The recipe with ``a.b=value`` changes applied."""
    return build_recipe(_TOY, changes)


def write_toy(path: Path, *changes: str) -> Path:
    """The recipe as a file."""
    path.write_text(write_recipe(toy_recipe(*changes)), encoding="utf-8")
    return path
