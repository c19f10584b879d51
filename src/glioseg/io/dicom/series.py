"""Headers -> volumes: the pictures of a series that lie in one stack, were made alike and are all there."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.io.dicom.geometry import deepest, placed
from glioseg.io.dicom.instance import Frame, Instance, Technique

_ROUNDING = 1e-3
_FEW = 5
"""Stacks of different orientation with no more slices than this make a localiser."""
_COUNTED = {"stack": "stack", "acquired": "time"}
_ANY_FILE, _ANY_TECHNIQUE = Path(), Technique()


@dataclass(frozen=True, eq=False)
class Volume:
    """One stack of pictures.

    Args:
        series: UID of its series.
        number: of the series.
        part: which volume of the series it is, from 0.
        n_parts: how many volumes the series has.
        frames: in the order of Z.
        grid: where they lie; None where they make no volume.
        technique: how they were made.
        told_by: what tells it from the other volumes of its series (``echo 80``); empty where it is the only one.
        fault: why it cannot be used; None where it can.
        remarks: what is odd of one that can.
    """

    series: str
    number: int | None
    part: int
    n_parts: int
    frames: tuple[Frame, ...]
    grid: Grid | None
    technique: Technique
    told_by: str = ""
    fault: str | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Stack:
    frames: tuple[Frame, ...]
    told_by: str = ""
    fault: str | None = None


def volumes_of(instances: Sequence[Instance]) -> list[Volume]:
    """The volumes of one series, in an order that its pictures decide, not the files.

    Args:
        instances: with the same series UID; those that have a fault cost the volumes of their series.
    """
    frames, remarks = _once_each(frame for instance in instances for frame in instance.frames)
    faults = [instance.fault for instance in instances if instance.fault is not None]
    planes = _by_plane(frames)
    stacks = [part for plane in planes for part in _apart(plane)]
    n_planes = len(planes)
    if n_planes > 1:
        remarks.append(f"pictures of {n_planes} orientations or sizes")
    is_localiser = n_planes > 1 and all(len(stack.frames) <= _FEW for stack in stacks)
    fault = _fault_of_series(faults, len(instances)) or ("a localiser" if is_localiser else None)
    number = next((instance.number for instance in instances if instance.number is not None), None)
    series = instances[0].series
    if not stacks:
        return [Volume(series, number, 0, 1, (), None, Technique(), "", fault or "no picture in it")]
    volumes = [_volume(series, number, stack, fault, remarks) for stack in stacks]
    volumes.sort(key=lambda volume: _order(volume.frames[0]))
    return [replace(volume, part=part, n_parts=len(volumes)) for part, volume in enumerate(volumes)]


def _fault_of_series(faults: Sequence[str], n_files: int) -> str | None:
    if not faults:
        return None
    first = faults[0]
    return first if n_files == 1 or len(faults) == n_files else f"{len(faults)} of its {n_files} files: {first}"


def _once_each(frames: Iterable[Frame]) -> tuple[list[Frame], list[str]]:
    """Without those of files that are there twice: of one UID, at one place, and told apart by nothing.

    A UID alone does not tell: programs that remove names give all files of a series the same one.
    """
    kept: dict[object, Frame] = {}
    n_twice = 0
    for frame in frames:
        key = replace(frame, path=_ANY_FILE, technique=_ANY_TECHNIQUE) if frame.uid else frame
        n_twice += key in kept
        kept.setdefault(key, frame)
    words = f"{n_twice} of its pictures {'is' if n_twice == 1 else 'are'} there twice, and read once"
    return list(kept.values()), [words] if n_twice else []


def _plane(frame: Frame) -> npt.NDArray[np.float64]:
    """What pictures of one volume have in common: size, spacing and orientation; NaN where it is not known."""
    unknown = (math.nan,) * 3
    return np.array(
        (
            *(frame.rows, frame.columns),
            *(frame.spacing or unknown[:2]),
            *(frame.row_direction or unknown),
            *(frame.column_direction or unknown),
        )
    )


def _by_plane(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Pictures that have their plane in common, but for rounding."""
    groups: list[tuple[npt.NDArray[np.float64], list[Frame]]] = []
    for frame in frames:
        plane = _plane(frame)
        for group_plane, members in groups:
            if np.allclose(plane, group_plane, rtol=0, atol=_ROUNDING, equal_nan=True):
                members.append(frame)
                break
        else:
            groups.append((plane, [frame]))
    return [members for _, members in groups]


def _apart(frames: Sequence[Frame], told_by: str = "") -> list[_Stack]:
    """Pictures of one plane, divided until no two of a stack lie at one place."""
    if deepest(frames) < 2:
        return [_Stack(tuple(frames), told_by)]
    for name in dict.fromkeys(name for frame in frames for name, _ in frame.apart):
        groups: dict[str, list[Frame]] = defaultdict(list)
        for frame in frames:
            groups[dict(frame.apart).get(name, "")].append(frame)
        if 1 < len(groups) <= deepest(frames):  # times of slices tell slices apart, not volumes
            words = {value: f"{told_by}, {said}".removeprefix(", ") for value, said in _said(name, groups).items()}
            return [stack for value, group in groups.items() for stack in _apart(group, words[value])]
    return [_Stack(tuple(frames), told_by, "several of its pictures lie at one place, and nothing tells them apart")]


def _said(name: str, values: Iterable[str]) -> dict[str, str]:
    """What tells pictures apart, in words; times and what was typed in are nobody's business, and are counted."""
    ordered = sorted(values, key=_number)
    if name not in _COUNTED:
        return {value: f"{name} {value}" for value in ordered}
    return {value: f"{_COUNTED[name]} {number} of {len(ordered)}" for number, value in enumerate(ordered, start=1)}


def _volume(series: str, number: int | None, stack: _Stack, fault: str | None, remarks: Sequence[str]) -> Volume:
    lying = placed(stack.frames)
    fault = fault or stack.fault or lying.fault
    said = (*remarks, *([] if lying.remark is None else [lying.remark]))
    grid = None if fault is not None else lying.grid
    return Volume(series, number, 0, 1, lying.frames, grid, lying.frames[0].technique, stack.told_by, fault, said)


def _order(frame: Frame) -> tuple[object, ...]:
    numbers = tuple(_number(value) for _, value in frame.apart)
    return frame.rows, frame.columns, str(_plane(frame)), numbers, frame.uid, frame.index


def _number(value: str) -> tuple[float, str]:
    try:
        return float(value), ""
    except ValueError:
        return 0.0, value
