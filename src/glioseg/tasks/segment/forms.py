"""A mask in the forms that other programs want: a DICOM segmentation, surfaces, probabilities, BIDS derivatives."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Case, LabelMap
from glioseg.errors import OptionError
from glioseg.io.dicom.deidentify import Deidentified
from glioseg.io.dicom.segmentation import Segment, require_codes, write_segmentation
from glioseg.io.stl import write_stl
from glioseg.machine.salt import digest_of, local_salt
from glioseg.report.style import region_colour, rgb
from glioseg.tasks.members import named_as_files
from glioseg.tasks.segment.bids import BidsName, write_derivative
from glioseg.tasks.segment.maps import rounded, write_map
from glioseg.tasks.wanted import Wanted


def form_files(stem: str, regions: Sequence[str]) -> list[str]:
    """Names of all files of other forms that a case may have."""
    return [_segmentation(stem), _probabilities(stem), *_surfaces(stem, regions).values()]


def bids_files(case: Case, regions: Sequence[str]) -> list[str]:
    """Names of the files of a case in the BIDS dataset, below the folder of predictions."""
    return BidsName.of(case.id, case.patient).files(regions)


def require_forms(wanted: Wanted, case: Case | None, regions: Sequence[str]) -> None:
    """Refuse forms that a case cannot have, before anything is computed.

    Raises:
        OptionError: a DICOM segmentation of scans that are no DICOM, or of regions without a code; surfaces and
            probabilities of pictures.
    """
    kind = None if case is None else next(iter(case.images.values())).kind
    if "seg" in wanted.write and kind != "dicom":
        raise OptionError(
            "a DICOM segmentation needs a DICOM series, to whose pictures it refers",
            found=kind or "arrays",
            remedy="Name the DICOM study, or leave seg out of `--write`",
        )
    if "seg" in wanted.write:
        require_codes(regions)
    if wanted.further and kind in ("raster", "hdf5"):
        raise OptionError(
            "pictures have no millimetres, and no other forms than a mask",
            found=", ".join(wanted.further),
            remedy="Leave them out of `--write`",
        )


def write_forms(
    wanted: Wanted,
    place: tuple[Path, str],
    case: Case | None,
    label_map: LabelMap,
    probabilities: Mapping[str, npt.NDArray[np.float32]],
    model_id: str,
) -> dict[str, Any]:
    """Write a mask in the forms that are asked for.

    Args:
        wanted: which.
        place: the folder, and how the names of the files begin.
        case: whose mask it is; None for arrays.
        label_map: the mask.
        probabilities: region -> (X, Y, Z).
        model_id: of the networks.

    Returns:
        form -> its files, for the record of the case.

    Raises:
        FileError: the series cannot be read any more, or a file cannot be written.
    """
    folder, stem = place
    scheme, grid = label_map.scheme, label_map.grid
    masks = {region: np.isin(label_map.array, scheme.values_of(region)) for region in probabilities}
    files: dict[str, Any] = {}
    if "seg" in wanted.write and case is not None:
        new = _new_identity(case) if wanted.deidentify else None
        segments = [
            Segment(name, mask, rgb(region_colour(name, row))) for row, (name, mask) in enumerate(masks.items())
        ]
        source = next(iter(case.images.values()))
        write_segmentation(folder / _segmentation(stem), source, segments, model_id, new)
        files["seg"] = _segmentation(stem)
    if "stl" in wanted.write:
        files["stl"] = _surfaces(stem, list(masks))
        for region, name in files["stl"].items():
            write_stl(folder / name, masks[region], grid)
    if "bids" in wanted.write:
        name = case.id if case is not None else stem
        called = BidsName.of(name, name if case is None else case.patient)
        files["bids"] = write_derivative(folder, called, label_map, masks)
    if "probabilities" in wanted.write:
        files["probabilities"] = {"file": _probabilities(stem), "regions": list(probabilities)}
        write_map(rounded(np.stack(list(probabilities.values()))), grid, folder / f"{stem}_probabilities")
    return files


def _new_identity(case: Case) -> Deidentified:
    salt = local_salt() or secrets.token_bytes(16)
    return Deidentified(f"patient-{digest_of(case.patient, salt)}", salt)


def _segmentation(stem: str) -> str:
    return f"{stem}.seg.dcm"


def _surfaces(stem: str, regions: Sequence[str]) -> dict[str, str]:
    return {region: f"{stem}_{name}.stl" for region, name in named_as_files(regions).items()}


def _probabilities(stem: str) -> str:
    return f"{stem}_probabilities.nii.gz"
