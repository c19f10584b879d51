"""A row of the table of a DICOM study's series."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeriesRow:
    """A series of a study, or one of its volumes, and what it was taken for.

    Args:
        case: the study's.
        label: by which it is named: the series number, with the number of the volume where it holds several (``7.2``).
        words: what of its description says something of the sequence; all of it where identifiers are kept.
        plane: ``axial``, ``coronal``, ``sagittal``, ``oblique``; empty where it lies nowhere.
        spacing_mm: along X, Y, Z; None likewise.
        n_slices: its pictures.
        agent: ``yes``, ``no`` or empty where nothing is said of a contrast agent.
        taken_for: the modality; None where it is none of ours.
        confidence: 0 to 1, of that.
        why: in words, also of what it is not.
        is_used: whether it is its case's image of that modality.
        remarks: what is odd of it.
    """

    case: str
    label: str
    words: str
    plane: str
    spacing_mm: tuple[float, float, float] | None
    n_slices: int
    agent: str
    taken_for: str | None
    confidence: float
    why: str
    is_used: bool
    remarks: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Description, why and remarks in one sentence."""
        return "; ".join((*([] if self.words in self.why else [self.words]), self.why, *self.remarks))

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            **vars(self),
            "spacing_mm": None if self.spacing_mm is None else [round(mm, 4) for mm in self.spacing_mm],
            "remarks": list(self.remarks),
        }
