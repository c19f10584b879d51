"""A folder per class: ``yes/`` and ``no/``, or any names, also below ``train/`` and ``test/``."""

from __future__ import annotations

import filecmp
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glioseg.cohorts.reading.facts_file import with_facts_file
from glioseg.cohorts.reading.findings import read_once
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.cohorts.reading.naming import folder_role, named, part_of, unique_ids
from glioseg.cohorts.reading.pictures import channels_of, picture_sources, read_headers, unreadable
from glioseg.core import Case, Cohort, Facts, Finding
from glioseg.errors import LayoutError, OptionError, name_some
from glioseg.io.endings import PICTURE_ENDINGS, VOLUME_ENDINGS

_WITHOUT = frozenset(
    {"no", "non", "none", "without", "notumor", "notumour", "nontumor", "nontumour"}
    | {"normal", "healthy", "negative", "neg", "control", "controls"}
)
_MANY = 20


@dataclass(frozen=True)
class _Picture:
    """A picture with the class and the part that its folders say.

    Args:
        path: the file.
        category: the class.
        part: train, val or test.
        folders: all folders below the data set's top, those two included.
        inner: the first folder within the class's, or nothing.
    """

    path: Path
    category: str
    part: str | None
    folders: tuple[str, ...]
    inner: str = ""


def match(listing: Listing) -> str | None:
    """Two or more folders of pictures that are neither masks nor parts nor one folder per patient, nor lie beside as
    many volumes, of which they are views.
    """
    if len(listing.ending(*VOLUME_ENDINGS)) >= max(len(listing.ending(*PICTURE_ENDINGS)), 1):
        return None
    pictures = _sorted_by_class(listing)
    names = [picture.category for picture in pictures]
    counts = Counter(names)
    if len(counts) < 2 or _numbered(list(counts)) or _mostly_masks(listing):
        return None
    return _why(pictures)


