"""The header of a DICOM file -> what is kept of it (``instance``)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from glioseg.core import MAX_VOXELS
from glioseg.errors import FileError, GliosegError
from glioseg.io.dicom.archive import contents
from glioseg.io.dicom.instance import Frame, Instance, Technique, Vector
from glioseg.io.dicom.library import library, silenced
from glioseg.io.dicom.values import (
    integer_of,
    item_of,
    items_of,
    number_of,
    numbers_of,
    text_of,
    value_of,
    words_of,
)
from glioseg.io.dicom.whole import fault_of_pixels

if TYPE_CHECKING:
    from pydicom import Dataset

PREAMBLE = 132
_WITHOUT_PREAMBLE = (b"\x08\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x08\x00\x16\x00")
"""How files begin that lack the preamble: with the group of identification, little-endian."""
_MOST_FRAMES = 100_000
_DEFLATED = "1.2.840.10008.1.2.1.99"
_UNPACKED = "Export it with a usual transfer syntax, such as Explicit VR Little Endian"
_UIDS = {
    name: re.compile(tag + rb"(?:UI..|....)([0-9][0-9.]{2,63})(?![0-9.])", re.DOTALL)
    for name, tag in (("study", rb"\x20\x00\x0d\x00"), ("series", rb"\x20\x00\x0e\x00"))
}
"""Where the UIDs of study and series stand in the bytes of a little-endian header."""
_NOT_GIVEN = frozenset({"NO", "NONE", "N", "0", "NIL", "OHNE", "SIN", "SANS", "UNDEFINED", "UNKNOWN"})
_MODALITIES = frozenset((
    "CR", "CT", "DOC", "DX", "ECG", "EEG", "ES", "IO", "KO", "MG", "NM", "OP", "OT", "PDF", "PR", "PT", "PX",
    "REG", "RF", "RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT", "RWV", "SC", "SM", "SR", "US", "XA", "XC",
))  # fmt: skip
"""Modalities that are shown by name; what else stands there may be anything."""
_COMPONENTS = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}


class Unread(NamedTuple):
    """A DICOM file that cannot be read, and why."""

    path: Path
    why: str


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is DICOM."""
    return head[128:132] == b"DICM" or head[:4] in _WITHOUT_PREAMBLE


