"""A mask as a DICOM segmentation (SEG), on the geometry of the series that it was drawn on, which it refers to."""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glioseg import __version__
from glioseg.core import Source
from glioseg.errors import FileError, GeometryError, GliosegError, OptionError
from glioseg.io.dicom.archive import contents
from glioseg.io.dicom.deidentify import Deidentified
from glioseg.io.dicom.header import read_dataset
from glioseg.io.dicom.library import library, silenced
from glioseg.io.dicom.series import Volume
from glioseg.io.dicom.values import integer_of, items_of, value_of
from glioseg.io.dicom.voxels import read_volume
from glioseg.io.files import write_bytes

if TYPE_CHECKING:
    from pydicom import Dataset

_CODES: Mapping[str, tuple[str, str, str, str]] = {
    "WT": ("108369006", "SCT", "Neoplasm", "Whole tumour with oedema"),
    "TUMOUR": ("108369006", "SCT", "Neoplasm", "Whole tumour with oedema"),
    "GTV": ("108369006", "SCT", "Neoplasm", "Gross tumour volume"),
    "TC": ("4147007", "SCT", "Mass", "Tumour core"),
    "ET": ("C113842", "NCIt", "Enhancing Lesion", "Enhancing tumour"),
    "ED": ("79654002", "SCT", "Edema", "Oedema"),
    "SNFH": ("79654002", "SCT", "Edema", "Surrounding FLAIR hyperintensity"),
    "NCR": ("6574001", "SCT", "Necrosis", "Necrotic core"),
    "NET": ("C81175", "NCIt", "Non-Enhancing Lesion", "Non-enhancing tumour"),
    "NETC": ("C81175", "NCIt", "Non-Enhancing Lesion", "Non-enhancing tumour core"),
    "CC": ("367643001", "SCT", "Cyst", "Cystic component"),
}
"""Region (capitals) -> code, scheme and meaning, after DICOM's types of brain lesions (CID 7168), and a label."""
_CATEGORY = ("49755003", "SCT", "Morphologically Altered Structure")
_SERIES_NUMBER = 9901
_UID_ROOT = "2.25."


@dataclass(frozen=True, eq=False)
class Segment:
    """A region to be written.

    Args:
        region: its name.
        mask: bool (X, Y, Z) on the grid of the series.
        colour: red, green, blue, 0 to 255.
    """

    region: str
    mask: npt.NDArray[np.bool_]
    colour: tuple[int, int, int]


def write_segmentation(
    path: Path, source: Source, segments: Sequence[Segment], model_id: str, new: Deidentified | None = None
) -> None:
    """Write regions as one SEG: overlapping ones as BINARY frames, those that exclude each other as a LABELMAP.

    Args:
        path: the file.
        source: the series whose grid the regions lie on.
        segments: at least one.
        model_id: of the networks, for the record of the algorithm.
        new: identifiers in the place of the patient's; None keeps those of the series.

    Raises:
        OptionError: highdicom is not installed, a region has no code, or the series is not DICOM.
        FileError: the series cannot be read, or the file cannot be written.
        GeometryError: a series whose headers lack what a segmentation takes over from them.
    """
    if source.kind != "dicom":
        raise OptionError("a DICOM segmentation needs a DICOM series", found=source.shown, remedy="Leave seg out")
    require_codes([segment.region for segment in segments])
    part = int(source.dataset or 0)
    volume = read_volume(source.paths, part, source.shown)
    headers = _headers(source, volume)
    with silenced():
        for data in headers:
            if new is not None:
                new.apply(data)
        try:
            written = _with_true_frame_numbers(_segmentation(headers, segments, model_id), volume)
        except Exception as error:
            raise GeometryError(
                "a DICOM segmentation cannot be made of this series: its headers lack what it would take over, or hold "
                "what the standard does not allow",
                path=source.shown,
                found=type(error).__name__,  # whose words may quote a header
                remedy="Leave seg out of `--write`",
            ) from error
        if new is not None:
            written.PatientIdentityRemoved = "YES"
            written.DeidentificationMethod = "identifiers replaced by digests, dates and names removed"
        stream = io.BytesIO()
        written.save_as(stream, enforce_file_format=True)
    write_bytes(path, stream.getvalue())


def require_codes(regions: Sequence[str]) -> None:
    """Refuse regions for which DICOM has no code.

    Raises:
        OptionError: one of them.
    """
    unknown = [region for region in regions if region.upper() not in _CODES]
    if unknown:
        raise OptionError(
            "no DICOM code is known for some regions", found=", ".join(unknown), expected=f"of {', '.join(_CODES)}"
        )


