"""Masks of a case as files: those that are sent, and those that are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from glioseg.app.places import CasePlaces
from glioseg.core import Grid, LabelMap, LabelScheme
from glioseg.core.schemes import predicted_scheme
from glioseg.errors import FileError, GeometryError, GliosegError
from glioseg.io.files import TEMPORARY
from glioseg.io.load import whole_numbers
from glioseg.io.nifti import read_nifti, read_nifti_grid
from glioseg.io.text import read_json_object

_PACKED = b"\x1f\x8b"


def facts_in(places: CasePlaces) -> dict[str, Any]:
    """What was written beside the mask of a case that is done.

    Raises:
        FileError: the file cannot be read.
    """
    return read_json_object(places.facts)


def scheme_in(places: CasePlaces) -> LabelScheme:
    """What the integers in the masks of a case mean: as the network has them."""
    said = facts_in(places)["scheme"]
    return predicted_scheme(said["labels"], said["regions"], "of the network")


def sent_mask(content: bytes, places: CasePlaces, scheme: LabelScheme) -> LabelMap:
    """A NIfTI file that was sent, packed or not, as a mask of a case.

    Raises:
        FileError: not a NIfTI file.
        GeometryError: another grid than that of the case.
        LabelError: values that the scheme does not have.
    """
    with _as_file(content, places) as path:
        try:
            return _read(path, places, scheme)
        except FileError as error:
            raise FileError(
                "what was sent is no sound NIfTI file", found=error.found, remedy="Send the mask as NIfTI (.nii.gz)"
            ) from error
        except GliosegError as error:
            error.path = None  # the file has no name that anybody knows
            raise


def kept_mask(path: Path, places: CasePlaces) -> LabelMap:
    """A mask of a case that was kept, with the network's labels."""
    array, grid = read_nifti(path)
    return LabelMap(array, scheme_in(places), _as_predicted(grid, places))


def _as_predicted(grid: Grid, places: CasePlaces) -> Grid:
    """The grid of a file of a case, without millimetres where the case has none, which NIfTI cannot say."""
    return replace(grid, has_mm=facts_in(places)["unit"] == "ml")


@contextmanager
def _as_file(content: bytes, places: CasePlaces) -> Iterator[Path]:
    path = places.folder / f"{TEMPORARY}{uuid4().hex}{'.nii.gz' if content.startswith(_PACKED) else '.nii'}"
    path.write_bytes(content)
    try:
        yield path
    finally:
        path.unlink()


def _read(path: Path, places: CasePlaces, scheme: LabelScheme) -> LabelMap:
    predicted_grid, _ = read_nifti_grid(places.mask)
    grid, n_channels = read_nifti_grid(path)
    difference = predicted_grid.difference(grid) if n_channels == 1 else f"{n_channels} channels"
    if difference is not None:
        raise GeometryError(
            "the mask does not lie on the grid of the scan",
            found=difference,
            expected="x".join(map(str, predicted_grid.shape)),
            remedy="Save it on the grid of the scan that it was drawn on",
        )
    array, _ = read_nifti(path, predicted_grid.shape[0] * predicted_grid.shape[1] * predicted_grid.shape[2])
    return LabelMap(whole_numbers(array), scheme, _as_predicted(predicted_grid, places))
