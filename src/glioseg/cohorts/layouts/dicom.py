"""DICOM as a scanner or an archive gives it: every study is a case, and a series of it each modality.

Nobody is named: cases and patients are called by digests of their identifiers, files by their number, and of what the
operator wrote only those words are kept that say something of the sequence; ``keep_ids`` keeps all.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from glioseg.cohorts.layouts.dicom_choice import Candidate, beside_each_other, chosen, unclear
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing
from glioseg.cohorts.reading.sequences import taken_for
from glioseg.core import Case, Cohort, Finding, Source
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.core.sequence_words import described
from glioseg.core.series import SeriesRow
from glioseg.errors import LayoutError, OptionError, name_some
from glioseg.io.dicom.header import Unread, dicom_files, read_instances
from glioseg.io.dicom.instance import Instance
from glioseg.io.dicom.series import Volume, volumes_of
from glioseg.io.endings import SCAN_ENDINGS, has_ending
from glioseg.machine.salt import day_of, digest_of, local_salt

NAME = "dicom"
_OTHER_FILE = re.compile(r"\.(?!dcm$|ima$|dicom$|mr$|img$)[a-z][a-z0-9]{0,5}$", re.IGNORECASE)
"""Names with an ending that says what is in the file, and that it is no DICOM."""
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class _Names:
    """What is called how.

    Args:
        salt: of digests.
        listing: the files.
        keep_ids: whether identifiers, descriptions and names of files are shown as they are.
        is_lasting: whether the salt is the same next time.
    """

    salt: bytes
    listing: Listing
    keep_ids: bool
    is_lasting: bool = True

    def case(self, instance: Instance) -> str:
        if self.keep_ids:
            return _UNSAFE.sub("_", f"{instance.patient or 'unknown'}_{instance.day or 'undated'}").strip(".")
        return f"case-{digest_of(instance.study, self.salt)}"

    def patient(self, instance: Instance) -> str:
        identity = instance.patient or instance.study
        return identity if self.keep_ids else f"patient-{digest_of(identity, self.salt)}"

    def day(self, instance: Instance) -> int | None:
        """Of the study, on a calendar of the patient's own; None where that begins elsewhere each time."""
        try:
            day = datetime.strptime(instance.day.strip(), "%Y%m%d").date()
        except ValueError:
            return None
        return day_of(day, instance.patient, self.salt) if self.is_lasting and instance.patient else None

    def file(self, unread: Unread) -> str:
        if self.keep_ids:
            return self.listing.relative(unread.path)
        return f"file {self._numbers[unread.path]} of {len(self.listing.files)}"

    @cached_property
    def _numbers(self) -> dict[Path, int]:
        """File -> its place among all, from 1."""
        return {path: number for number, path in enumerate(self.listing.files, start=1)}

    def words(self, volume: Volume) -> str:
        text = volume.technique.description
        return text if self.keep_ids else " ".join(described(text).words)


def match(listing: Listing) -> str | None:
    """Files that begin as DICOM does, among those whose names do not say that they are something else."""
    likely = [path for path in listing.files if _may_be_dicom(path)]
    return None if next(dicom_files(likely), None) is None else "DICOM files"


def _may_be_dicom(path: Path) -> bool:
    return not _OTHER_FILE.search(path.name) and not has_ending(path, SCAN_ENDINGS)


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """The studies among the files, each a case with the series that were taken for its modalities.

    Raises:
        LayoutError: no study has a series that can be used.
        OptionError: a series that the user names is in none of them, or names for channels.
    """
    if options.modalities is not None:
        raise OptionError(
            "the series of DICOM are told by their headers",
            found=", ".join(options.modalities),
            expected="no names",
            remedy="Say what a series shows with `--modality t1c=SERIES`, SERIES being its number",
        )
    salt = local_salt()
    names = _Names(salt or secrets.token_bytes(16), listing, options.keep_ids, salt is not None)
    headers = list(read_instances(listing.files))
    instances = [each for each in headers if isinstance(each, Instance)]
    unread = [each for each in headers if isinstance(each, Unread)]
    studies: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        studies[instance.study].append(instance)
    read_studies = _apart([_study(study, names, options.series) for study in studies.values()])
    rows = tuple(row for study in read_studies for row in study.rows)
    _require_named(options.series, rows)
    cases = sorted((study.case for study in read_studies if study.case.images), key=lambda case: case.id)
    findings = [*_unread_findings(unread, names), *(finding for study in read_studies for finding in study.findings)]
    if salt is None and not options.keep_ids:
        message = "the salt of this machine cannot be kept in ~/.config/glioseg: cases are called otherwise next time"
        findings.append(Finding("note", "assumed-identity", message))
    if not cases:
        raise _nothing(rows, unread, names)
    modalities = tuple(name for name in MODALITY_ORDER if any(name in case.images for case in cases))
    others = sorted({name for case in cases for name in case.images} - set(modalities))
    return Cohort(
        listing.root.name if options.keep_ids else NAME,
        NAME,
        "DICOM files",
        tuple(cases),
        (*modalities, *others),
        None,
        findings=tuple(findings),
        series=rows,
    )


@dataclass(frozen=True)
class _Study:
    case: Case
    rows: tuple[SeriesRow, ...]
    findings: tuple[Finding, ...]

    def called(self, name: str) -> _Study:
        """The same under another name."""
        images = {
            modality: replace(source, name=source.name and source.name.replace(self.case.id, name, 1))
            for modality, source in self.case.images.items()
        }
        return _Study(
            replace(self.case, id=name, images=images),
            tuple(replace(row, case=name) for row in self.rows),
            tuple(replace(finding, case=name) for finding in self.findings),
        )


