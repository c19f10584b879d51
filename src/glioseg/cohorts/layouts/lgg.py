"""LGG MRI Segmentation (Buda 2019, "kaggle_3m"): 2-D slices of TCGA patients, named by patient, date and slice.

``TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_12.tif`` holds pre-contrast, FLAIR and post-contrast as red, green and
blue, ``..._12_mask.tif`` the FLAIR abnormality as 0/255. Where a patient lacked a sequence the publisher put FLAIR in
its channel (10 of the 110 patients): the reader compares the channels and leaves such a modality out of the case.
Recipes that need all three channels get the published ones back with ``prepare.missing = "flair"``.

.. [1] Buda M, Saha A, Mazurowski MA. Association of genomic subtypes of lower-grade gliomas with shape features
   automatically extracted by a deep learning algorithm. Computers in Biology and Medicine 109 (2019) 218-225.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glioseg.cohorts.layouts import lgg_table
from glioseg.cohorts.reading.findings import read_once
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.cohorts.reading.naming import named
from glioseg.cohorts.reading.repeats import repeated_channels
from glioseg.core import Case, Cohort, Facts, Finding, FindingKind, Source, scheme_named
from glioseg.errors import FileError, LayoutError, OptionError, name_some, plural
from glioseg.io.endings import PICTURE_ENDINGS
from glioseg.io.raster import read_picture

MODALITIES = ("pre", "flair", "post")

_SLICE = re.compile(r"(?P<case>(?P<patient>TCGA_(?P<site>[A-Z0-9]+)_[A-Z0-9]+)_\d{6,8})_(?P<slice>\d+)(?:_mask)?", re.I)


@dataclass
class _SliceFiles:
    """The files of one case while they are gathered: slice number -> every file that claims to be it."""

    patient: str
    site: str
    slices: dict[int, list[Path]] = field(default_factory=lambda: defaultdict(list))
    masks: dict[int, list[Path]] = field(default_factory=lambda: defaultdict(list))


def match(listing: Listing) -> str | None:
    """Slices named ``TCGA_SITE_PATIENT_DATE_SLICE``; masks alone do not count."""
    return _why(_gather(listing))


def _why(scans: Mapping[str, _SliceFiles]) -> str | None:
    n_slices = sum(len(scan.slices) for scan in scans.values())
    if n_slices == 0:
        return None
    return f"{n_slices} pictures named TCGA_SITE_PATIENT_DATE_SLICE, of {len(scans)} scans"


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case per patient and date, its slices in numeric order.

    Reads ``data.csv`` (also from the folder above, so that a single patient's folder gives the same facts) and the
    middle slice of each case, of which more only where two of its channels are equal.

    Raises:
        LayoutError: no slice.
        OptionError: names for the channels: the publisher states them.
    """
    if options.modalities is not None:
        raise OptionError("the channels of LGG are known", found=", ".join(options.modalities), expected="no names")
    scans = _gather(listing)
    reason = _why(scans)
    if reason is None:
        raise LayoutError(
            "no LGG slices", path=listing.root, expected=f"TCGA_SITE_PATIENT_DATE_SLICE in {' '.join(PICTURE_ENDINGS)}"
        )
    findings = _copies(scans, listing)
    table, more_findings = lgg_table.read_facts(listing)
    findings += more_findings
    cases = []
    for name in sorted(scans, key=natural_key):
        case, more_findings = _case(name, scans[name], table.get(scans[name].patient.upper(), {}))
        cases += [case] if case is not None else []
        findings += more_findings
    findings += lgg_table.without_row(table, [case.patient for case in cases])
    modalities = tuple(name for name in MODALITIES if any(name in case.images for case in cases))
    scheme = options.scheme or scheme_named("lgg")
    return Cohort(listing.root.name, "lgg", reason, tuple(cases), modalities, scheme, findings=tuple(findings))


def _gather(listing: Listing) -> dict[str, _SliceFiles]:
    scans: dict[str, _SliceFiles] = {}
    pictures = [path for path in listing.ending(*PICTURE_ENDINGS) if path.name[:5].upper() == "TCGA_"]
    for file in named(listing, pictures):
        parts = _SLICE.fullmatch(listing.place(file.path).stem)
        if parts is None:
            continue
        scan = scans.setdefault(parts["case"], _SliceFiles(parts["patient"], parts["site"].upper()))
        (scan.masks if file.is_mask else scan.slices)[int(parts["slice"])].append(file.path)
    return scans


