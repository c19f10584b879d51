"""Pictures with masks: ``images/`` and ``masks/``, or ``X.png`` with ``X_mask.png``, in any folders below.

A picture and its mask have the same name and the same folder once the words that mean mask or picture are taken out of
both (see ``naming``): ``train/images/7.jpg`` and ``train/masks/7_mask.png``, ``img_7.png`` and ``mask_7.png``,
``train_images/7.png`` and ``train_masks/7.png``. Where no name says so, ``X_m.png`` beside ``X.png`` (or another of a
few short words) is its mask. Each region may have a mask of its own (``7_edema_mask.png``, ``masks/edema/7.png``).
Pictures without any mask are read too, for prediction.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glioseg.cohorts.reading.facts_file import with_facts_file
from glioseg.cohorts.reading.findings import NO_MASKS
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.cohorts.reading.naming import Named, named, unique_ids
from glioseg.cohorts.reading.pictures import Header, channels_of, picture_sources, read_headers, unreadable
from glioseg.cohorts.reading.region_masks import left_aside, region_masks, scheme_and_findings
from glioseg.core import Case, Cohort, Finding, Source, scheme_named
from glioseg.errors import FileError, LayoutError, name_some, plural
from glioseg.io.endings import PICTURE_ENDINGS, file_stem

_Key = tuple[tuple[str, ...], str]
_SHORT_WORDS = "m|msk|mk|l|lbl|s|t|tumou?rs?|lesions?|anno|annot|bw|bin|binary|manual|expert"
_SHORT_AT_END = re.compile(rf"[_\-. ](?:{_SHORT_WORDS})$", re.IGNORECASE)
_SHORT_AT_START = re.compile(rf"^(?:{_SHORT_WORDS})[_\-. ]", re.IGNORECASE)


@dataclass(frozen=True)
class _Picture:
    """A picture with its masks: none, one, one for each of ``regions``, or by mistake several."""

    file: Named
    masks: tuple[Path, ...]
    regions: tuple[str, ...] = ()
    aside: tuple[Path, ...] = ()

    @property
    def has_mask(self) -> bool:
        """Whether nothing speaks against using what is there."""
        return len(self.masks) == 1 or bool(self.regions)


@dataclass(frozen=True)
class _Pairs:
    """Every picture with its masks, and masks that belong to no picture."""

    pictures: tuple[_Picture, ...]
    unpaired_masks: tuple[Path, ...]


def match(listing: Listing) -> str | None:
    """At least one picture has its mask."""
    return _why(_pair(listing), listing)


def _why(pairs: _Pairs, listing: Listing) -> str | None:
    examples = [picture for picture in pairs.pictures if picture.has_mask]
    if not examples:
        return None
    picture, mask = (listing.relative(path) for path in (examples[0].file.path, examples[0].masks[0]))
    return f"{len(examples)} of {len(pairs.pictures)} pictures have a mask, such as {picture} and {mask}"


def match_images(listing: Listing) -> str | None:
    """Pictures without masks, for prediction."""
    return _why_images(_pair(listing), listing)


def _why_images(pairs: _Pairs, listing: Listing) -> str | None:
    if not pairs.pictures:
        return None
    example = listing.relative(pairs.pictures[0].file.path)
    n = len(pairs.pictures)
    return f"{n} picture{'s' if n > 1 else ''} without masks, such as {example}"


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case of one slice per picture; the headers of pictures and masks are read, their sizes compared.

    Raises:
        LayoutError: no picture.
        OptionError: names for another number of channels than the pictures have.
    """
    pairs = _pair(listing)
    if not pairs.pictures:
        raise LayoutError("no pictures to go with masks", path=listing.root, expected=LAYOUT.needs)
    files = [picture.file for picture in pairs.pictures]
    ids = unique_ids([_id(file) for file in files], [file.path for file in files])
    pictures = dict(zip(ids, pairs.pictures, strict=True))
    headers = read_headers(file.path for file in files)
    mask_headers = read_headers(mask for picture in pairs.pictures for mask in picture.masks)
    channels = channels_of(headers, options)
    regions = {name: picture.regions for name, picture in pictures.items() if picture.regions}
    n_label_maps = sum(picture.has_mask and not picture.regions for picture in pairs.pictures)
    scheme, layers, region_findings = scheme_and_findings(regions, n_label_maps, options.scheme)
    cases = [_case(name, picture, channels, layers.get(name, ())) for name, picture in pictures.items()]
    with_facts, findings = with_facts_file(cases, listing, noun="picture")
    findings += region_findings
    any_mask = any(picture.masks for picture in pairs.pictures)
    if not any_mask:
        findings.insert(0, NO_MASKS)
    for name, picture in pictures.items():
        if not picture.masks and any_mask:
            findings.append(Finding("warning", "missing-mask", f"{picture.file.path.name} has no mask", name))
        findings += _findings(name, picture, {**headers, **mask_headers})
    findings += _shared(pairs, listing)
    if pairs.unpaired_masks:
        names = name_some(listing.relative(path) for path in pairs.unpaired_masks)
        n_masks = len(pairs.unpaired_masks)
        masks_are = plural(n_masks, "mask has no picture and is", "masks have no picture and are")
        message = f"{masks_are} left out: {names}"
        findings.append(Finding("warning", "mask-without-image", message))
    return Cohort(
        name=listing.root.name,
        layout="pairs",
        reason=_why(pairs, listing) or _why_images(pairs, listing) or LAYOUT.needs,
        cases=tuple(sorted(with_facts, key=lambda case: natural_key(case.id))),
        modalities=channels,
        scheme=(scheme or scheme_named("binary")) if any_mask else None,
        findings=tuple(findings),
    )


