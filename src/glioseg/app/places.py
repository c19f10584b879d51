"""Where everything lies in the folder of the application."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STATE = ".glioseg-app"
"""Hidden, so that a folder of studies stays one when it is read again."""
PRIVATE = 0o700
"""The permissions of this folder, which holds scans and masks of patients: nobody but its owner looks into it."""


@dataclass(frozen=True)
class CasePlaces:
    """The files of a case.

    Args:
        folder: of the case.
    """

    folder: Path

    @property
    def result(self) -> Path:
        """What ``predict`` wrote."""
        return self.folder / "result"

    @property
    def images(self) -> Path:
        """The scans as the page shows them, NIfTI on one grid."""
        return self.folder / "images"

    @property
    def mask(self) -> Path:
        """The network's mask, on the same grid."""
        return self.folder / "mask.nii.gz"

    @property
    def facts(self) -> Path:
        """What the page shows beside the mask; written last."""
        return self.folder / "facts.json"

    @property
    def reference(self) -> Path:
        """An expert's mask, on the same grid."""
        return self.folder / "reference.nii.gz"

    @property
    def scores(self) -> Path:
        """How the network's mask and the last one that was drawn compare with it."""
        return self.folder / "scores.json"

    def correction(self, n: int) -> Path:
        """The n-th mask that was drawn."""
        return self.folder / "corrections" / f"{n}.nii.gz"


@dataclass(frozen=True)
class Places:
    """The folder of the application.

    Args:
        folder: the worklist's.
    """

    folder: Path

    @property
    def state(self) -> Path:
        """All that the application keeps."""
        return self.folder / STATE

    @property
    def worklist(self) -> Path:
        """The database."""
        return self.state / "worklist.sqlite"

    @property
    def kept(self) -> Path:
        """The cohort of corrected masks, for ``glioseg train``."""
        return self.folder / "corrected"

    def upload(self, upload_id: str) -> Path:
        """Files of an upload."""
        return self.state / "uploads" / upload_id

    def case(self, case_id: str) -> CasePlaces:
        """Files of a case."""
        return CasePlaces(self.state / "cases" / case_id)
