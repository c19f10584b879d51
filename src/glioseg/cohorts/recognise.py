"""A folder, at whatever level the user points to -> a cohort: the closed table of layouts and the choice among them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from glioseg.cohorts.layouts import (
    bids,
    brats,
    brats_h5,
    brisc,
    cheng,
    classes,
    dicom,
    lgg,
    msd,
    nnunet,
    pairs,
    volumes,
)
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, list_folder, natural_key
from glioseg.core import Cohort, Finding
from glioseg.errors import FileError, GliosegError, LayoutError, OptionError, name_some, nameless, plural
from glioseg.io.dicom.archive import is_archive
from glioseg.io.dicom.study_files import is_study_file, study_files
from glioseg.io.endings import PICTURE_ENDINGS, SCAN_ENDINGS, VOLUME_ENDINGS, file_ending, has_ending

LAYOUTS: tuple[Layout, ...] = (
    nnunet.LAYOUT,
    msd.LAYOUT,
    brats_h5.LAYOUT,
    bids.LAYOUT,
    brats.LAYOUT,
    lgg.LAYOUT,
    volumes.LAYOUT,
    dicom.LAYOUT,
    brisc.LAYOUT,
    cheng.LAYOUT,
    pairs.LAYOUT,
    classes.LAYOUT,
)
"""All layouts, in order of recognition: the first that matches reads the folder."""

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar")
_DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
_SETTINGS = (".mat",)
"""What is a scan in one data set, and what programs such as SPM write beside scans in others."""
_UNREAD_SCANS = (".npy", ".npz", ".mnc", ".mif", ".par", ".nia", ".v", ".pkl", ".pt", ".tfrecord")
_UNREAD_PICTURES = (".webp", ".gif", ".jp2", ".heic")
_DEFAULTS = ReadOptions()
_WEAK_SHARE = 0.1


def read_cohort(
    path: Path,
    *,
    layout: str | Layout | None = None,
    options: ReadOptions = _DEFAULTS,
    progress: Callable[[int], None] | None = None,
) -> Cohort:
    """Read the cohort in a folder.

    Args:
        path: the data set's folder, one above it, one below, or one patient's; of DICOM also a zip archive, a DICOMDIR
            or a file.
        layout: name of one of ``LAYOUTS``, or a layout of your own; None recognises it.
        options: what the user says of the data that the files leave open.
        progress: called with the number of files found so far, while the folder is walked.

    Raises:
        FileError: no such folder, or one that cannot be read.
        LayoutError: an empty folder; a folder that fits no layout; one that holds several data sets.
        OptionError: no layout of that name; a pattern for masks where the layout names them itself.
    """
    if options.keep_ids or not may_name_somebody(path):
        return _read_cohort(path, layout, options, progress)
    try:
        return _read_cohort(path, layout, options, progress)
    except GliosegError as error:
        raise nameless(error, path) from None  # what caused it has the name, too


def _read_cohort(
    path: Path, layout: str | Layout | None, options: ReadOptions, progress: Callable[[int], None] | None
) -> Cohort:
    reader = layout_named(layout) if isinstance(layout, str) else layout
    is_study = is_study_file(path)
    if not is_study:
        _refuse_archive(path)
        _refuse_other(path)
    listing = _list_study(path) if is_study else _list(path, options, progress)
    if not listing.files:
        raise _empty(listing)
    study = dicom.LAYOUT.match(listing) if is_study else None
    if is_study and study is None:
        raise _no_study(path)
    layouts = () if is_study else _layouts_for(options, reader)
    if reader is None and study is not None:
        reader, reason = dicom.LAYOUT, study
    elif reader is None:
        if not any(each.spans_folders and each.match(listing) for each in layouts):
            _refuse_several(listing, options)
        reader, reason = _recognise(listing, layouts, options)
    else:
        reason = f"{reader.match(listing) or 'the files do not look like it'}; that layout was named"
    if options.series and reader in LAYOUTS and reader is not dicom.LAYOUT:
        modality, label = next(iter(options.series.items()))
        raise OptionError(
            "only DICOM has series that can be named",
            found=f"`--modality {modality}={label}` of the layout {reader.name}",
            remedy="Leave it out; `--modalities` names the channels of other files",
        )
    cohort = reader.read(listing, options)
    if reader.hides_names and not options.keep_ids:
        of_folder = list(listing.findings) if is_study else _without_names(listing.findings)
    else:
        of_folder = [*listing.findings, *_left_over(listing, cohort, reader)]
    findings = (*of_folder, *_fitting_nothing(listing), *cohort.findings)
    return replace(cohort, name=cohort.name or "cohort", reason=reason, findings=tuple(dict.fromkeys(findings)))


def _list(path: Path, options: ReadOptions, progress: Callable[[int], None] | None) -> Listing:
    return replace(list_folder(path, progress, options.left_out), masks=options.masks)


def _fitting_nothing(listing: Listing) -> list[Finding]:
    """A warning where the user says which files are masks, and none is called so."""
    if listing.masks is None or any(listing.masks.name_in(listing.place(path)) is not None for path in listing.files):
        return []
    message = f"no file fits `--mask-pattern {listing.masks.text}`, where * is the name of a picture or a case"
    return [Finding("warning", "missing-mask", message)]


def layout_named(name: str) -> Layout:
    """The layout of that name; an OptionError lists the known ones."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    names = ", ".join(layout.name for layout in LAYOUTS)
    raise OptionError(f"there is no layout {name}", expected=f"one of {names}")


