"""What is asked of a prediction beside its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glioseg.errors import OptionError
from glioseg.inference.uncertainty import UncertaintyOptions
from glioseg.preparation.ready.options import AS_IT_IS, ReadyOptions

FORMS = ("seg", "stl", "probabilities")
"""DICOM segmentation, surfaces, and the probabilities of regions."""


def _to_nobody(step: str) -> None:
    """Nobody wants to be told."""


@dataclass(frozen=True)
class Wanted:
    """What is asked beside the answer.

    Args:
        uncertainty: the samples by which it is judged how far the answer can be trusted; None where nobody asks.
        explain: whether it is shown what the networks looked at.
        write: the forms of a mask that are written beside it, of ``FORMS``.
        deidentify: whether a DICOM segmentation names nobody.
        ready: what is done to the scans before the networks see them.
        told: called with what is done next: ``read``, ``register``, ``brain``, ``network``.

    Raises:
        OptionError: another form, or nothing that could be deidentified.
    """

    uncertainty: UncertaintyOptions | None = None
    explain: bool = False
    write: tuple[str, ...] = ()
    deidentify: bool = False
    ready: ReadyOptions = AS_IT_IS
    told: Callable[[str], None] = field(default=_to_nobody, compare=False, repr=False)

    def __post_init__(self) -> None:
        unknown = [form for form in self.write if form not in FORMS]
        if unknown:
            raise OptionError("there is no such form of a mask", found=", ".join(unknown), expected=", ".join(FORMS))
        if self.deidentify and "seg" not in self.write:
            raise OptionError(
                "only a DICOM segmentation holds identifiers that could be removed",
                found="`--deidentify` alone",
                remedy="Add `--write seg`",
            )

    def is_in(self, sidecar: Mapping[str, Any]) -> bool:
        """Whether the JSON file of a case that was predicted before holds all of it."""
        asked = {"uncertainty": self.uncertainty is not None, "explanation": self.explain}
        forms = sidecar.get("forms", {})
        made_ready = sidecar.get("ready", {}).get("asked", AS_IT_IS.to_json())
        if made_ready != self.ready.to_json():
            return False
        return all(name in sidecar for name, is_asked in asked.items() if is_asked) and all(
            form in forms for form in self.write
        )


NOTHING_MORE = Wanted()
