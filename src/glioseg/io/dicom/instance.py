"""What is kept of a DICOM file's header: where its pictures lie and how they were made, and nobody's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Technique:
    """How pictures were made, as far as their header says; None or empty where it does not.

    Args:
        sequences: ``SE`` ``IR`` ``GR`` ``EP``, as Scanning Sequence (0018,0020) has them.
        variants: Sequence Variant (0018,0021): ``SK`` ``SP`` ``MP`` ``SS`` ``TOF`` …
        echo_time_ms: TE.
        repetition_time_ms: TR.
        inversion_time_ms: TI.
        flip_angle: in degrees.
        b_value: diffusion weighting in s/mm².
        has_agent: whether a contrast agent is named; None where nothing is said of one.
        agent_later: whether the agent is said to have been given after these pictures.
        contrast: Acquisition Contrast (0008,9209) of enhanced files: ``T1``, ``FLUID_ATTENUATED``, …
        image_type: Image Type (0008,0008), or Frame Type.
        description: what the operator called it, Series Description and Protocol Name.
    """

    sequences: frozenset[str] = frozenset()
    variants: frozenset[str] = frozenset()
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    flip_angle: float | None = None
    b_value: float | None = None
    has_agent: bool | None = None
    agent_later: bool = False
    contrast: str = ""
    image_type: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Frame:
    """One picture.

    Args:
        path: its file.
        index: which picture of the file, from 0.
        uid: SOP instance of the file.
        rows: and
        columns: its size.
        position: centre of its first voxel in LPS mm; None where the header does not say.
        row_direction: where the column number grows, in LPS, and
        column_direction: where the row number grows; None likewise.
        spacing: mm between rows, between columns.
        thickness: mm from slice to slice as the header says, for a volume of one slice.
        technique: how it was made.
        apart: what tells pictures of one place apart (echo, component, time, …), name and value.
    """

    path: Path
    index: int
    uid: str
    rows: int
    columns: int
    position: Vector | None
    row_direction: Vector | None
    column_direction: Vector | None
    spacing: tuple[float, float] | None
    thickness: float | None
    technique: Technique
    apart: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Instance:
    """One DICOM file of a picture, or of something else that a study holds.

    Args:
        path: the file.
        study: UID of the study.
        series: UID of the series.
        number: of the series; None where the header has none.
        patient: the patient's identifier, never to be shown as it is.
        modality: ``MR``, ``SEG``, ``SR``, ….
        day: of the study, such as 20240131; empty where it is not said.
        frames: its pictures; none where it is no picture.
        fault: why its pictures cannot be used, in words; None where they can.
    """

    path: Path
    study: str
    series: str
    number: int | None
    patient: str
    modality: str
    day: str
    frames: tuple[Frame, ...]
    fault: str | None = None