def dicom_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Those of the files that are DICOM, whatever their names."""
    for path, head in contents(paths, PREAMBLE):
        if isinstance(head, bytes) and is_dicom(head):
            yield path


def read_instances(paths: Sequence[Path]) -> Iterator[Instance | Unread]:
    """What the headers of DICOM files say; files that are no DICOM, and directories of media, are passed over."""
    for path, content in contents(list(dicom_files(paths))):
        if isinstance(content, GliosegError):
            yield Unread(path, content.what)
            continue
        instance = read_instance(path, content)
        if instance is not None:
            yield instance


def read_dataset(shown: Path | str, content: bytes) -> Dataset:
    """The data set in the bytes of a file, voxels included but not decoded; use it within ``silenced``.

    Args:
        shown: what messages call the file.
        content: of it.

    Raises:
        FileError: pydicom cannot read it.
    """
    return _dataset(shown, io.BytesIO(content), pixels=True)


def _dataset(shown: Path | str, stream: io.BytesIO, *, pixels: bool) -> Dataset:
    pydicom, reader = library("pydicom"), library("pydicom.filereader")
    try:
        meta = reader._read_file_meta_info(stream) if reader.read_preamble(stream, True) else {}
        stream.seek(0)
        if str(meta.get("TransferSyntaxUID", "")) == _DEFLATED:  # unpacked without a limit by whoever reads it
            raise FileError("a DICOM file that is packed as a whole is not read", path=shown, remedy=_UNPACKED)
        return pydicom.dcmread(stream, stop_before_pixels=not pixels, force=True)
    except GliosegError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise FileError("the DICOM file is damaged or cut off", path=shown, remedy="Export it again") from error


def read_instance(path: Path, content: bytes) -> Instance | Unread | None:
    """What the header of a file says; None for a directory of media, and for what only looked like DICOM.

    Raises:
        OptionError: pydicom is not installed.
    """
    library("pydicom")
    with silenced():
        try:
            stream = io.BytesIO(content)
            data = _dataset(path, stream, pixels=False)
            return _instance(path, data, content, stream.tell())
        except FileError as error:
            return _cut_off(path, content, error.what) if content[128:132] == b"DICM" else None
        except Exception as error:  # noqa: BLE001 - data sets are read on access, and raise anything
            return Unread(path, f"its header is damaged ({type(error).__name__})")


def _cut_off(path: Path, content: bytes, why: str) -> Instance | Unread:
    """Of a header that cannot be read, whose it is, where that much can be found: the file then costs its series."""
    uids = {name: match[1].decode() for name, tag in _UIDS.items() if (match := tag.search(content)) is not None}
    if "series" not in uids or "study" not in uids:
        return Unread(path, why)
    return Instance(path, uids["study"], uids["series"], None, "", "MR", "", (), why)


def _instance(path: Path, data: Dataset, content: bytes, offset: int) -> Instance | Unread | None:
    if value_of(data, "DirectoryRecordSequence") is not None:
        return None
    series = text_of(data, "SeriesInstanceUID")
    if not series:
        has_class = bool(text_of(data, "SOPClassUID"))
        return Unread(path, "it names no series") if has_class or content[128:132] == b"DICM" else None
    frames, fault = _frames_or_fault(path, data, content, offset)
    return Instance(
        path=path,
        study=text_of(data, "StudyInstanceUID") or series,
        series=series,
        number=integer_of(data, "SeriesNumber"),
        patient=text_of(data, "PatientID"),
        modality=text_of(data, "Modality").upper(),
        day=text_of(data, "StudyDate"),
        frames=frames,
        fault=fault,
    )


def _frames_or_fault(
    path: Path,
    data: Dataset,
    content: bytes,
    offset: int,
) -> tuple[tuple[Frame, ...], str | None]:
    """The pictures of a file, and why they cannot be used."""
    modality = text_of(data, "Modality").upper()
    if modality == "SEG":
        return (), "a segmentation, not a scan"
    if modality != "MR":
        modality_words = modality if modality in _MODALITIES else "another modality" if modality else "no modality"
        return (), f"{modality_words}, not MR"
    rows, columns = integer_of(data, "Rows"), integer_of(data, "Columns")
    if not rows or not columns or rows < 1 or columns < 1:
        return (), "no picture in it"
    n_frames = integer_of(data, "NumberOfFrames") or 1
    if n_frames > _MOST_FRAMES or rows * columns * n_frames > MAX_VOXELS:
        return (), f"it declares {columns}x{rows}x{n_frames} voxels, more than are read"
    if (integer_of(data, "SamplesPerPixel") or 1) != 1:
        return (), "a picture in colour, not a scan"
    if (photometric := text_of(data, "PhotometricInterpretation").upper()) not in ("", "MONOCHROME2"):
        return (), "stored as a negative" if photometric == "MONOCHROME1" else "a picture in colour, not a scan"
    if text_of(data, "BurnedInAnnotation").upper() == "YES":
        return (), "a picture with writing burnt in"
    is_enhanced = value_of(data, "PerFrameFunctionalGroupsSequence") is not None
    frames = tuple(_enhanced_frames(path, data, n_frames) if is_enhanced else _classic_frames(path, data, n_frames))
    if n_frames > 1 and not is_enhanced:
        return frames, "several pictures in one file without the place of each"
    if len(frames) != n_frames:
        return frames, f"it declares {n_frames} pictures and describes {len(frames)}"
    return frames, fault_of_pixels(data, content, offset, rows * columns * n_frames)


# --- classic: one picture in a file -----------------------------------------------------------------------------------


def _classic_frames(path: Path, data: Dataset, n_frames: int) -> Iterator[Frame]:
    row, column = _directions(data)
    yield Frame(
        path=path,
        index=0,
        uid=text_of(data, "SOPInstanceUID"),
        rows=integer_of(data, "Rows") or 0,
        columns=integer_of(data, "Columns") or 0,
        position=_vector(data, "ImagePositionPatient"),
        row_direction=row,
        column_direction=column,
        spacing=_spacing(data),
        thickness=number_of(data, "SpacingBetweenSlices") or number_of(data, "SliceThickness"),
        technique=_classic_technique(data),
        apart=_told_apart(
            echo=number_of(data, "EchoTime") if value_of(data, "EchoTime") is not None else None,
            echo_number=integer_of(data, "EchoNumbers"),
            component=_component(words_of(data, "ImageType")),
            inversion=number_of(data, "InversionTime"),
            b_value=number_of(data, "DiffusionBValue"),
            time_point=integer_of(data, "TemporalPositionIdentifier"),
            acquisition=integer_of(data, "AcquisitionNumber"),
            trigger=number_of(data, "TriggerTime"),
            acquired=text_of(data, "AcquisitionTime") or None,
        ),
    )


def _classic_technique(data: Dataset) -> Technique:
    has_agent, later = _agent(data)
    return Technique(
        sequences=frozenset(words_of(data, "ScanningSequence")),
        variants=frozenset(words_of(data, "SequenceVariant")),
        echo_time_ms=number_of(data, "EchoTime"),
        repetition_time_ms=number_of(data, "RepetitionTime"),
        inversion_time_ms=number_of(data, "InversionTime") or None,
        flip_angle=number_of(data, "FlipAngle"),
        b_value=number_of(data, "DiffusionBValue"),
        has_agent=has_agent,
        agent_later=later,
        contrast=text_of(data, "AcquisitionContrast").upper(),
        image_type=words_of(data, "ImageType"),
        description=_description(data),
    )


# --- enhanced: many pictures in a file, each with its functional groups -----------------------------------------------


class _Groups(NamedTuple):
    """The functional groups of one picture: its own come before those that all share."""

    own: Dataset
    shared: Dataset

    def item(self, keyword: str) -> Dataset:
        return item_of(self.own, keyword) or item_of(self.shared, keyword)


def _enhanced_frames(path: Path, data: Dataset, n_frames: int) -> Iterator[Frame]:
    shared = item_of(data, "SharedFunctionalGroupsSequence")
    uid, rows, columns = (
        text_of(data, "SOPInstanceUID"),
        integer_of(data, "Rows") or 0,
        integer_of(data, "Columns") or 0,
    )
    agent = _agent(data)
    for index, per_frame in enumerate(items_of(data, "PerFrameFunctionalGroupsSequence")):
        if index == n_frames:
            return
        groups = _Groups(per_frame, shared)
        technique = _enhanced_technique(data, groups, agent)
        row, column = _directions(groups.item("PlaneOrientationSequence"))
        measures, content = groups.item("PixelMeasuresSequence"), groups.item("FrameContentSequence")
        yield Frame(
            path=path,
            index=index,
            uid=uid,
            rows=rows,
            columns=columns,
            position=_vector(groups.item("PlanePositionSequence"), "ImagePositionPatient"),
            row_direction=row,
            column_direction=column,
            spacing=_spacing(measures),
            thickness=number_of(measures, "SpacingBetweenSlices") or number_of(measures, "SliceThickness"),
            technique=technique,
            apart=_told_apart(
                stack=text_of(content, "StackID") or None,
                echo=technique.echo_time_ms,
                component=_component_of(groups, technique),
                inversion=technique.inversion_time_ms,
                b_value=technique.b_value,
                time_point=integer_of(content, "TemporalPositionIndex"),
                acquired=text_of(content, "FrameAcquisitionDateTime") or None,
            ),
        )


def _enhanced_technique(data: Dataset, groups: _Groups, agent: tuple[bool | None, bool]) -> Technique:
    timing, kind = groups.item("MRTimingAndRelatedParametersSequence"), groups.item("MRImageFrameTypeSequence")
    modifier, diffusion = groups.item("MRModifierSequence"), groups.item("MRDiffusionSequence")
    echo = number_of(groups.item("MREchoSequence"), "EffectiveEchoTime")
    contrast = text_of(kind, "AcquisitionContrast") or text_of(data, "AcquisitionContrast")
    return Technique(
        sequences=_enhanced_sequences(data, modifier),
        echo_time_ms=echo if echo is not None else number_of(data, "EchoTime"),
        repetition_time_ms=number_of(timing, "RepetitionTime") or number_of(data, "RepetitionTime"),
        inversion_time_ms=number_of(modifier, "InversionTimes") or number_of(data, "InversionTime") or None,
        flip_angle=number_of(timing, "FlipAngle"),
        b_value=number_of(diffusion, "DiffusionBValue"),
        has_agent=agent[0],
        agent_later=agent[1],
        contrast=contrast.upper(),
        image_type=words_of(kind, "FrameType") or words_of(data, "ImageType"),
        description=_description(data),
    )


def _enhanced_sequences(data: Dataset, modifier: Dataset) -> frozenset[str]:
    """What Scanning Sequence says of classic files, from the attributes that stand for it in enhanced ones."""
    echo = text_of(data, "EchoPulseSequence").upper()
    words = {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(
        echo, set(words_of(data, "ScanningSequence"))
    )
    if text_of(data, "EchoPlanarPulseSequence").upper() == "YES":
        words = words | {"EP"}
    if text_of(modifier, "InversionRecovery").upper() == "YES":
        words = words | {"IR"}
    return frozenset(words)


def _component_of(groups: _Groups, technique: Technique) -> str | None:
    component = text_of(groups.item("MRImageFrameTypeSequence"), "ComplexImageComponent").lower()
    return component if component in _COMPONENTS.values() else _component(technique.image_type)


# --- of both ----------------------------------------------------------------------------------------------------------


def _vector(data: Dataset, keyword: str) -> Vector | None:
    numbers = numbers_of(data, keyword, 3)
    return None if numbers is None else (numbers[0], numbers[1], numbers[2])


def _directions(data: Dataset) -> tuple[Vector | None, Vector | None]:
    numbers = numbers_of(data, "ImageOrientationPatient", 6)
    if numbers is None:
        return None, None
    return (numbers[0], numbers[1], numbers[2]), (numbers[3], numbers[4], numbers[5])


def _spacing(data: Dataset) -> tuple[float, float] | None:
    numbers = numbers_of(data, "PixelSpacing", 2)
    return (numbers[0], numbers[1]) if numbers is not None and min(numbers) > 0 else None


def _description(data: Dataset) -> str:
    return f"{text_of(data, 'SeriesDescription')} {text_of(data, 'ProtocolName')}".strip()


def _component(image_type: Sequence[str]) -> str | None:
    """Magnitude, phase, … as the third value of Image Type says it (``M``, ``M_SE``, ``P_FFE``)."""
    return _COMPONENTS.get(image_type[2].partition("_")[0]) if len(image_type) > 2 else None


def _agent(data: Dataset) -> tuple[bool | None, bool]:
    """Whether a contrast agent is named, and whether it is said to have been given after the pictures."""
    name = text_of(data, "ContrastBolusAgent").upper()
    coded = any(items_of(data, "ContrastBolusAgentSequence"))
    if not name and not coded:
        return None, False
    given, acquired = number_of(data, "ContrastBolusStartTime"), number_of(data, "AcquisitionTime")
    later = given is not None and acquired is not None and given > acquired > 0
    return coded or name not in _NOT_GIVEN, later


def _told_apart(**values: str | float | None) -> tuple[tuple[str, str], ...]:
    """What is known of that which may tell pictures of one place apart."""
    return tuple(
        (name, f"{value:g}" if isinstance(value, float) else str(value))
        for name, value in values.items()
        if value is not None
    )
