"""Of the series of a study, which is taken for which modality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glioseg.cohorts.reading.sequences import UNTOLD, Taken
from glioseg.core.grid import PLANE_OF_AXIS
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.io.dicom.series import Volume

_DOUBTFUL = 0.55
"""Less confidence than this is told."""
_NOT_A_SCAN = ("a localiser",)
_OBLIQUE = 0.85
_OF_ANOTHER = 0.7


@dataclass(frozen=True, eq=False)
class Candidate:
    """A volume of a study, and what it may show.

    Args:
        label: by which a user names it.
        volume: the pictures.
        taken: what it was taken for.
        kind: the file's modality, ``MR`` or another.
    """

    label: str
    volume: Volume
    taken: Taken
    kind: str

    @property
    def is_damaged(self) -> bool:
        """Whether it would be a scan if nothing were wrong with it."""
        return self.kind == "MR" and self.volume.fault is not None and self.volume.fault not in _NOT_A_SCAN

    @property
    def is_derived(self) -> bool:
        """Whether it was made from other series."""
        return "DERIVED" in self.volume.technique.image_type

    @property
    def plane(self) -> str:
        """The plane of its slices; ``oblique`` where they are turned by more than some 30 degrees."""
        grid = self.volume.grid
        if grid is None:
            return ""
        normal = np.abs(grid.affine[:3, 2] / grid.spacing[2])
        axis = int(normal.argmax())
        return PLANE_OF_AXIS[axis] if normal[axis] > _OBLIQUE else "oblique"

    @property
    def merit(self) -> tuple[bool, bool, float, float, float]:
        """By which the better of two series of one modality is known: acquired rather than made from others, sure, thin
        slices, many of them.
        """
        grid = self.volume.grid
        thickest = max(grid.spacing) if grid is not None else 1e9
        sure = self.taken.confidence >= _DOUBTFUL
        return not self.is_derived, sure, -round(thickest, 1), self.taken.confidence, len(self.volume.frames)


def beside_each_other(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The same, where one series of a study names an agent and others, of which nothing says it, therefore had none."""
    if not any(each.volume.technique.has_agent for each in candidates):
        return list(candidates)
    return [replace(each, taken=_before_agent(each.taken)) if _is_untold(each.taken) else each for each in candidates]


def _before_agent(taken: Taken) -> Taken:
    why = taken.why.replace(UNTOLD, "no agent in its header, as there is in another's")
    return replace(taken, confidence=max(taken.confidence, _OF_ANOTHER), why=why, agent=False)


def chosen(candidates: Sequence[Candidate], overrides: Mapping[str, str]) -> dict[str, Candidate]:
    """Modality -> the best series of it, or the one that the user names."""
    overridden = {
        modality: candidate
        for modality, label in overrides.items()
        for candidate in candidates
        if candidate.label == label and candidate.volume.grid is not None
    }
    rest = [each for each in candidates if each.volume.grid is not None and each not in overridden.values()]
    by_modality = dict(overridden)
    for modality in MODALITY_ORDER:
        of_it = [each for each in rest if each.taken.modality == modality]
        if of_it and modality not in overridden:
            by_modality[modality] = max(of_it, key=lambda each: each.merit)
    order = (*MODALITY_ORDER, *sorted(set(by_modality) - set(MODALITY_ORDER)))
    return {modality: by_modality[modality] for modality in order if modality in by_modality}


def unclear(candidates: Sequence[Candidate], used: Mapping[str, Candidate]) -> Iterator[str]:
    """What the user should look at: modalities taken with little confidence, and T1 series that nothing tells apart."""
    for modality, candidate in used.items():
        taken = candidate.taken
        if taken.modality == modality and taken.confidence < _DOUBTFUL:
            yield f"series {candidate.label} was taken for {modality} with little confidence: {taken.why}"
    untold = [each.label for each in candidates if each.volume.grid is not None and _is_untold(each.taken)]
    if len(untold) > 1 and "t1c" not in used:
        yield (
            f"nothing tells which of the T1 series {', '.join(untold)} is after contrast; say it with "
            "`--modality t1c=SERIES`"
        )


def _is_untold(taken: Taken) -> bool:
    return taken.modality == "t1n" and taken.agent is None
