"""The modalities of a case, each on a grid of its own -> an image that a network can be shown, and the way back.

All places are told in the world of one modality, the target, on whose grid the mask will lie. What is registered is not
resampled for that: its grid is moved into the target's world, and each volume is interpolated once, from its own voxels
to those that the network is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid, Image
from glioseg.core.grid import Affine
from glioseg.errors import GeometryError, GliosegError
from glioseg.io.load import Voxels
from glioseg.preparation.oblique import brought, moved
from glioseg.preparation.ready.atlas import NAMES, atlas_brain
from glioseg.preparation.ready.bias import without_shading
from glioseg.preparation.ready.brain import T1_NAMES, TOOL, Brain, extract_brain
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.preparation.ready.record import Extracted, Moved, ReadyRecord
from glioseg.preparation.ready.registration import Head, Registration, covered, register
from glioseg.preparation.ready.result import ReadyScan
from glioseg.preparation.ready.skull import WITH_SKULL, skull_share
from glioseg.preparation.ready.views import PlaneSections, brain_view, views_of

WORKING_MM = 1.0
"""Voxels of networks: BraTS's."""
_AS_GOOD = 0.1
"""A spacing this near to it, as a share, stays as it is."""


@dataclass(frozen=True, eq=False)
class _Placed:
    """Where volumes of one grid lie in the target's world, and the share of the target's head that they show."""

    names: tuple[str, ...]
    grid: Grid
    registration: Registration | None = None
    covered: float = 1.0

    @property
    def matrix(self) -> Affine:
        """Mm of the target's world -> mm of the volumes' own."""
        return np.eye(4) if self.registration is None else self.registration.matrix

    @property
    def there(self) -> Grid:
        """Their grid in the target's world."""
        return self.grid if self.registration is None else moved(self.grid, self.matrix)


def make_ready(
    volumes: Mapping[str, Voxels], needed: Sequence[str], options: ReadyOptions, derived: Sequence[str] = ()
) -> ReadyScan:
    """Register, remove the skull, turn into an atlas's space, as is asked for.

    Args:
        volumes: modality -> voxels, each on its own grid; those that are not needed may help to find the brain.
        needed: what the network sees, in its order; those that are not there are left out.
        options: what is done.
        derived: modalities that were reformatted from others: no grid of theirs is chosen for the mask.

    Raises:
        GeometryError: pictures; values that are not finite; what cannot be registered, or lies on several grids and
            shall not be registered; a volume too thin for what is asked; a modality to put the mask on that is not
            there; no T1 for brain extraction, or no brain in it.
        OptionError: deepbet is not installed.
    """
    began = time.perf_counter()
    shown = [name for name in needed if name in volumes]
    target = _target(shown, options, derived)
    _require_mm(volumes)
    _require_finite(volumes)
    evened = tuple(shown) if options.n4 else ()
    voxels = {name: _evened(name, each) if name in evened else each for name, each in volumes.items()}
    places = _placed(voxels, target, options)
    skull = _skull(voxels, shown) if options.brain_extract else {}
    has_skull = max(skull.values(), default=0.0) >= WITH_SKULL
    brain = _brain(voxels) if has_skull else None
    turn = _to_atlas(voxels, target, places, brain) if options.atlas is not None else None
    working, home = _working(voxels[target].grid, options, turn)
    native = voxels[target].grid
    image = _image(voxels, shown, places, brain, working)
    record = ReadyRecord(
        options,
        target,
        working.spacing_mm,
        tuple(_moves(places, target, turn, options)),
        skull,
        None if brain is None else Extracted(brain.of, brain.volume_ml, TOOL, round(brain.seconds, 1), brain.is_odd),
        evened,
        time.perf_counter() - began,
    )
    working_image = image if working is native else _image(voxels, shown, places, brain, native)
    return ReadyScan(image, working_image, home, record, _views(voxels, places, target, brain))


def _target(shown: Sequence[str], options: ReadyOptions, derived: Sequence[str]) -> str:
    if not shown:
        raise GeometryError("there is no modality that the network sees")
    if options.mask_on is None:
        return next((name for name in shown if name not in derived), shown[0])
    if options.mask_on not in shown:
        raise GeometryError(
            "the mask cannot be put on a modality that is not there", found=options.mask_on, expected=", ".join(shown)
        )
    return options.mask_on


def _require_mm(volumes: Mapping[str, Voxels]) -> None:
    if not all(each.grid.has_mm for each in volumes.values()):
        raise GeometryError(
            "pictures have no millimetres, and can be neither registered nor stripped of a skull",
            expected="volumes (NIfTI, MetaImage, NRRD, DICOM)",
            remedy="Leave `--register`, `--brain-extract`, `--n4` and `--atlas` out",
        )


def _require_finite(volumes: Mapping[str, Voxels]) -> None:
    for name, each in volumes.items():
        n_odd = int(np.count_nonzero(~np.isfinite(each.array)))
        if n_odd:
            raise GeometryError(
                f"{name} holds values that are not finite",
                found=f"{n_odd} voxels of NaN or Inf",
                remedy="Mend the scan; `glioseg inspect` lists such files",
            )


def _evened(name: str, voxels: Voxels) -> Voxels:
    with _speaking_of(name):
        return Voxels(without_shading(voxels.array, voxels.grid), voxels.grid)


