"""The one table of file endings: which reader takes a file, and what its name is without the ending.

Case is ignored everywhere (``SCAN.NII.GZ`` is common on Windows), and ``.nii.gz`` counts as one ending, which
``pathlib`` would cut in two.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from glioseg.core import SourceKind

ENDINGS: Mapping[SourceKind, tuple[str, ...]] = MappingProxyType(
    {
        "nifti": (".nii", ".nii.gz", ".hdr", ".mgz", ".mgh"),
        "metaimage": (".mha", ".mhd", ".nrrd", ".nhdr"),
        "raster": (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"),
        "hdf5": (".h5", ".hdf5", ".mat"),
    }
)
"""Kind of a source -> the endings of its files, lower case."""

NIFTI_ENDINGS, METAIMAGE_ENDINGS, PICTURE_ENDINGS = ENDINGS["nifti"], ENDINGS["metaimage"], ENDINGS["raster"]
VOLUME_ENDINGS = (*NIFTI_ENDINGS, *METAIMAGE_ENDINGS)
SCAN_ENDINGS = tuple(ending for endings in ENDINGS.values() for ending in endings)
"""Everything that some reader takes."""

LOSSY_ENDINGS = (".jpg", ".jpeg")
"""Pictures whose compression changes values: the integers of a label map do not survive it."""

TIFF_ENDINGS = (".tif", ".tiff")


def has_ending(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether the name ends in one of ``endings``, whatever its case."""
    return path.name.lower().endswith(endings)


def file_kind(path: Path) -> SourceKind | None:
    """Which reader takes a file, by its name alone; None where none does."""
    return next((kind for kind, endings in ENDINGS.items() if has_ending(path, endings)), None)


def file_stem(path: Path) -> str:
    """The name without its ending, ``.nii.gz`` counted as one."""
    name = path.name
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else path.stem


def file_ending(path: Path) -> str:
    """The ending in lower case, ``.nii.gz`` counted as one; empty where there is none."""
    return path.name[len(file_stem(path)) :].lower()
