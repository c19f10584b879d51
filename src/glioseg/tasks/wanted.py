"""What is asked of a prediction beside its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glioseg.errors import OptionError
from glioseg.inference.uncertainty import UncertaintyOptions
from glioseg.preparation.ready.options import AS_IT_IS, ReadyOptions

UNCERTAINTY = "uncertainty"
FORMS = ("nifti", "report", "probabilities", UNCERTAINTY, "seg", "stl", "bids")
"""The mask, a report of the case, probabilities and uncertainty of regions, DICOM segmentation, surfaces, BIDS."""
DEFAULT_FORMS = ("nifti", "report")


def _to_nobody(step: str, share: float) -> None:
    """Nobody wants to be told."""


@dataclass(frozen=True)
class Wanted:
    """What is asked beside the answer.

    Args:
        uncertainty: the samples by which it is judged how far the answer can be trusted; None where nobody asks. It
            is written wherever it was asked for.
        explain: whether it is shown what the networks looked at.
        write: what is written of a case beside its JSON file, of ``FORMS``.
        deidentify: whether a DICOM segmentation names nobody.
        ready: what is done to the scans before the networks see them.
        told: called with what is being done (``read``, ``register``, ``brain``, ``network``, ``explain``) and the share
            of it that is.

    Raises:
        OptionError: another form, or none; nothing that could be deidentified.
    """

    uncertainty: UncertaintyOptions | None = None
    explain: bool = False
    write: tuple[str, ...] = DEFAULT_FORMS
    deidentify: bool = False
    ready: ReadyOptions = AS_IT_IS
    told: Callable[[str, float], None] = field(default=_to_nobody, compare=False, repr=False)

    def __post_init__(self) -> None:
        unknown = [form for form in self.write if form not in FORMS]
        if unknown:
            raise OptionError("there is no such form of a mask", found=", ".join(unknown), expected=", ".join(FORMS))
        if not self.write:
            raise OptionError("nothing is to be written", expected=f"some of {', '.join(FORMS)}")
        if self.deidentify and "seg" not in self.write:
            raise OptionError(
                "only a DICOM segmentation holds identifiers that could be removed",
                found="`--deidentify` without one",
                remedy="Add seg to `--write`",
            )

    @property
    def further(self) -> tuple[str, ...]:
        """The forms that only a mask of a volume has."""
        return tuple(form for form in self.write if form not in (*DEFAULT_FORMS, UNCERTAINTY))

    @property
    def samples(self) -> dict[str, Any] | None:
        """Which samples are taken, as the JSON file of a case keeps it; None for none."""
        return None if self.uncertainty is None else self.uncertainty.model_dump(mode="json")

    def is_in(self, sidecar: Mapping[str, Any]) -> bool:
        """Whether the JSON file of a case that was predicted before holds all of it."""
        forms = {*sidecar.get("forms", {}), UNCERTAINTY}
        made_ready = sidecar.get("ready", {}).get("asked", AS_IT_IS.to_json())
        if made_ready != self.ready.to_json():
            return False
        if self.uncertainty is not None and sidecar.get("uncertainty", {}).get("options") != self.samples:
            return False
        if "seg" in self.write and sidecar.get("deidentified", False) is not self.deidentify:
            return False
        return (not self.explain or "explanation" in sidecar) and forms >= set(self.write)


NOTHING_MORE = Wanted()
"""The mask and its report."""
