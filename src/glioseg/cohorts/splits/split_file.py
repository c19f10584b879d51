"""Splits as files: our own JSON, and nnU-Net's ``splits_final.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glioseg.cohorts.splits.split import Split, verified
from glioseg.cohorts.splits.stratify import Groups
from glioseg.core import PARTS, Cohort
from glioseg.errors import FileError, SplitError, name_some
from glioseg.faces import command
from glioseg.io.files import write_json
from glioseg.io.text import read_json

_FORMAT = "glioseg-split"


def save_split(split: Split, path: Path) -> None:
    """Write a split: the patients of each part, and the hash of who is where.

    Raises:
        FileError: the file cannot be written.
    """
    value = {"format": _FORMAT, "unit": split.unit, "seed": split.seed, "sha256": split.sha256}
    write_json(path, value | {name: list(patients) for name, patients in split.parts.items()})


def load_split(path: Path, cohort: Cohort, *, groups: Groups = (), fold: int | None = None) -> Split:
    """A split from a file, verified against the cohort.

    Two forms are read: an object with the patients' names under ``train``, ``val`` and ``test`` (``val`` and ``test``
    may be left out; with ``sha256`` it must be theirs, without it any hand-made list will do), and nnU-Net's list of
    folds with the **cases** of ``train`` and ``val``, of which ``fold`` names one.

    Args:
        path: the file.
        cohort: what it should split.
        groups: groups of cases that show the same and must not be torn apart.
        fold: which of nnU-Net's folds, from 0.

    Raises:
        FileError: missing, or not JSON.
        SplitError: neither form; a hash that is not that of the lists; a fold that there is not; and all that
            ``split.verified`` refuses.
    """
    value = _json_in(path)
    if isinstance(value, list):
        split = _of_nnunet(value, cohort, fold, path)
    elif isinstance(value, dict):
        if fold is not None:
            raise SplitError(
                "the file holds one split, of which no fold can be chosen",
                path=path,
                found=f"fold {fold}",
                remedy="Leave `--fold` out",
            )
        split = _of_ours(value, path)
    else:
        raise _of_no_form(path, type(value).__name__)
    return verified(split, cohort, groups=groups, path=str(path))


def _json_in(path: Path) -> object:
    """What stands in a file that somebody names as a split."""
    try:
        return read_json(path)
    except FileError as error:
        if not path.is_file():
            raise
        raise FileError(
            "not a split",
            path=path,
            found=error.found,
            expected="JSON, as `glioseg split` writes it, or nnU-Net's splits_final.json",
            remedy=f"Make one: `{command('split', 'DATA', '--out', path.with_name('split.json'))}`",
        ) from error


def _of_ours(value: Mapping[str, Any], path: Path) -> Split:
    parts = [value.get(name, []) for name in PARTS]
    if "train" not in value or not all(_is_names(part) for part in parts):
        raise _of_no_form(path, f"an object with {', '.join(value) or 'nothing'}")
    seed = value.get("seed")
    train, val, test = (tuple(part) for part in parts)
    split = Split(train, val, test, seed=seed if isinstance(seed, int) else None)
    if "sha256" in value and value["sha256"] != split.sha256:
        raise SplitError(
            "the split was changed after it was saved",
            path=path,
            found=f"hash {value['sha256']}",
            expected=split.sha256,
            remedy="If you meant to change it, remove the line sha256, or write the expected hash there",
        )
    return split


def _of_nnunet(folds: Sequence[Any], cohort: Cohort, fold: int | None, path: Path) -> Split:
    """nnU-Net names cases; a patient is where the cases are."""
    if not folds or not all(
        isinstance(entry, dict) and _is_names(entry.get("train")) and _is_names(entry.get("val")) for entry in folds
    ):
        raise _of_no_form(path, f"a list of {len(folds)}")
    if fold is None or not 0 <= fold < len(folds):
        raise SplitError(
            "the file holds folds, of which one must be chosen" if fold is None else "there is no such fold",
            path=path,
            found=None if fold is None else fold,
            expected=f"0 to {len(folds) - 1}",
            remedy="Name one with `--fold`",
        )
    patient = {case.id: case.patient for case in cohort.cases}
    unknown = sorted({name for part in ("train", "val") for name in folds[fold][part]} - set(patient))
    if unknown:
        raise SplitError(
            "the split names cases that the cohort lacks",
            path=path,
            found=f"{len(unknown)}: {name_some(unknown)}",
            expected=f"cases of {cohort.name}, such as {name_some(patient, 2)}",
            remedy="Name the data set that the folds were made of, or make others with `glioseg split`",
        )
    train, val = ({patient[name] for name in folds[fold][part]} for part in ("train", "val"))
    return Split(tuple(sorted(train)), tuple(sorted(val)), ())


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _of_no_form(path: Path, content: str) -> SplitError:
    return SplitError(
        "not a split",
        path=path,
        found=content,
        expected='{"train": [patients], "val": [patients], "test": [patients]}, or the folds of nnU-Net',
    )