def _placed(voxels: Mapping[str, Voxels], target: str, options: ReadyOptions) -> list[_Placed]:
    """The volumes by grid, those of the target first; volumes on one grid are taken to lie upon each other."""
    groups: list[list[str]] = [[target]]
    for name, each in voxels.items():
        home = next((group for group in groups if voxels[group[0]].grid.difference(each.grid) is None), None)
        if home is None:
            groups.append([name])
        elif name != target:
            home.append(name)
    if len(groups) > 1 and not options.registers:
        difference = voxels[target].grid.difference(voxels[groups[1][0]].grid)
        raise GeometryError(
            f"{target} and {groups[1][0]} lie on different grids",
            found=difference,
            remedy="Bring them to one grid with `--register`",
        )
    placed = [_Placed(tuple(groups[0]), voxels[target].grid)]
    if len(groups) > 1:
        fixed = _head(target, voxels[target])
        for group in groups[1:]:
            grid = voxels[group[0]].grid
            registration = register(fixed, _head(group[0], voxels[group[0]]))
            placed.append(_Placed(tuple(group), grid, registration, covered(fixed, grid, registration.matrix)))
    return placed


def _head(name: str, voxels: Voxels) -> Head:
    with _speaking_of(name):
        return Head.of(voxels.array, voxels.grid)


@contextmanager
def _speaking_of(name: str) -> Iterator[None]:
    """Errors that name the modality."""
    try:
        yield
    except GliosegError as error:
        raise GeometryError(
            f"{name}: {error.what}", found=error.found, expected=error.expected, remedy=error.remedy
        ) from error


def _skull(voxels: Mapping[str, Voxels], shown: Sequence[str]) -> dict[str, float]:
    shares = {name: skull_share(voxels[name].array, voxels[name].grid) for name in shown}
    return {name: share for name, share in shares.items() if share is not None}


def _brain(voxels: Mapping[str, Voxels]) -> Brain:
    name = next((name for name in T1_NAMES if name in voxels), None)
    if name is None:
        raise GeometryError(
            "brain extraction needs a T1",
            found=", ".join(voxels),
            expected="t1n or t1c",
            remedy="Give the T1 of the study beside the others, also where the network does not see it",
        )
    return extract_brain(voxels[name].array, voxels[name].grid, name)


def _place_of(name: str, places: Sequence[_Placed]) -> _Placed:
    return next(place for place in places if name in place.names)


def _to_atlas(
    voxels: Mapping[str, Voxels], target: str, places: Sequence[_Placed], brain: Brain | None
) -> tuple[str, Registration]:
    """Which modality was registered to the atlas, and how: mm of the atlas -> mm of the target's world."""
    name = next((name for name in T1_NAMES if name in voxels), target)
    place, array = _place_of(name, places), voxels[name].array
    if brain is not None:
        array = array * (_mask_on(brain, places, place.there) > 0)
    registration = register(Head.of(*atlas_brain()), _head(name, Voxels(array, place.there)))
    return name, registration


def _working(native: Grid, options: ReadyOptions, turn: tuple[str, Registration] | None) -> tuple[Grid, Grid]:
    """The grid of the network in the target's world, and as it is told to others."""
    if turn is not None:
        home = atlas_brain()[1]
        return Grid(home.shape, turn[1].matrix @ home.affine), home
    is_fine = np.abs(np.asarray(native.spacing_mm) / WORKING_MM - 1).max() <= _AS_GOOD
    working = native if is_fine or not options.registers else native.with_spacing((WORKING_MM,) * 3)
    return working, working


def _mask_on(brain: Brain, places: Sequence[_Placed], grid: Grid) -> npt.NDArray[np.bool_]:
    there = _place_of(brain.of, places).there
    return np.asarray(brought(brain.mask[None].astype(np.float32), there, grid)[0] > 0.5)


def _image(
    voxels: Mapping[str, Voxels], shown: Sequence[str], places: Sequence[_Placed], brain: Brain | None, grid: Grid
) -> Image:
    channels = [brought(voxels[name].array[None], _place_of(name, places).there, grid)[0] for name in shown]
    array = np.stack([channel.transpose(2, 1, 0) for channel in channels]).transpose(0, 3, 2, 1)
    if brain is not None:
        array = array * _mask_on(brain, places, grid)
    return Image(array, tuple(shown), grid)


def _moves(
    places: Sequence[_Placed], target: str, turn: tuple[str, Registration] | None, options: ReadyOptions
) -> list[Moved]:
    done = [
        Moved(place.names, target, place.registration, place.covered)
        for place in places
        if place.registration is not None
    ]
    if turn is not None and options.atlas is not None:
        done.append(Moved((turn[0],), f"the atlas {NAMES[options.atlas]}", turn[1]))
    return done


def _views(
    voxels: Mapping[str, Voxels], places: Sequence[_Placed], target: str, brain: Brain | None
) -> tuple[PlaneSections, ...]:
    views = []
    fixed = voxels[target]
    for place in places[1:]:
        name = place.names[0]
        views.append(views_of(f"{name} on {target}", fixed, voxels[name].array, place.grid, place.there))
    if brain is not None:
        views.append(brain_view(f"the brain in {brain.of}", voxels[brain.of], brain.mask))
    return tuple(views)
