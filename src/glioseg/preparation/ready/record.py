"""What was done to a study before a network saw it, for the record and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glioseg.errors import listed
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.preparation.ready.skull import WITH_SKULL

if TYPE_CHECKING:
    from glioseg.preparation.ready.registration import Registration

_BLURRED = 0.2
"""Of 33 pairs of volumes of one patient none has less than 0.25, of 11 pairs of two patients none more than 0.16
(docs/results.md)."""
_APART = 0.8
"""Heads of one patient overlap by more than this, whatever was left of them by skull stripping."""
_COVERED = 0.9


@dataclass(frozen=True, eq=False)
class Moved:
    """Volumes that were brought to the grid of another, together, for they lie on one grid.

    Args:
        modalities: they.
        to: the modality, or the atlas.
        registration: the registration of the first of them.
        covered: share of the other's head that lies in their field of view.
    """

    modalities: tuple[str, ...]
    to: str
    registration: Registration
    covered: float = 1.0

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why it should be looked at, in sentences."""
        names, registration = listed(self.modalities), self.registration
        doubtful = f"The registration of {names} to {self.to} is doubtful"
        said = []
        if registration.overlap is None:
            said.append(f"{doubtful}: their fields of view do not meet")
        elif registration.overlap < _APART:
            said.append(f"{doubtful}: the heads overlap by {registration.overlap:.2f} only (Dice)")
        elif registration.sharpness < _BLURRED and not self.is_to_atlas:
            said.append(
                f"{doubtful}: moved aside by 4 mm they agree about as well (by {max(0.0, registration.sharpness):.0%} "
                "less, of one patient some 30 %), as scans of two patients do"
            )
        if self.covered < _COVERED:
            said.append(
                f"{names} {'shows' if len(self.modalities) == 1 else 'show'} {self.covered:.0%} of what {self.to} "
                "shows; beyond, zeros stand in"
            )
        return tuple(said)

    @property
    def is_to_atlas(self) -> bool:
        """Whether the other is no scan of the patient."""
        return self.to.startswith("the atlas")

    @property
    def words(self) -> str:
        """What was done, in a sentence."""
        before, after = (_dice(value) for value in (self.registration.overlap_before, self.registration.overlap))
        return (
            f"{listed(self.modalities)} moved by {self.registration.shift_mm:.1f} mm and "
            f"{self.registration.turn_degrees:.1f}° to {self.to}; overlap {before} before, {after} after"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        registration = self.registration
        return {
            "modalities": list(self.modalities),
            "to": self.to,
            "matrix": [[round(value, 6) for value in row] for row in registration.matrix.tolist()],
            "overlap_before": _rounded(registration.overlap_before),
            "overlap": _rounded(registration.overlap),
            "sharpness": round(registration.sharpness, 4),
            "shift_mm": round(registration.shift_mm, 2),
            "turn_degrees": round(registration.turn_degrees, 2),
            "covered": round(self.covered, 3),
            "seconds": round(registration.seconds, 1),
        }


@dataclass(frozen=True)
class Extracted:
    """A brain that was found: in which modality, its volume, by what, in which time."""

    of: str
    volume_ml: float
    by: str
    seconds: float
    is_odd: bool

    @property
    def words(self) -> str:
        """In a sentence."""
        return f"what is not brain was removed, by {self.by} in {self.of}: {self.volume_ml:,.0f} ml of brain are left"


@dataclass(frozen=True, eq=False)
class ReadyRecord:
    """What was done.

    Args:
        options: what was asked for.
        target: the modality on whose grid masks are written.
        spacing_mm: of the voxels that the network is shown.
        moved: what was registered; empty where all lies on one grid.
        skull: modality -> share of rays that cross bone; empty where nobody looked.
        brain: what was found; None where nothing was removed.
        evened: modalities whose shading was evened out.
        seconds: that all took.
    """

    options: ReadyOptions
    target: str
    spacing_mm: tuple[float, float, float]
    moved: tuple[Moved, ...]
    skull: Mapping[str, float]
    brain: Extracted | None
    evened: tuple[str, ...]
    seconds: float

    @property
    def has_skull(self) -> bool:
        """Whether a skull was found."""
        return max(self.skull.values(), default=0.0) >= WITH_SKULL

    @property
    def words(self) -> tuple[str, ...]:
        """What was done and what not, in sentences."""
        return tuple(self._words())

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why it should be looked at before it is believed, in sentences."""
        said = [doubt for each in self.moved for doubt in each.doubts]
        if self.brain is not None and self.brain.is_odd:
            said.append(f"The brain that was found has {self.brain.volume_ml:,.0f} ml, which is none of an adult's")
        return tuple(said)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "asked": self.options.to_json(),
            "mask_on": self.target,
            "spacing_mm": [round(mm, 4) for mm in self.spacing_mm],
            "registered": [each.to_json() for each in self.moved],
            "skull": {name: round(share, 3) for name, share in self.skull.items()},
            "has_skull": self.has_skull if self.skull else None,
            "brain": None if self.brain is None else vars(self.brain) | {"volume_ml": round(self.brain.volume_ml, 1)},
            "n4": list(self.evened),
            "words": list(self.words),
            "doubts": list(self.doubts),
            "seconds": round(self.seconds, 1),
        }

    def _words(self) -> Iterator[str]:
        if self.evened:
            yield f"the shading of {', '.join(self.evened)} was evened out (N4)"
        if self.options.registers:
            yield from (each.words for each in self.moved)
            if not any(not each.is_to_atlas for each in self.moved):
                yield "all modalities lie on one grid: none was registered to another"
            step = " × ".join(f"{mm:.3g}" for mm in self.spacing_mm)
            yield f"all was brought to voxels of {step} mm; masks lie on the grid of {self.target}"
        if self.options.brain_extract and self.brain is None:
            yield f"no skull was found ({self._bone()}), and nothing was removed"
        if self.brain is not None:
            yield f"a skull was found ({self._bone()})"
            yield self.brain.words

    def _bone(self) -> str:
        if not self.skull:
            return "no section is one of a head"
        return f"bone on {max(self.skull.values()):.0%} of the ways from the outline inwards"


def _dice(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
