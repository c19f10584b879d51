"""Identifiers in a header, replaced by digests: as much as a segmentation takes over from its series."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glioseg.io.dicom.values import text_of

if TYPE_CHECKING:
    from pydicom import Dataset

_EMPTY = (
    "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes that the standard wants to be there, and lets be empty."""
_REMOVED_GROUPS = frozenset({0x0010, 0x0012, 0x0032, 0x0038, 0x0040, 0x4008})
"""Patient, trial, request, visit, procedure, interpretation."""
_KEPT = frozenset({"PatientName", "PatientID", "PatientBirthDate", "PatientSex"})
_REMOVED = (
    "StudyDescription", "SeriesDescription", "ProtocolName", "InstitutionName", "InstitutionAddress", "StationName",
    "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName", "PhysiciansOfRecord",
    "IssuerOfAccessionNumberSequence", "ReferencedStudySequence", "ReferencedPatientSequence", "ProcedureCodeSequence",
    "SeriesDate", "SeriesTime", "ContentDate", "ContentTime", "AcquisitionDate", "AcquisitionTime",
    "PositionReferenceIndicator", "InstanceCreationDate", "InstanceCreationTime", "ConsultingPhysicianName",
    "DeviceSerialNumber", "AcquisitionDateTime",
)  # fmt: skip
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True)
class Deidentified:
    """Who a patient is from now on.

    Args:
        patient: of the patient.
        salt: of the digests that UIDs become; the same UID becomes the same.
    """

    patient: str
    salt: bytes

    def apply(self, data: Dataset) -> None:
        """Replace what identifies in the header of an image; the voxels are left as they are."""
        data.remove_private_tags()
        for element in [each for each in data if each.tag.group in _REMOVED_GROUPS and each.keyword not in _KEPT]:
            del data[element.tag]
        for keyword in _REMOVED:
            if keyword in data:
                delattr(data, keyword)
        for keyword in _EMPTY:
            setattr(data, keyword, "")
        data.PatientName, data.PatientID = self.patient, self.patient
        self._rename_uids(data)
        for keyword in ("SourceImageSequence", "ReferencedImageSequence", "ReferencedPerformedProcedureStepSequence"):
            if keyword in data:
                delattr(data, keyword)

    def _rename_uids(self, data: Dataset) -> None:
        for keyword in _UIDS:
            if text_of(data, keyword):
                setattr(data, keyword, self.uid(text_of(data, keyword)))
        meta = getattr(data, "file_meta", None)
        if meta is not None and "MediaStorageSOPInstanceUID" in meta:
            meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID

    def uid(self, uid: str) -> str:
        """The UID that stands for another."""
        digest = hashlib.blake2b(uid.encode(errors="surrogateescape"), key=self.salt, digest_size=16).digest()
        return f"2.25.{int.from_bytes(digest, 'big')}"
