"""What every call of the application works with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from glioseg.app.answers import NotFoundError
from glioseg.app.events import Hub
from glioseg.app.jobs import Jobs
from glioseg.app.networks import OfferedNetworks
from glioseg.app.options import AppOptions
from glioseg.app.places import CasePlaces, Places
from glioseg.app.security import Gate
from glioseg.app.worklist import ListedCase, Worklist
from glioseg.machine.salt import digest_of, local_salt

_ASKED = ("key", "modalities", "register", "brain_extract", "atlas", "uncertainty", "explain")
"""Of a request, what the process that predicts has to know."""


@dataclass(frozen=True)
class Service:
    """The parts of the running application.

    Args:
        options: how it is served.
        gate: who may ask.
        places: where files lie.
        worklist: the cases.
        hub: who is told of progress.
        jobs: who predicts.
        networks: by which.
    """

    options: AppOptions
    gate: Gate
    places: Places
    worklist: Worklist
    hub: Hub
    jobs: Jobs
    networks: OfferedNetworks

    @classmethod
    def of(cls, options: AppOptions, port: int) -> Service:
        """The parts, none of them at work yet; the folder is made where it is absent.

        Raises:
            OptionError, FileError: as ``Networks.require_own``.
        """
        networks = OfferedNetworks(options.networks)
        networks.require_own()
        places = Places(options.folder)
        worklist, hub = Worklist(places.worklist), Hub(options.limits.listeners)
        jobs = Jobs(worklist, partial(job_of, options=options, worklist=worklist, places=places), hub.publish)
        return cls(options, Gate(options, port), places, worklist, hub, jobs, networks)

    def case(self, case_id: str) -> tuple[ListedCase, CasePlaces]:
        """A case and its files.

        Raises:
            NotFoundError: there is none of that id.
        """
        record = self.worklist.case(case_id)
        if record is None:
            raise NotFoundError("there is no such case", remedy="It may have been deleted: load the worklist again")
        return record, self.places.case(record.id)

    def done(self, case_id: str) -> tuple[ListedCase, CasePlaces]:
        """A case that was predicted, and its files.

        Raises:
            NotFoundError: there is none, or nothing of it yet.
        """
        record, places = self.case(case_id)
        if record.state != "done":
            raise NotFoundError("nothing of this case is there yet", found=record.state)
        return record, places


def job_of(record: ListedCase, options: AppOptions, worklist: Worklist, places: Places) -> dict[str, Any]:
    """What the process that predicts is told of a case: plain values."""
    upload = worklist.upload(record.request["upload"])
    return {
        "case": record.id,
        "patient": record.patient,
        "opened": record.request["upload"],
        "upload": str(upload.folder if upload else places.upload("gone")),
        "folder": str(places.case(record.id).folder),
        "model": record.model,
        "device": options.device,
        "max_voxels": options.limits.voxels,
        **{name: record.request.get(name) for name in _ASKED},
    }


def new_id(kind: str) -> str:
    """An id by which a case or an upload is addressed; it says nothing."""
    return f"{kind}-{secrets.token_hex(6)}"


def patient_digest(patient: str) -> str:
    """What a patient is called: DICOM's are digests already, and others become such ones."""
    if patient.startswith("patient-"):
        return patient
    return f"patient-{digest_of(patient, local_salt() or b'glioseg')}"


def below(folder: Path, asked: str) -> Path | None:
    """A path below a folder; None where it leads out of it, by links too."""
    try:
        path = (folder / asked).resolve()
    except (OSError, ValueError, RuntimeError):  # a name that is none, a loop of links
        return None
    return path if path.is_relative_to(folder.resolve()) else None
