"""Cheng's brain tumour data set [1]: a MATLAB file (version 7.3, which is HDF5) for each of 3,064 T1c slices.

``cjdata`` holds ``image``, ``tumorMask``, ``label`` (1 meningioma, 2 glioma, 3 pituitary tumour) and ``PID``, the
patient: 233 of them, whom the many copies of this set as pictures have lost.

References:
    [1] Cheng J. Brain tumor dataset. figshare, 2017, doi:10.6084/m9.figshare.1512427.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.core import Case, Cohort, Finding, LabelScheme, Source, scheme_named
from glioseg.errors import FileError, LayoutError, OptionError, name_some
from glioseg.io.hdf5 import read_matlab_facts

_NAME = re.compile(r"\d+\.mat", re.IGNORECASE)
_KINDS: Mapping[float, str] = {1: "meningioma", 2: "glioma", 3: "pituitary"}
_CATEGORIES = ("glioma", "meningioma", "pituitary")
_FACTS = ("cjdata/label", "cjdata/PID")
_MODALITY = "grey"


def match(listing: Listing) -> str | None:
    """MATLAB files whose names are numbers, the first of which holds ``cjdata``."""
    files = _files(listing)
    if not files:
        return None
    try:
        read_matlab_facts(files[0], _FACTS)
    except FileError:
        return None
    return f"{len(files)} MATLAB files with cjdata, such as {listing.relative(files[0])}"


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case of one slice per file, its kind of tumour as ``category`` and in the label map; every file is opened.

    Raises:
        LayoutError: none of the files can be read.
        OptionError: names for the channel, which is known, or a label scheme without the three kinds.
    """
    scheme = options.scheme or scheme_named("brisc")
    if options.modalities is not None:
        raise OptionError("the channel is known", found=", ".join(options.modalities), expected="no names")
    if not set(_CATEGORIES) <= set(scheme.labels):
        raise OptionError(
            f"the label scheme {scheme.name} does not have the kinds of tumour of this data set",
            found=scheme.describe(),
            expected=", ".join(_CATEGORIES),
            remedy="Leave `--scheme` out",
        )
    cases, findings = _cases(_files(listing), scheme)
    if not cases:
        raise LayoutError("no MATLAB files with cjdata", path=listing.root, expected=LAYOUT.needs)
    counts = Counter(case.category for case in cases)
    return Cohort(
        name=listing.root.name,
        layout="cheng",
        reason=match(listing) or LAYOUT.needs,
        cases=tuple(sorted(cases, key=lambda case: natural_key(case.id))),
        modalities=(_MODALITY,),
        scheme=scheme,
        categories=tuple(name for name in _CATEGORIES if counts[name]),
        findings=tuple(findings),
    )


def _files(listing: Listing) -> list[Path]:
    return [path for path in listing.files if _NAME.fullmatch(listing.place(path).name)]


def _cases(files: Sequence[Path], scheme: LabelScheme) -> tuple[list[Case], list[Finding]]:
    cases: list[Case] = []
    findings: list[Finding] = []
    for path in files:
        try:
            kind, patient = _kind_and_patient(path)
        except FileError as error:
            findings.append(Finding("error", "unreadable-file", error.text, path.stem))
            continue
        images = {_MODALITY: Source((path,), "hdf5", 0, "cjdata/image")}
        labels = Source((path,), "hdf5", 0, "cjdata/tumorMask", value=scheme.labels[kind])
        cases.append(Case(path.stem, patient, images, labels, category=kind))
    return cases, findings


def _kind_and_patient(path: Path) -> tuple[str, str]:
    """What a file says of its slice; a FileError where it says no kind, or nobody's name."""
    facts = read_matlab_facts(path, _FACTS)
    label, letters = facts["cjdata/label"], facts["cjdata/PID"]
    kind = _KINDS.get(label[0]) if len(label) == 1 else None
    if kind is None:
        raise FileError("no kind of tumour has that number", path=path, found=_listed(label))
    if not letters or not all(ord(" ") < letter <= ord("~") for letter in letters):
        raise FileError("the patient's name is no text", path=path, found=_listed(letters))
    return kind, "".join(chr(int(letter)) for letter in letters)


def _listed(values: Sequence[float]) -> str:
    return name_some(f"{value:g}" for value in values) or "nothing"


LAYOUT = Layout(
    name="cheng",
    needs="Cheng's data set of T1c slices as published: NUMBER.mat with cjdata in it",
    match=match,
    read=read,
)