def _pair(listing: Listing) -> _Pairs:
    files = named(listing, listing.ending(*PICTURE_ENDINGS))
    by_region = region_masks(files, {(file.folders, file.name) for file in files if not file.is_mask}, label_maps=False)
    masks: dict[_Key, list[Path]] = defaultdict(list)
    others = _with_short_words(by_region.files)
    for file in others:
        if file.is_mask:
            masks[file.folders, file.name].append(file.path)
    pictures = []
    for file in others:
        if not file.is_mask:
            own_masks, regions, aside = by_region.of(masks.get((file.folders, file.name), ()))
            pictures.append(_Picture(file, own_masks, regions, aside))
    taken = {mask for picture in pictures for mask in (*picture.masks, *picture.aside)}
    unpaired = [file.path for file in others if file.is_mask and file.path not in taken]
    return _Pairs(tuple(pictures), tuple(unpaired))


def _with_short_words(files: Sequence[Named]) -> Sequence[Named]:
    """Masks that are called ``X_m`` beside their picture ``X``, where no name says mask.

    The words are short and mean other things elsewhere: one counts where most pictures have such a neighbour.
    """
    if any(file.is_mask for file in files):
        return files
    keys = {(file.folders, file.name) for file in files}
    partners = [(file, partner) for file in files if (partner := _partner(file, keys)) is not None]
    if 3 * len(partners) < len(files):
        return files
    masks = {file.path: replace(file, is_mask=True, name=partner) for file, partner in partners}
    return [masks.get(file.path, file) for file in files]


def _partner(file: Named, keys: Collection[_Key]) -> str | None:
    """The name of the picture whose mask a file is."""
    names = (_SHORT_AT_END.sub("", file.name), _SHORT_AT_START.sub("", file.name))
    return next((name for name in names if name != file.name and (file.folders, name) in keys), None)


def _id(file: Named) -> str:
    """Folders and name as they are; where the name is but ``image``, the folders alone."""
    stem = file_stem(file.path) if file.name or not file.folders else ""
    return "_".join(part for part in (*file.folders, stem) if part)


def _case(name: str, picture: _Picture, channels: tuple[str, ...], layers: tuple[str, ...]) -> Case:
    """A case; ``layers`` are what its masks show, where each shows a region."""
    is_used = bool(layers) if picture.regions else picture.has_mask
    labels = Source(picture.masks, "raster", layers=layers) if is_used else None
    facts = {"part": picture.file.part} if picture.file.part is not None else {}
    return Case(name, name, picture_sources(picture.file.path, channels), labels, facts=facts)


def _findings(case: str, picture: _Picture, headers: Mapping[Path, Header | FileError]) -> list[Finding]:
    path, masks = picture.file.path, picture.masks
    findings = _broken(case, path, headers)
    if masks and not picture.has_mask:
        message = f"{path.name} has several masks, none of which is used: {name_some(mask.name for mask in masks)}"
        return [Finding("error", "several-masks", message, case)]
    if picture.aside:
        findings.append(left_aside(case, picture.aside, masks[0]))
    for mask in masks:
        header, mask_header = headers[path], headers[mask]
        if isinstance(header, Header) and isinstance(mask_header, Header) and header.size != mask_header.size:
            message = f"{path.name} has {header.size} pixels, its mask {mask.name} {mask_header.size}"
            findings.append(Finding("error", "mask-size", message, case))
        findings += _broken(case, mask, headers)
    return findings


def _shared(pairs: _Pairs, listing: Listing) -> list[Finding]:
    uses = Counter(mask for picture in pairs.pictures if picture.has_mask for mask in picture.masks)
    shared = [mask for mask, count in uses.items() if count > 1]
    if not shared:
        return []
    names = name_some(listing.relative(mask) for mask in shared)
    message = f"{plural(len(shared), 'mask belongs', 'masks belong')} to several pictures each: {names}"
    return [Finding("warning", "shared-mask", message)]


def _broken(case: str, path: Path, headers: Mapping[Path, Header | FileError]) -> list[Finding]:
    return unreadable({path: headers[path]}, {path: case})


LAYOUT = Layout(
    name="pairs",
    needs="pictures with masks of the same name: images/X.png with masks/X.png, or X.png with X_mask.png",
    match=match,
    read=read,
    match_images=match_images,
    takes_masks=True,
)