def _why(pictures: Sequence[_Picture]) -> str:
    counts = Counter(picture.category for picture in pictures)
    return "folders of pictures: " + name_some(f"{name} ({counts[name]})" for name in _order(counts))


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case of one slice per picture, ``category`` the name of its class's folder; headers are read.

    The class that means "nothing there" (no, none, normal, healthy, …) comes first, so that it has index 0; the others
    follow in natural order.

    Raises:
        LayoutError: fewer than two classes.
        OptionError: a label scheme, which means nothing where there are no masks; names for another number of channels
            than the pictures have.
    """
    if options.scheme is not None:
        raise OptionError(
            "pictures sorted by class have no masks", found=f"the label scheme {options.scheme.name}", expected="none"
        )
    pictures, doubles = _without_copies(_sorted_by_class(listing), listing)
    categories = _order({picture.category for picture in pictures})
    if len(categories) < 2:
        raise LayoutError(
            "pictures need two classes at least",
            path=listing.root,
            found=_content(listing, categories),
            expected=LAYOUT.needs,
            remedy="Name the folder that holds the folders of all classes",
        )
    headers = read_headers(picture.path for picture in pictures)
    channels = channels_of(headers, options)
    names = ["_".join((*picture.folders, picture.path.stem)) for picture in pictures]
    ids = unique_ids(names, [picture.path for picture in pictures])
    cases = [_case(name, picture, channels) for name, picture in zip(ids, pictures, strict=True)]
    broken = unreadable(headers, {picture.path: name for name, picture in zip(ids, pictures, strict=True)})
    with_facts, findings = with_facts_file(cases, listing, noun="picture")
    return Cohort(
        name=listing.root.name,
        layout="classes",
        reason=_why(pictures),
        cases=tuple(sorted(with_facts, key=lambda case: natural_key(case.id))),
        modalities=channels,
        scheme=None,
        categories=categories,
        findings=(*findings, *doubles, *_nested(pictures), *broken),
    )


def _sorted_by_class(listing: Listing) -> list[_Picture]:
    """Pictures below a folder that can be a class; those that lie higher are left aside.

    The class is the outermost folder below the data set's top that is no part. Where some pictures lie deeper than
    others and the innermost folders have the names of the shallow ones (``no/``, ``yes/`` and ``copy/no/``,
    ``copy/yes/``, as an archive of this kind is published), it is the innermost.
    """
    files = named(listing, listing.ending(*PICTURE_ENDINGS))
    folders = [tuple(folder for folder in file.folders if part_of([folder]) is None) for file in files]
    depths = {len(names) for names in folders if names}
    shallow = {names[0] for names in folders if names and len(names) == min(depths)}
    innermost = len(depths) > 1 and {names[-1] for names in folders if names} == shallow
    return [
        _Picture(file.path, names[-1], file.part, file.folders)
        if innermost
        else _Picture(file.path, names[0], file.part, file.folders, (*names, "")[1])
        for file, names in zip(files, folders, strict=True)
        if names
    ]


def _mostly_masks(listing: Listing) -> bool:
    """Whether folders are named for masks or pictures, or half of the files are masks: a damaged set of pairs."""
    files = named(listing, listing.ending(*PICTURE_ENDINGS))
    if 2 * sum(file.is_mask for file in files) >= len(files):
        return True
    return any(folder_role(folder) is not None for file in files for folder in file.path.parent.parts[-1:])


def _numbered(names: Sequence[str]) -> bool:
    """Many folders that differ in their numbers alone are patients, not classes."""
    return len(names) > _MANY and len({re.sub(r"\d+", "", name) for name in names}) < len(names) / 2


def _order(categories: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(categories, key=lambda name: (not _means_without(name), natural_key(name))))


def _means_without(name: str) -> bool:
    words = re.split(r"[_\-. ]+", name.lower())
    return words[0] in _WITHOUT or "".join(words) in _WITHOUT


def _without_copies(pictures: Sequence[_Picture], listing: Listing) -> tuple[list[_Picture], list[Finding]]:
    """Without the copy of a whole tree that an archive of this kind ships: ``copy/no/7.jpg`` beside ``no/7.jpg``."""
    path_at: dict[tuple[str, ...], Path] = {}
    originals: list[_Picture] = []
    copies: Counter[str] = Counter()
    for picture in sorted(pictures, key=lambda item: (len(item.folders), natural_key(item.path))):
        place = (*picture.folders, picture.path.name)
        shallower = [path_at[place[start:]] for start in range(1, len(place) - 1) if place[start:] in path_at]
        if any(_same_bytes(picture.path, other) for other in shallower):
            copies[listing.relative(picture.path.parent)] += 1
            continue
        path_at[place] = picture.path
        originals.append(picture)
    if not copies:
        return originals, []
    text = name_some(f"{count} in {folder}" for folder, count in copies.items())
    return originals, [read_once("note", "files", text)]


def _nested(pictures: Sequence[_Picture]) -> list[Finding]:
    """Folders within a class may be patients, or classes of another data set: say how they were read."""
    within = {(picture.category, picture.inner) for picture in pictures if picture.inner}
    if not within:
        return []
    listed = name_some(f"{category}/{inner}" for category, inner in sorted(within))
    message = f"folders within the folder of a class were read as that class: {listed}"
    return [Finding("warning", "nested-folders", message)]


def _same_bytes(path: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False


def _case(name: str, picture: _Picture, channels: tuple[str, ...]) -> Case:
    facts: Facts = {"part": picture.part} if picture.part is not None else {}
    return Case(name, name, picture_sources(picture.path, channels), category=picture.category, facts=facts)


def _content(listing: Listing, categories: Sequence[str]) -> str:
    pictures = len(listing.ending(*PICTURE_ENDINGS))
    return f"{pictures} pictures in one folder" if not categories else f"only {name_some(categories)}"


LAYOUT = Layout(
    name="classes",
    needs="a folder per class with pictures in it: yes/ and no/, or any names, also below train/ and test/",
    match=match,
    read=read,
)