def _layouts_for(options: ReadOptions, reader: Layout | None) -> Sequence[Layout]:
    """The layouts among which a folder is recognised: all, or those whose masks the user may name."""
    if options.masks is None:
        return LAYOUTS
    if reader is not None and not reader.takes_masks:
        raise OptionError(
            f"the layout {reader.name} names its masks itself",
            found=f"`--mask-pattern {options.masks.text}`",
            expected=" or ".join(f"`--layout {layout.name}`" for layout in LAYOUTS if layout.takes_masks),
            remedy="Leave `--mask-pattern` out, or choose another layout",
        )
    return [layout for layout in LAYOUTS if layout.takes_masks]


def _recognise(listing: Listing, layouts: Sequence[Layout], options: ReadOptions) -> tuple[Layout, str]:
    for layout in layouts:
        reason = layout.match(listing)
        if reason is not None:
            return layout, reason
    for layout in layouts:
        reason = layout.match_images(listing) if layout.match_images is not None else None
        if reason is not None:
            return layout, reason
    raise _unknown_study(listing) if _may_be_study(listing) and not options.keep_ids else _unknown(listing)


# --- several data sets in one folder ----------------------------------------------------------------------------------


def _refuse_several(listing: Listing, options: ReadOptions) -> None:
    """Refuse the parent of several data sets: read as one of them, the others would be lost without a word.

    The folders directly below the first level that has several are recognised one by one. Folders of the same layout
    are parts or patients of one data set. A few folders of pictures beside other data (figures, say) are no data set.
    """
    candidates = [
        (below, layout) for below in _levels_below(listing) for layout in [_layout_of(below)] if layout is not None
    ]
    total = sum(_n_scans(below) for below, _ in candidates)
    sets = [
        (below, layout)
        for below, layout in candidates
        if layout is not classes.LAYOUT or _n_scans(below) >= _WEAK_SHARE * total
    ]
    if any(layout is dicom.LAYOUT for _, layout in sets):  # beside which exports lie, as pictures
        sets = [(below, layout) for below, layout in sets if layout.name not in _OF_PICTURES]
    if len({layout.name for _, layout in sets}) < 2:
        return
    hides = any(layout.hides_names for _, layout in sets) and not options.keep_ids
    counts = Counter(layout.name for _, layout in sets)
    counted = (f"{plural(n, 'folder')} of {name}" for name, n in counts.items())
    folders = (f"{listing.relative(below.root)} ({layout.name})" for below, layout in sets)
    raise LayoutError(
        "the folder holds several data sets",
        path=None if hides else listing.root,
        found=name_some(counted if hides else folders),
        expected="one",
        remedy="Name one of these folders, or say with `--layout` which to read",
    )


def _levels_below(listing: Listing) -> list[Listing]:
    """The folders directly below the first folder that has several."""
    folders = listing.folders()
    return _levels_below(folders[0]) if len(folders) == 1 else folders