def _headers(source: Source, volume: Volume) -> list[Dataset]:
    """The data sets of the files in the order of Z, without their voxels."""
    order = list(dict.fromkeys(frame.path for frame in volume.frames))
    read: dict[Path, Dataset] = {}
    for path, content in contents(order):
        if isinstance(content, GliosegError):
            raise FileError(content.what, path=source.shown, found=content.found)
        with silenced():
            read[path] = _of_volume(read_dataset(source.shown, content), volume)
    return [read[path] for path in order]


def _segmentation(headers: Sequence[Dataset], segments: Sequence[Segment], model_id: str) -> Dataset:
    highdicom = library("highdicom")
    overlapping = bool((np.sum([segment.mask for segment in segments], axis=0) > 1).any()) or _are_nested(segments)
    kinds = highdicom.seg.SegmentationTypeValues
    return highdicom.seg.Segmentation(
        source_images=list(headers),
        pixel_array=_frames(segments, overlapping),
        segmentation_type=kinds.BINARY if overlapping else kinds.LABELMAP,
        segment_descriptions=[_description(number, each, model_id) for number, each in enumerate(segments, start=1)],
        series_instance_uid=_new_uid(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=_new_uid(),
        instance_number=1,
        manufacturer="glioseg",
        manufacturer_model_name="glioseg",
        software_versions=__version__,
        device_serial_number="none",
        content_label="SEGMENTATION",
        content_description="Brain tumour, for research use only",
        series_description="glioseg segmentation, for research use only",
        omit_empty_frames=bool(any(segment.mask.any() for segment in segments)),
    )


def _are_nested(segments: Sequence[Segment]) -> bool:
    """Whether the names are those of BraTS's nested regions, which stay so where some of them are empty."""
    return len({"WT", "TC", "ET"} & {segment.region.upper() for segment in segments}) > 1


def _frames(segments: Sequence[Segment], overlapping: bool) -> npt.NDArray[np.uint8]:
    """(Z, Y, X, S) of 0 and 1, or (Z, Y, X) of segment numbers."""
    if overlapping:
        return np.stack([segment.mask.transpose(2, 1, 0) for segment in segments], axis=-1).astype(np.uint8)
    numbers = np.zeros(segments[0].mask.shape[::-1], dtype=np.uint8)
    for number, segment in enumerate(segments, start=1):
        numbers[segment.mask.transpose(2, 1, 0)] = number
    return numbers


def _of_volume(data: Dataset, volume: Volume) -> Dataset:
    """The header of an enhanced file with the frames of one volume alone, in the order of Z; of a slice as it is."""
    groups = value_of(data, "PerFrameFunctionalGroupsSequence")
    if groups is not None:
        data.PerFrameFunctionalGroupsSequence = [groups[frame.index] for frame in volume.frames]
        data.NumberOfFrames = len(volume.frames)
    return data


def _with_true_frame_numbers(written: Dataset, volume: Volume) -> Dataset:
    """References to the frames of an enhanced file, counted as the file counts them."""
    references = {
        id(image): image  # segments of one slice share what they refer to
        for group in items_of(written, "PerFrameFunctionalGroupsSequence")
        for derived in items_of(group, "DerivationImageSequence")
        for image in items_of(derived, "SourceImageSequence")
    }
    for image in references.values():
        number = integer_of(image, "ReferencedFrameNumber")
        if number is not None:
            image.ReferencedFrameNumber = volume.frames[number - 1].index + 1
    return written


def _description(number: int, segment: Segment, model_id: str) -> Any:  # noqa: ANN401 - highdicom's own type
    highdicom, coding = library("highdicom"), library("pydicom.sr.coding")
    value, scheme, meaning, label = _CODES[segment.region.upper()]
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=f"glioseg {model_id}"[:64],
        family=coding.Code("123110", "DCM", "Artificial Intelligence"),
        version=__version__,
    )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=f"{segment.region}: {label}"[:64],
        segmented_property_category=coding.Code(*_CATEGORY),
        segmented_property_type=coding.Code(value, scheme, meaning),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=_new_uid(),
        tracking_id=segment.region,
        anatomic_regions=[coding.Code("12738006", "SCT", "Brain")],
        display_color=highdicom.color.CIELabColor.from_rgb(*segment.colour),
    )


def _new_uid() -> str:
    return f"{_UID_ROOT}{uuid.uuid4().int}"
