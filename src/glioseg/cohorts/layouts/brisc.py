"""BRISC 2025: T1c slices with the outline of a tumour and its class, both said of the same pictures.

Published in two trees, ``segmentation_task/`` (pictures with binary masks) and ``classification_task/`` (a folder per
class); the pictures with a tumour lie in both under the same name, those without in the second alone. Names say it all:
``brisc2025_train_00001_gl_ax_t1.jpg`` is a glioma, axial (Fateh et al. 2025, arXiv:2506.14318).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from glioseg.cohorts.reading.facts_file import with_facts_file
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.cohorts.reading.naming import named
from glioseg.cohorts.reading.pictures import channels_of, picture_sources, read_headers, unreadable
from glioseg.core import Case, Cohort, Finding, Source, scheme_named
from glioseg.core.labels import LabelScheme
from glioseg.errors import LayoutError, OptionError, name_some, plural
from glioseg.io.endings import PICTURE_ENDINGS, SCAN_ENDINGS, file_stem

_NAME = re.compile(r"brisc2025_(?P<part>train|test)_(?P<number>\d+)_(?P<kind>gl|me|pi|no)_(?P<plane>ax|co|sa)_t1")
_CATEGORIES: Mapping[str, str] = MappingProxyType(
    {"no": "no_tumor", "gl": "glioma", "me": "meningioma", "pi": "pituitary"}
)
_MOST = 0.9
_PLANES: Mapping[str, str] = MappingProxyType({"ax": "axial", "co": "coronal", "sa": "sagittal"})


@dataclass(frozen=True)
class _Files:
    """The picture of each name and its mask, by the file's name without ending."""

    pictures: Mapping[str, Path]
    masks: Mapping[str, Path]


def match(listing: Listing) -> str | None:
    """Nearly all scans are pictures named as BRISC names them, and at least one of them has a mask."""
    files, scans = _files(listing), listing.ending(*SCAN_ENDINGS)
    with_mask = sorted(set(files.pictures) & set(files.masks))
    n_own = sum(_NAME.fullmatch(file_stem(path)) is not None for path in scans)
    if not with_mask or n_own < _MOST * len(scans):
        return None
    counts = Counter(_category(name) for name in files.pictures)
    listed = name_some(f"{category} ({counts[category]})" for category in _CATEGORIES.values() if counts[category])
    return f"names such as {with_mask[0]}: {listed}; {len(with_mask)} with a mask"


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case of one slice per picture, its class as ``category`` and, drawn by its mask, in the label map.

    The labels of a picture without tumour are all background; a picture with a tumour but without its mask has none.

    Raises:
        LayoutError: no picture of such a name.
        OptionError: a label scheme without the three classes, or names for another number of channels than there are.
    """
    files, scheme = _files(listing), options.scheme or scheme_named("brisc")
    if not files.pictures:
        raise LayoutError("no pictures named as BRISC names them", path=listing.root, expected=LAYOUT.needs)
    _require_classes(scheme)
    headers = read_headers([*files.pictures.values(), *files.masks.values()])
    channels = channels_of({path: headers[path] for path in files.pictures.values()}, options)
    cases = [_case(name, path, files.masks.get(name), channels, scheme) for name, path in files.pictures.items()]
    with_facts, findings = with_facts_file(cases, listing, noun="picture")
    names = {path: name for paths in (files.masks, files.pictures) for name, path in paths.items()}
    return Cohort(
        name=listing.root.name,
        layout="brisc",
        reason=match(listing) or "no picture has a mask",
        cases=tuple(sorted(with_facts, key=lambda case: natural_key(case.id))),
        modalities=channels,
        scheme=scheme,
        categories=_categories(files.pictures),
        findings=(*findings, *_without_partner(files), *unreadable(headers, names)),
    )


def _files(listing: Listing) -> _Files:
    """Pictures once each, however many trees hold them: the one beside the masks rather than that of the class."""
    pictures: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for file in named(listing, listing.ending(*PICTURE_ENDINGS)):
        stem = file_stem(file.path)
        if _NAME.fullmatch(stem) is None:
            continue
        if file.is_mask:
            masks[stem] = file.path
        elif stem not in pictures or _among_pictures(file.path):
            pictures[stem] = file.path
    return _Files(pictures, masks)


def _among_pictures(path: Path) -> bool:
    return path.parent.name == "images"


def _require_classes(scheme: LabelScheme) -> None:
    missing = [name for code, name in _CATEGORIES.items() if code != "no" and name not in scheme.labels]
    if missing:
        raise OptionError(
            f"the label scheme {scheme.name} has no label for the class of some pictures",
            found=scheme.describe(),
            expected=f"labels named {', '.join(missing)}",
            remedy="Leave `--scheme` out, or read segmentation_task with `--layout pairs --scheme binary`",
        )


def _category(name: str) -> str:
    return _CATEGORIES[_said(name)["kind"]]


def _said(name: str) -> dict[str, str]:
    matched = _NAME.fullmatch(name)
    assert matched is not None, name
    return matched.groupdict()


def _categories(names: Mapping[str, Path]) -> tuple[str, ...]:
    present = {_category(name) for name in names}
    return tuple(category for category in _CATEGORIES.values() if category in present)


def _case(name: str, picture: Path, mask: Path | None, channels: tuple[str, ...], scheme: LabelScheme) -> Case:
    said, category = _said(name), _category(name)
    is_known, shown = said["kind"] == "no" or mask is not None, mask or picture
    labels = Source((shown,), "raster", value=scheme.labels.get(category, 0)) if is_known else None
    facts = {"part": said["part"], "plane": _PLANES[said["plane"]]}
    return Case(name, name, picture_sources(picture, channels), labels, category=category, facts=facts)


def _without_partner(files: _Files) -> list[Finding]:
    lonely = sorted(set(files.masks) - set(files.pictures))
    bare = [name for name in files.pictures if name not in files.masks and _said(name)["kind"] != "no"]
    findings = [Finding("warning", "missing-mask", f"{name} has no mask", name) for name in bare]
    if lonely:
        masks_are = plural(len(lonely), "mask has no picture and is", "masks have no picture and are")
        message = f"{masks_are} left out: {name_some(lonely)}"
        findings.append(Finding("warning", "mask-without-image", message))
    return findings


LAYOUT = Layout(
    name="brisc",
    needs="BRISC 2025: segmentation_task/ with images/ and masks/, and classification_task/ beside it",
    match=match,
    read=read,
    spans_folders=True,
)