def _layout_of(listing: Listing) -> Layout | None:
    return next((layout for layout in LAYOUTS if layout.match(listing) is not None), None)


def _n_scans(listing: Listing) -> int:
    return len(listing.ending(*SCAN_ENDINGS))


def _left_over(listing: Listing, cohort: Cohort, reader: Layout) -> list[Finding]:
    """A finding where scans lie in the folder that the cohort does not hold, second copies of those it holds aside."""
    used = {path for case in cohort.cases for source in case.images.values() for path in source.paths}
    used |= {path for case in cohort.cases if case.labels is not None for path in case.labels.paths}

    def place(path: Path) -> tuple[str, str]:  # where a copy lies that a publisher puts in two folders on purpose
        return ("" if reader.spans_folders else path.parent.name, path.name)

    places = {place(path) for path in used}
    scans = [path for path in listing.ending(*SCAN_ENDINGS) if not has_ending(path, _SETTINGS)]
    rest = [path for path in scans if path not in used and place(path) not in places]
    if not rest:
        return []
    listed = name_some(listing.relative(path) for path in rest)
    message = f"{plural(len(rest), 'file is', 'files are')} no part of the cohort ({_by_ending(rest)}): {listed}"
    return [Finding("warning" if len(rest) > _WEAK_SHARE * len(used) else "note", "left-over-files", message)]


# --- what to say where nothing fits -----------------------------------------------------------------------------------


def _refuse_archive(path: Path) -> None:
    if path.is_file() and path.name.lower().endswith(_ARCHIVES):
        raise LayoutError(
            "an archive is not read as it is, unless it is a whole zip of DICOM files",
            path=path,
            remedy="Unpack it and name the folder",
        )


def _refuse_other(path: Path) -> None:
    if path.is_file() and _is_of_study(path):
        raise FileError(
            "the file does not begin as DICOM does", path=path, remedy="Copy it again, or name the folder of the study"
        )


def _list_study(path: Path) -> Listing:
    """The files of an archive, of a DICOMDIR, or one DICOM file."""
    root, files, findings = study_files(path)
    return Listing(root, tuple(sorted(files, key=natural_key)), findings)


def _no_study(path: Path) -> LayoutError:
    return LayoutError(
        "an archive is read only where it holds DICOM", path=path, remedy="Unpack it and name the folder"
    )


def _without_names(findings: Sequence[Finding]) -> list[Finding]:
    """What is wrong with entries of a folder whose names are nobody's business: how many there are of each kind."""
    counts = Counter((finding.severity, finding.kind) for finding in findings)
    return [
        Finding(
            severity,
            kind,
            f"{plural(n, 'entry', 'entries')} of the folder could not be followed or opened ({kind.replace('-', ' ')})",
        )
        for (severity, kind), n in counts.items()
    ]


def _empty(listing: Listing) -> LayoutError:
    findings = "; ".join(finding.message for finding in listing.findings)
    return LayoutError(
        "the archive holds no file that can be read" if listing.root.is_file() else "the folder is empty",
        path=listing.root,
        found=findings or "no files, hidden ones left aside",
        expected="scans",
        remedy="Check that the download is complete and that this is the right folder",
    )


def _unknown(listing: Listing) -> LayoutError:
    nearly = _nearly(listing)
    needs = "".join(f"\n  {layout.name}: {layout.needs}" for layout in nearly)
    examples = name_some([listing.relative(path) for path in _examples(listing)], limit=8)
    content = (
        f"{plural(len(listing.files), 'file')} ({_by_ending(listing.files)}), such as {examples}{_folders(listing)}"
    )
    findings = "".join(f"; {finding.message}" for finding in listing.findings)
    return LayoutError(
        "no layout fits this folder",
        path=listing.root,
        found=content + findings,
        expected=f"one of{needs}" if len(nearly) > 1 else f"what {nearly[0].name} needs: {nearly[0].needs}",
        remedy=_remedy(listing),
    )


def may_name_somebody(path: Path) -> bool:
    """Whether a path that was given is a file of a study: an archive, a directory of media, or a DICOM file."""
    return path.is_file() and (path.name.lower().endswith(_ARCHIVES) or is_study_file(path) or _is_of_study(path))