def _copies(scans: Mapping[str, _SliceFiles], listing: Listing) -> list[Finding]:
    """The published archive holds the whole set twice: keep the copy nearest to the root, and say so."""
    copies: Counter[str] = Counter()
    differing: list[str] = []
    for scan in scans.values():
        for files in (*scan.slices.values(), *scan.masks.values()):
            files.sort(key=lambda path: (len(path.parts), natural_key(path)))
            for copy in files[1:]:
                copies[listing.relative(copy.parent).split("/")[0]] += 1
                if _size(copy) != _size(files[0]):
                    differing.append(listing.relative(copy))
    if not copies:
        return []
    text = ", ".join(f"{count} in {folder}" for folder, count in copies.items())
    findings = [read_once("note", "files", text)]
    if differing:
        others = plural(
            len(differing), "file with the name of another differs", "files with the name of another differ"
        )
        message = f"{others} from it in size: {name_some(differing)}"
        findings.append(Finding("warning", "repeated-file-differs", message))
    return findings


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _case(name: str, scan: _SliceFiles, facts: Facts) -> tuple[Case | None, list[Finding]]:
    findings = []
    numbers = sorted(scan.slices)
    without_slice = sorted(set(scan.masks) - set(numbers))
    if without_slice:
        one, many = "mask has no slice and is left out", "masks have no slice and are left out"
        findings.append(_of_slices("mask-without-image", name, one, many, without_slice))
    without_mask = [number for number in numbers if number not in scan.masks]
    if without_mask and len(without_mask) < len(numbers):
        one, many = "slice has no mask and is left out", "slices have no mask and are left out"
        findings.append(_of_slices("missing-mask", name, one, many, without_mask))
        numbers = [number for number in numbers if number in scan.masks]
    elif without_mask:
        findings.append(Finding("warning", "missing-mask", "no slice of this case has a mask", name))
    if not numbers:
        return None, findings
    gaps = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers) - set(without_mask))
    if gaps:
        findings.append(_of_slices("missing-slice", name, "slice is missing", "slices are missing", gaps))
    paths = tuple(scan.slices[number][0] for number in numbers)
    masks = tuple(scan.masks[number][0] for number in numbers if number in scan.masks)
    images, channel_findings = _images(name, paths)
    extent: Facts = {"n_slices": len(numbers), "first_slice": numbers[0], "last_slice": numbers[-1]}
    facts = {"site": scan.site, **facts, **extent}
    labels = Source(masks, "raster") if masks else None
    return Case(name, scan.patient, images, labels, facts=facts), findings + channel_findings


def _of_slices(kind: FindingKind, case: str, one: str, many: str, numbers: Iterable[int]) -> Finding:
    listed = list(numbers)
    return Finding("warning", kind, f"{plural(len(listed), one, many)}: {name_some(listed)}", case)


def _images(case: str, paths: tuple[Path, ...]) -> tuple[dict[str, Source], list[Finding]]:
    """Sources of the modalities that were acquired: without those whose channel repeats FLAIR on every slice."""
    images = {name: Source(paths, "raster", channel) for channel, name in enumerate(MODALITIES)}
    n = len(paths)
    repeats = _repeating_flair(paths[n // 2 : n // 2 + 1]) or _repeating_flair(paths[n // 3 : n // 3 + 1])
    if repeats is None:
        message = f"{paths[n // 2].name} has one channel, not pre, flair and post; `--layout pairs` reads such slices"
        return images, [Finding("error", "wrong-channels", message, case)]
    if repeats:
        repeats = _repeating_flair(paths) or ()
    findings = [
        Finding("warning", "missing-modality", f"{name} was not acquired: the publisher put flair in its channel", case)
        for name in repeats
    ]
    return {name: source for name, source in images.items() if name not in repeats}, findings


def _repeating_flair(paths: Iterable[Path]) -> tuple[str, ...] | None:
    """The modalities that equal FLAIR on all of these slices; None where a slice has no colours.

    Slices that cannot be read are left aside: the check names them.
    """
    slices = []
    for path in paths:
        try:
            slices.append(read_picture(path))
        except FileError:
            continue
    if any(pixels.ndim != 3 for pixels in slices):
        return None
    if not slices or len({pixels.shape for pixels in slices}) > 1:
        return ()
    groups = repeated_channels(np.moveaxis(np.stack(slices), -1, 0), MODALITIES)
    return tuple(name for group in groups if "flair" in group for name in group if name != "flair")


LAYOUT = Layout(
    name="lgg",
    needs="kaggle_3m: TCGA_SITE_PATIENT_DATE_SLICE.tif with ..._SLICE_mask.tif, in patient folders or flat",
    match=match,
    read=read,
)