def _apart(studies: Sequence[_Study]) -> list[_Study]:
    """Studies of one name, as two of a patient on one day have, are numbered."""
    counts, seen = Counter(study.case.id for study in studies), Counter[str]()
    numbered = []
    for study in studies:
        name = study.case.id
        seen[name] += 1
        numbered.append(study.called(f"{name}_{seen[name]}") if counts[name] > 1 else study)
    return numbered


def _study(instances: Sequence[Instance], names: _Names, overrides: Mapping[str, str]) -> _Study:
    name = names.case(instances[0])
    candidates = _candidates(instances)
    used = chosen(candidates, overrides)
    images = {
        modality: Source(
            tuple(dict.fromkeys(frame.path for frame in candidate.volume.frames)),
            "dicom",
            dataset=_part(candidate.volume),
            name=f"{name} series {candidate.label}",
            is_derived=candidate.is_derived,
        )
        for modality, candidate in used.items()
    }
    rows = tuple(_row(name, candidate, used, names, overrides) for candidate in candidates)
    findings = [
        Finding("warning", "unusable-series", f"series {row.label} cannot be used: {row.why}", name)
        for row, candidate in zip(rows, candidates, strict=True)
        if candidate.is_damaged
    ]
    findings += [Finding("warning", "unclear-series", words, name) for words in unclear(candidates, used)]
    case = Case(name, names.patient(instances[0]), images, day=names.day(instances[0]))
    return _Study(case, rows, tuple(findings))


def _part(volume: Volume) -> str | None:
    """Which volume of its files it is, where these hold others too: one enhanced file does, files of one slice not."""
    return str(volume.part) if volume.n_parts > 1 and len({frame.path for frame in volume.frames}) == 1 else None


def _candidates(instances: Sequence[Instance]) -> list[Candidate]:
    """The volumes of a study in the order of their series, each with the label by which a user may name it."""
    series: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        series[instance.series].append(instance)
    volumes = [volume for each in series.values() for volume in volumes_of(each)]
    volumes.sort(key=lambda volume: (volume.number is None, volume.number or 0, volume.series, volume.part))
    counts, seen = Counter(volume.number for volume in volumes), Counter[int | None]()
    candidates = []
    for volume in volumes:
        seen[volume.number] += 1
        number = "0" if volume.number is None else str(volume.number)
        label = number if counts[volume.number] == 1 else f"{number}.{seen[volume.number]}"
        modality = series[volume.series][0].modality
        candidates.append(Candidate(label, volume, taken_for(volume.technique), modality))
    return beside_each_other(candidates)


def _row(
    case: str, candidate: Candidate, used: Mapping[str, Candidate], names: _Names, overrides: Mapping[str, str]
) -> SeriesRow:
    volume, taken = candidate.volume, candidate.taken
    role = next((modality for modality, each in used.items() if each is candidate), None)
    by_user = role is not None and overrides.get(role) == candidate.label
    why = "named by the user" if by_user else volume.fault or taken.why
    told_by = [volume.told_by] if volume.told_by else []
    grid = volume.grid
    return SeriesRow(
        case=case,
        label=candidate.label,
        words=names.words(volume),
        plane="" if grid is None else candidate.plane,
        spacing_mm=None if grid is None else grid.spacing_mm,
        n_slices=len(volume.frames),
        agent={True: "yes", False: "no", None: ""}[taken.agent],
        taken_for=role or (None if volume.fault is not None else taken.modality),
        confidence=1.0 if by_user else 0.0 if volume.fault is not None else taken.confidence,
        why=why,
        is_used=role is not None,
        remarks=(*told_by, *volume.remarks),
    )


def _require_named(overrides: Mapping[str, str], rows: Sequence[SeriesRow]) -> None:
    for modality, label in overrides.items():
        if not any(row.is_used and row.label == label and row.taken_for == modality for row in rows):
            words = [f"{row.label} ({row.words or row.plane or 'no description'})" for row in rows]
            there = next((row for row in rows if row.label == label), None)
            raise OptionError(
                f"`--modality {modality}={label}` names no series that can be used",
                found="no such series" if there is None else there.why,
                expected=f"one of {name_some(words, 12)}",
            )


def _unread_findings(unread: Sequence[Unread], names: _Names) -> list[Finding]:
    return [
        Finding("error", "unreadable-file", f"{names.file(each)} cannot be read, and costs its series: {each.why}")
        for each in unread
    ]


def _nothing(rows: Sequence[SeriesRow], unread: Sequence[Unread], names: _Names) -> LayoutError:
    said = [f"series {row.label} ({row.words or 'no description'}): {row.why}" for row in rows]
    said += [f"{names.file(each)}: {each.why}" for each in unread]
    return LayoutError(
        "no series of these DICOM files can be used",
        found=name_some(said, 8) or "no pictures",
        expected="MR series of a brain: T1 before or after contrast, T2 or FLAIR",
        remedy="Say what a series shows with `--modality t1c=SERIES`, SERIES being its number"
        if any(row.plane for row in rows)
        else "Export the scans again, or name the folder or archive in which they lie",
    )


LAYOUT = Layout(
    name=NAME,
    needs="DICOM files of MR, whatever their names and folders",
    match=match,
    read=read,
    hides_names=True,
)
