"""What calls take and answer, as OpenAPI describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(extra="forbid")


class ErrorFields(BaseModel):
    """What is wrong, in which file, what was found, what was expected, and what can be done."""

    what: str
    file: str | None = None
    found: str | None = None
    expected: str | None = None
    remedy: str | None = None


class ErrorAnswer(BaseModel):
    """Every refusal."""

    error: ErrorFields


class Accepted(BaseModel):
    """What is accepted at most: bytes and files of an upload, voxels of a file."""

    bytes: int
    files: int
    voxels: int


class Session(BaseModel):
    """What the page has to know first."""

    csrf: str
    version: str
    folder: str
    limits: Accepted
    options: list[str]
    research_use: str


class FigureText(BaseModel):
    """A figure of a network in words."""

    text: str


class NetworkAnswer(BaseModel):
    """A network, as its card describes it."""

    name: str
    title: str
    about: str
    modalities: list[str]
    modality_sets: list[list[str]]
    regions: list[str]
    figures: list[FigureText]
    data: list[dict[str, Any]]
    terms: list[str]
    limits: list[str]
    installed: bool
    how_to_get: str


class ScanAnswer(BaseModel):
    """A scan of an upload, and what it was taken for."""

    series: str
    file: str
    plane: str
    spacing_mm: list[float] | None
    n_slices: int
    taken_for: str | None
    confidence: float
    why: str


class FoundAnswer(BaseModel):
    """A case of an upload: its scans, whether they share a grid and know millimetres, which networks fit and which not.

    Without millimetres, as in pictures, nothing can be registered, brought into an atlas or freed from its skull.
    """

    key: str
    name: str
    patient: str
    modalities: dict[str, ScanAnswer]
    others: list[ScanAnswer]
    on_one_grid: bool
    has_mm: bool
    fits: list[str]
    proposed: str | None
    missing: dict[str, list[str]]


class FindingAnswer(BaseModel):
    """What is to be said of an upload."""

    severity: str
    message: str
    file: str | None = None
    case: str | None = None


class UploadAnswer(BaseModel):
    """What lies in an upload."""

    upload: str
    cases: list[FoundAnswer]
    findings: list[FindingAnswer]


class PathAsked(BaseModel):
    """A folder below that of the application."""

    model_config = _STRICT

    path: str = Field(max_length=4096)


class CaseAsked(BaseModel):
    """A case of an upload that is to be predicted."""

    model_config = _STRICT

    upload: str = Field(max_length=64)
    key: str = Field(max_length=1024)
    model: str = Field(max_length=4096)
    modalities: dict[str, str] = Field(max_length=32)
    is_registered: bool = Field(False, alias="register")  # a name that pydantic's own classes have
    brain_extract: bool = False
    atlas: Literal["mni"] | None = None
    uncertainty: bool = False
    explain: bool = False


class CaseId(BaseModel):
    """By which a case is addressed."""

    id: str


class Confidence(BaseModel):
    """How far a mask can be trusted, and why not further."""

    value: float | None
    low: bool
    words: str
    reasons: list[str]


class CaseAnswer(BaseModel):
    """A case of the worklist; its ``study_day`` counts from the first study of the patient, where the scans say it."""

    id: str
    name: str
    patient: str
    state: str
    step: str
    share: float
    created: str
    study_day: int | None
    model: str
    volumes_ml: dict[str, float]
    unit: str
    confidence: Confidence | None
    corrected: int
    error: ErrorFields | None


class ImageAnswer(BaseModel):
    """A scan that is shown."""

    name: str
    title: str
    url: str


class LabelAnswer(BaseModel):
    """What an integer of a mask means, and its colour."""

    value: int
    name: str
    colour: str


class MaskAnswer(BaseModel):
    """The network's mask."""

    url: str
    labels: list[LabelAnswer]


class RegionAnswer(BaseModel):
    """A region, its colour, the values of its labels, and its volume, with the interval where it was asked for."""

    name: str
    title: str
    colour: str
    labels: list[int]
    volume_ml: float
    interval_ml: list[float] | None


class MapAnswer(BaseModel):
    """A map of numbers of a region: the volume ``frame`` of its file, and from where to where its values go."""

    kind: str
    region: str
    url: str
    frame: int
    title: str
    range: list[float]


class LesionAnswer(BaseModel):
    """A separate piece of a region."""

    region: str
    centre_voxel: list[int]
    centre_mm: list[float] | None
    volume_ml: float


class DiametersAnswer(BaseModel):
    """Both diameters of a lesion, where they were measured: slices are counted from 1, points are RAS+ mm."""

    region: str
    axial_slice: int
    long_mm: float
    short_mm: float
    points_mm: list[list[float]]


class MeasuredAnswer(BaseModel):
    """What is measured of a mask, whoever drew it."""

    lesions: list[LesionAnswer]
    largest: dict[str, int] | None
    diameters: list[DiametersAnswer]


class CorrectionAnswer(MeasuredAnswer):
    """A mask that somebody drew, and what is measured of it."""

    n: int
    by: str
    at: str
    note: str
    url: str
    volumes_ml: dict[str, float]


Scores = dict[str, dict[str, float | None]]


class ReferenceAnswer(BaseModel):
    """An expert's mask, and how the network's mask and the last one drawn compare with it."""

    url: str
    scores: Scores
    corrected: Scores | None


class Scored(BaseModel):
    """How the network's mask and the last one drawn compare with a reference."""

    scores: Scores
    corrected: Scores | None


class KeepAsked(BaseModel):
    """Cases whose corrected masks are collected."""

    model_config = _STRICT

    ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=10_000)


class Kept(BaseModel):
    """The folder of the cohort, how many cases it has, and the command that learns from them."""

    folder: str
    n: int
    command: str


class TimePoint(BaseModel):
    """A case of a patient: when it was queued, the day of its study, and the volumes of the last mask."""

    id: str
    date: str
    study_day: int | None
    volumes_ml: dict[str, float]
    unit: str


class CaseDetail(CaseAnswer, MeasuredAnswer):
    """A case with all that is shown of it; what is measured and said is of the network's mask.

    Of a mask that was drawn it stands with the correction; ``volumes_ml`` are those of the last.
    """

    modalities: list[ImageAnswer]
    mask: MaskAnswer | None
    regions: list[RegionAnswer]
    maps: list[MapAnswer]
    reference: ReferenceAnswer | None
    corrections: list[CorrectionAnswer]
    warnings: list[str]
    terms: list[str]


class Corrected(BaseModel):
    """A correction that was kept."""

    n: int
    volumes_ml: dict[str, float]


class Nothing(BaseModel):
    """Done; there is nothing to say."""