def _is_of_study(path: Path) -> bool:
    """By its name, or because it is an archive that holds DICOM."""
    if path.name.lower() == "dicomdir" or path.name.lower().endswith(_DICOM_ENDINGS):
        return True
    try:
        return is_archive(path) and dicom.LAYOUT.match(_list_study(path)) is not None
    except GliosegError:
        return False


def _may_be_study(listing: Listing) -> bool:
    """Whether a folder that nothing reads was meant as a study, by the names in it, which are not shown then."""
    nameless = sum(not file_ending(path) for path in listing.files)
    return 2 * nameless > len(listing.files) or any(map(_is_of_study, listing.files))


def _unknown_study(listing: Listing) -> LayoutError:
    return LayoutError(
        "no layout fits this folder",
        found=f"{plural(len(listing.files), 'file')} ({_by_ending(listing.files)}), none of which begins as DICOM does",
        expected=f"what {dicom.LAYOUT.name} needs: {dicom.LAYOUT.needs}, or another layout's files",
        remedy="Unpack archives in it, or name one of them. `--keep-ids` shows the names of its files",
    )


_SIGNS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "lgg": re.compile(r"TCGA_[A-Z0-9]{2}_"),
        "brats": re.compile(r"brats|_(?:t1ce|t1gd)[._]|-t[12][cfnw][._]", re.IGNORECASE),
        "bids": re.compile(r"(?:^|/)sub-[A-Za-z0-9]+[/_]"),
        "brats-h5": re.compile(r"\.(?:h5|hdf5)$", re.IGNORECASE),
        "msd": re.compile(r"Task\d\d_"),
        "nnunet": re.compile(r"Dataset\d{3}_|(?:images|labels)T[rs]/|_\d{4}\.(?:nii|nii\.gz|nrrd|mha|png)$"),
    }
)
"""What names look like a layout, though it does not fit."""
_OF_PICTURES = frozenset({"pairs", "classes", "lgg", "brisc"})


def _nearly(listing: Listing) -> list[Layout]:
    """The layouts that a folder may have been meant to have: those that its names look like, else of its kind."""
    names = [listing.relative(path) for path in listing.files]
    looks = [layout for layout in LAYOUTS if (sign := _SIGNS.get(layout.name)) and any(map(sign.search, names))]
    if looks:
        return looks
    if not listing.ending(*SCAN_ENDINGS):
        return list(LAYOUTS)
    pictures = bool(listing.ending(*PICTURE_ENDINGS))
    unlike = frozenset({*_SIGNS, "brisc", "cheng", "dicom"})  # they would have been known by their names
    return [layout for layout in LAYOUTS if layout.name not in unlike and (layout.name in _OF_PICTURES) == pictures]


def _remedy(listing: Listing) -> str:
    archives, unread = listing.ending(*_ARCHIVES), listing.ending(*_UNREAD_PICTURES)
    if archives:
        return f"\nUnpack {name_some(path.name for path in archives)} first"
    scans = listing.ending(*_UNREAD_SCANS)
    if scans:
        return f"\nScans are read as {' '.join(VOLUME_ENDINGS)}: convert {_by_ending(scans)}"
    if unread:
        return f"\nPictures are read as PNG, JPEG, TIFF or BMP: convert {_by_ending(unread)}"
    return "\nName the folder that holds the data set, or choose with `--layout`"


def _by_ending(paths: Sequence[Path]) -> str:
    counts = Counter(file_ending(path) for path in paths)
    return name_some((f"{count} {name or 'without ending'}" for name, count in counts.most_common()), limit=6)


def _examples(listing: Listing) -> list[Path]:
    """One file of each ending and folder depth, so that every kind of name is shown."""
    examples: dict[tuple[str, int], Path] = {}
    for path in listing.files:
        examples.setdefault((file_ending(path), len(path.parts)), path)
    return list(examples.values())


def _folders(listing: Listing) -> str:
    """The folders, level by level."""
    levels: dict[int, dict[str, None]] = {}
    for folder in listing.by_folder:
        for depth, name in enumerate(folder.relative_to(listing.root).parts):
            levels.setdefault(depth, {})[name] = None
    return "".join(f"; folders of level {depth + 1}: {name_some(names)}" for depth, names in sorted(levels.items()))
