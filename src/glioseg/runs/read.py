"""A folder of scans, and what the user says of it -> the cohort in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from glioseg.cohorts.reading.labels_file import LABELS_FILE, read_labels_file
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import MaskPattern
from glioseg.cohorts.recognise import may_name_somebody, read_cohort
from glioseg.console import QUIET, Reporter
from glioseg.core import MAX_VOXELS, Cohort, LabelScheme, allowing, scheme_named
from glioseg.core.modalities import modality_of, our_names
from glioseg.errors import FileError, GliosegError, LabelError, misuse
from glioseg.io.remote.address import shown, url_of
from glioseg.io.remote.mirror import fetched
from glioseg.preparation.records import SchemeRecord

_MOST_SAID = 10


@dataclass(frozen=True)
class Data:
    """A folder of scans and what the user says of it.

    Args:
        path: the folder, at whatever level.
        layout: name of the reader, or one of your own; None recognises it.
        scheme: the label scheme, by name or one of your own; None lets the reader decide.
        modalities: names of the channels in file order, older ones as good as ours, for layouts that do not state them.
        masks: which files are masks, as ``*_roi.nii.gz``; None where names say it.
        max_voxels: a file, or a stack of them, that declares more is refused.
        series: of DICOM, modality -> the number of the series that shows it; others are recognised.
        keep_ids: of DICOM, whether cases are called by their patients' identifiers.
        origin: the URL that the folder was brought from, where it is elsewhere.
        left_out: files below the folder that are no part of it, by their paths from it.
    """

    path: Path
    layout: str | Layout | None = None
    scheme: str | LabelScheme | None = None
    modalities: tuple[str, ...] | None = None
    masks: str | None = None
    max_voxels: int = MAX_VOXELS
    series: Mapping[str, str] = field(default_factory=dict)
    keep_ids: bool = False
    origin: str | None = None
    left_out: frozenset[Path] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """As ``data.json`` of a run folder holds it: the path is absolute, or a URL, whose secrets are left out."""
        return {
            "path": str(self.path.absolute()) if self.origin is None else shown(self.origin),
            "layout": self.layout.name if isinstance(self.layout, Layout) else self.layout,
            "scheme": _scheme_json(self.scheme),
            "modalities": None if self.modalities is None else list(self.modalities),
            "masks": self.masks,
            "max_voxels": self.max_voxels,
            "series": dict(self.series),
            "keep_ids": self.keep_ids,
        }

    @classmethod
    def from_json(cls, values: object, path: Path) -> Self:
        """What ``to_json`` gave.

        Args:
            values: the JSON.
            path: its file, for messages.

        Raises:
            FileError: another JSON.
        """
        if not isinstance(values, dict) or "path" not in values:
            raise FileError("not the description of a run's data", path=path)
        names = values.get("modalities")
        modalities = None if names is None else tuple(names)
        scheme, limit = _scheme_from(values.get("scheme"), path), values.get("max_voxels", MAX_VOXELS)
        series, keep_ids = values.get("series", {}), values.get("keep_ids", False)
        folder, layout, masks = Path(values["path"]), values.get("layout"), values.get("masks")
        return cls(folder, layout, scheme, modalities, masks, limit, series, keep_ids)


def here(data: Data, reporter: Reporter = QUIET) -> Data:
    """The data with its files on this machine, where its path is a URL; errors as of ``mirror.fetched``."""
    url = url_of(data.path)
    return data if url is None else replace(data, path=fetched(data.path, reporter), origin=url)


def holds_cases(path: Path) -> bool:
    """Whether a path is read as a cohort: a folder, or an archive, DICOMDIR or file of DICOM."""
    return path.is_dir() or may_name_somebody(path)


def with_labels_file(data: Data) -> Data:
    """The same with the label scheme that a ``labels.toml`` in the folder, or beside it, says; as it is where none does
    or a scheme was named.

    Raises:
        FileError, LabelError: the file cannot be read, or says no scheme.
    """
    folder = data.path.absolute()
    files = [path for path in (folder / LABELS_FILE, folder.parent / LABELS_FILE) if path.is_file()]
    if data.scheme is not None or not files:
        return data
    return replace(data, scheme=read_labels_file(files[0]))


def read(data: Data | Cohort, reporter: Reporter = QUIET, *, says_errors: bool = True) -> Cohort:
    """The cohort in a folder: paths, no pixels. One that was read already comes back as it is.

    What could not be used is said, so that no case goes missing without a word.

    Args:
        data: the folder and what is said of it.
        reporter: shows progress.
        says_errors: whether what could not be used is said; not where all findings are shown anyway.

    Raises:
        OptionError: no layout or label scheme of that name, or names of modalities that the data has no place for.
        FileError, LayoutError: no such folder, or none that can be read; see ``read_cohort``.
    """
    if isinstance(data, Cohort):
        return data
    data = with_labels_file(here(data, reporter))
    names = None if data.modalities is None else our_names(data.modalities)
    masks = None if data.masks is None else MaskPattern(data.masks)
    series = {modality_of(name) or name: label for name, label in data.series.items()}
    options = ReadOptions(scheme_given(data.scheme), names, masks, series, data.keep_ids, data.left_out)
    with reporter.progress("Listing files") as step:
        cohort = read_cohort(data.path, layout=data.layout, options=options, progress=lambda n: step(n, 0))
    if says_errors:
        _say_errors(cohort, reporter)
    return replace(cohort, cases=tuple(allowing(case, data.max_voxels) for case in cohort.cases))


def _say_errors(cohort: Cohort, reporter: Reporter) -> None:
    errors = [finding for finding in cohort.findings if finding.severity == "error"]
    for finding in errors[:_MOST_SAID]:
        about = "" if finding.case is None else f"{finding.case}: "
        reporter.say(f"error: {about}{finding.message}")
    if len(errors) > _MOST_SAID:
        reporter.say(f"… and {len(errors) - _MOST_SAID} more errors; `glioseg inspect` lists them")


def _scheme_json(scheme: str | LabelScheme | None) -> object:
    return SchemeRecord.of(scheme).model_dump(mode="json") if isinstance(scheme, LabelScheme) else scheme


def _scheme_from(value: object, path: Path) -> str | LabelScheme | None:
    if value is None or isinstance(value, str):
        return value
    try:
        return SchemeRecord.model_validate(value).scheme()
    except (ValueError, GliosegError) as error:
        raise FileError("not the description of a run's data", path=path, found=f"scheme {value}") from error


def scheme_given(scheme: str | LabelScheme | None) -> LabelScheme | None:
    """A scheme that somebody names, or gives as it is.

    Raises:
        OptionError: there is none of that name.
    """
    if not isinstance(scheme, str):
        return scheme
    try:
        return scheme_named(scheme)
    except LabelError as error:
        raise misuse(error) from error
