"""A rehearsal at full size, and what must stay quick at many patients and pictures.

python benchmarks/scale.py rehearsal [--patients 10 30 90] [--spacing 1] [--set A.B=VALUE …] [--folder DIR]
python benchmarks/scale.py many [--patients 1251] [--pictures 20000] [--folder DIR]

``rehearsal`` prepares, trains an epoch, evaluates and predicts on so many patients, by the recipe brats with a narrow
network, and fits a line to the times. Patients are hard links to a few phantoms under names of their own: here files
are counted, not heads. ``--set`` changes the recipe: with ``prepare.size=64`` and 3 mm a thousand fit where those of
1 mm do not. ``many`` inspects, looks for near duplicates and starts a run on a complete cache, on small phantoms and
pictures that do differ. Every stage is a process of its own, measured from the start of Python, and so is its memory;
processor seconds stand beside those of the clock, since only they mean much on a machine that does other things too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import numpy as np

from glioseg.machine.loading import loading
from glioseg.machine.memory import peak_of_process_mib

_ALL = 1251
"""Patients of BraTS 2021, to which the lines are drawn out."""
_EPOCH = (
    *("model.width=4", "train.start_from=none", "train.epochs=1", "train.validate_every=1"),
    *("predict.tune=false", "evaluate.n_resamples=50"),
)
_BASES = 4


def _write_links(folder: Path, n_patients: int, spacing_mm: float) -> Path:
    """Patients that are hard links to a few phantoms, as BraTS 2023 lays them out."""
    from glioseg.cohorts.phantom import PhantomOptions
    from glioseg.cohorts.write import write_phantom

    bases, out = folder / "bases", folder / f"patients-{n_patients}"
    if not bases.exists():
        options = PhantomOptions(n_patients=_BASES, spacing_mm=spacing_mm, seed=1)
        write_phantom(options, bases, "brats2023", n_workers=1)
    cases = sorted(path for path in bases.iterdir() if path.is_dir())
    for number in range(n_patients):
        case, name = cases[number % len(cases)], f"BraTS-GLI-{number + 1:05d}-000"
        (out / name).mkdir(parents=True)
        for path in case.iterdir():
            os.link(path, out / name / path.name.replace(case.name, name))
    return out


def _write_split(data: Path, path: Path) -> Path:
    """By the phantom that a patient is a link to, since those of one phantom are near duplicates."""
    names = sorted(case.name.removesuffix("-000") for case in data.iterdir())
    parts = {"train": names[0::_BASES] + names[1::_BASES], "val": names[2::_BASES], "test": names[3::_BASES]}
    path.write_text(json.dumps(parts), encoding="utf-8")
    return path


def _write_small(folder: Path, n_patients: int) -> Path:
    """Small patients that all differ: phantoms at 6 mm, turned, shaded and with noise of their own."""
    from glioseg.cohorts.phantom import PhantomOptions, generate_patient
    from glioseg.core import Image, LabelMap
    from glioseg.io.nifti import write_nifti

    out = folder / "small"
    options = PhantomOptions(n_patients=40, spacing_mm=6.0, seed=2)
    phantoms = [generate_patient(options, number) for number in range(40)]
    for number in range(n_patients):
        phantom, draws = phantoms[number % 40], np.random.default_rng(number)
        axes = tuple(axis for axis in range(3) if (number // 40) >> axis & 1)
        shift = tuple(int(step) for step in draws.integers(-3, 4, size=3))
        array = np.roll(np.flip(phantom.image.array, tuple(axis + 1 for axis in axes)), shift, (1, 2, 3))
        noise = 1 + 0.15 * draws.standard_normal(array.shape)
        image = Image((array * noise).astype(np.float32), phantom.image.modalities, phantom.image.grid)
        labels = np.roll(np.flip(phantom.labels.array, axes), shift, (0, 1, 2))
        case = out / f"BraTS-GLI-{number + 1:05d}-000"
        case.mkdir(parents=True)
        for place, name in enumerate(image.modalities):
            write_nifti(case / f"{case.name}-{name}.nii.gz", image.array[place], image.grid)
        label_map = LabelMap(np.ascontiguousarray(labels), phantom.labels.scheme, image.grid)
        write_nifti(case / f"{case.name}-seg.nii.gz", label_map.array.astype(np.uint8), image.grid)
    return out


def _write_pictures(folder: Path, n_pictures: int) -> Path:
    """Pictures of 64 x 64 in two classes, slices of phantoms that all differ."""
    from PIL import Image as Picture

    from glioseg.cohorts.phantom import PhantomOptions, generate_patient

    out = folder / "pictures"
    options = PhantomOptions(n_patients=40, spacing_mm=6.0, seed=3)
    stacks = [generate_patient(options, number).image.array[0] for number in range(40)]
    for name in ("glioma", "no_tumor"):
        (out / name).mkdir(parents=True)
    for number in range(n_pictures):
        draws = np.random.default_rng(number)
        stack = stacks[number % 40]
        plane = stack[..., draws.integers(5, stack.shape[2] - 5)]
        small = Picture.fromarray((255 * plane / max(float(plane.max()), 1e-6)).astype(np.uint8))
        turned = np.asarray(small.resize((64, 64)).rotate(float(draws.uniform(0, 360))), dtype=np.float32)
        noisy = np.clip(turned * draws.uniform(0.7, 1) + 12 * draws.standard_normal(turned.shape), 0, 255)
        Picture.fromarray(noisy.astype(np.uint8)).save(out / ("glioma", "no_tumor")[number % 2] / f"{number:05d}.png")
    return out


def _command(*arguments: object) -> None:
    """A command of glioseg in this process, whose messages are not looked at."""
    from glioseg.cli.app import app

    app([str(argument) for argument in arguments], standalone_mode=False)


def _set(changes: Sequence[str]) -> list[str]:
    """Changes of a recipe as options."""
    return [word for change in changes for word in ("--set", change)]


def _prepare(data: Path, work: Path, changes: Sequence[str]) -> None:
    _command("cache", data, "--out", work / "cache", "--recipe", "brats", "--quiet", *_set(changes))


def _train(data: Path, work: Path, changes: Sequence[str]) -> None:
    split = _write_split(data, work / "split.json")
    places = ("--out", work / "run", "--cache", work / "cache", "--split", split, "--no-evaluate", "--quiet")
    _command("train", "brats", "--data", data, *places, "--device", "cpu", *_set((*_EPOCH, *changes)))


def _evaluate(data: Path, work: Path, changes: Sequence[str]) -> None:
    places = ("--out", work / "figures", "--cache", work / "cache")
    _command("evaluate", work / "run", "--part", "all", *places, "--device", "cpu", "--quiet")


def _predict(data: Path, work: Path, changes: Sequence[str]) -> None:
    options = ("--device", "cpu", "--quiet", "--write", "nifti")
    _command("predict", work / "run", data, "--out", work / "masks", *options)


def _inspect(data: Path, work: Path, changes: Sequence[str]) -> None:
    _command("inspect", data, "--out", work / "look", "--quiet", "--json")


def _split(data: Path, work: Path, changes: Sequence[str]) -> None:
    _command("split", data, "--out", work / "drawn.json", "--quiet")


class _BegunError(Exception):
    """A training has come to its first step."""


def _begin(data: Path, work: Path, changes: Sequence[str]) -> None:
    """The command that trains, up to its first step, in a folder of its own each time."""
    with loading():
        from glioseg.runs import launch, train  # noqa: F401 - as the command itself loads them
    run = Path(tempfile.mkdtemp(dir=work)) / "run"
    places = ("--data", data, "--out", run, "--cache", work / "cache", "--device", "cpu", "--quiet")
    with patch.object(launch, "fit", side_effect=_BegunError), suppress(_BegunError):
        _command("train", "brats", *places, *_set((*_EPOCH, *changes)))


_STAGES: Mapping[str, Callable[[Path, Path, Sequence[str]], None]] = {
    "prepare": _prepare,
    "one epoch": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "inspect": _inspect,
    "split with near duplicates": _split,
    "first start of a run": _begin,
    "start on a complete cache": _begin,
}


def _stage(name: str, data: Path, work: Path, changes: Sequence[str]) -> None:
    """One stage in this process, and what it took as JSON in the last line."""
    started = time.monotonic()
    _STAGES[name](data, work, changes)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = {
        "wall_s": time.monotonic() - started,
        "cpu_s": time.process_time() + children.ru_utime + children.ru_stime,
        "peak_mib": peak_of_process_mib(),
        "worker_mib": children.ru_maxrss / 1024,
    }
    print(f"\n{json.dumps(took)}")


def _measured(name: str, data: Path, work: Path, changes: Sequence[str] = ()) -> dict[str, float]:
    command = [sys.executable, __file__, "stage", name, str(data), str(work), *changes]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise SystemExit(f"{name}: {ran.stderr[-2000:]}")
    took: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    print(
        f"{name:<28}{took['wall_s']:>9.1f} s{took['cpu_s']:>9.1f} s of processors"
        f"{max(took['peak_mib'], took['worker_mib']):>8.0f} MiB",
        flush=True,
    )
    return took


def rehearsal(counts: list[int], spacing_mm: float, folder: Path, changes: Sequence[str]) -> None:
    """The curves over the number of patients."""
    stages = ("prepare", "one epoch", "evaluate", "predict")
    found: dict[str, list[float]] = {name: [] for name in stages}
    for count in counts:
        print(f"-- {count} patients at {spacing_mm:g} mm", flush=True)
        data, work = _write_links(folder, count, spacing_mm), folder / f"work-{count}"
        work.mkdir()
        for name in stages:
            found[name].append(_measured(name, data, work, changes)["cpu_s"])
        shutil.rmtree(work)
    if len(counts) > 1:
        print(f"-- a line through the processor seconds, drawn out to {_ALL} patients")
        for name, seconds in found.items():
            slope, start = np.polyfit(counts, seconds, 1)
            print(f"{name:<28}{start:>9.1f} s + {slope:.2f} s a patient: {(start + slope * _ALL) / 3600:.2f} h")


def many(n_patients: int, n_pictures: int, folder: Path) -> None:
    """What looks at a whole cohort."""
    work = folder / "work"
    work.mkdir()
    print(f"-- {n_patients} small patients", flush=True)
    data = _write_small(folder, n_patients)
    for name in ("inspect", "split with near duplicates", "first start of a run", "start on a complete cache"):
        _measured(name, data, work, ("prepare.size=64",))  # more than these patients have
    print(f"-- {n_pictures} pictures of 64 x 64", flush=True)
    data = _write_pictures(folder, n_pictures)
    for name in ("inspect", "split with near duplicates"):
        _measured(name, data, work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("rehearsal", "many", "stage"), nargs="?", default="rehearsal")
    parser.add_argument("stage", nargs="*")
    parser.add_argument("--patients", type=int, nargs="+")
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--spacing", type=float, default=1.0)
    parser.add_argument("--set", action="append", default=[], metavar="A.B=VALUE", help="of the recipe")
    parser.add_argument("--folder", type=Path, help="where to work; what is written there is deleted afterwards")
    given = parser.parse_args()
    if given.what == "stage":
        name, data, work, *changes = given.stage
        _stage(name, Path(data), Path(work), changes)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        if given.what == "rehearsal":
            rehearsal(given.patients or [10, 30, 90], given.spacing, Path(folder), given.set)
        else:
            many((given.patients or [_ALL])[0], given.pictures, Path(folder))


if __name__ == "__main__":
    main()
