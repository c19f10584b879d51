"""Sheets of scans in a cohort's report: which slices to read, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from glioseg.cohorts.description import CohortDescription, DuplicateGroup, GalleryKind
from glioseg.core import LabelScheme
from glioseg.errors import name_some, plural
from glioseg.report import style
from glioseg.report.figures import scans
from glioseg.report.figures.scans import Drawing, Exhibit
from glioseg.report.figures.views import CONVENTION, PLANES
from glioseg.report.html import Block, Cell, Column, Prose, Section, Table, saved_picture
from glioseg.report.parts.plan import Plan, colours_in, regions_of
from glioseg.report.parts.words import MOST_ROWS, left_out, region_words
from glioseg.report.pixels import ShadedSlice, SliceRequest

_AS_PUBLISHED = "Pictures are shown as published, X to the right and Y down; their orientation is unknown."
_MOST_REGIONS = 8
"""Regions side by side; panels of more would show nothing."""
ShadedSlices = Mapping[SliceRequest, ShadedSlice]


def drawing_of(scheme: LabelScheme | None) -> Drawing | None:
    """How the labels of a scheme are drawn: the reference's whole tumour in red, each label in its own colour."""
    if scheme is None:
        return None
    values = list(scheme.labels.values())
    if len(values) == 1:
        return Drawing(
            {values[0]: style.REFERENCE}, {values[0]: "reference"}, (((values[0],), style.REFERENCE),), ("reference",)
        )
    names = {value: name for name, value in scheme.labels.items()}
    own = colours_in(scheme)
    colours = {value: own[name] for name, value in scheme.labels.items()}
    if "tumour" in scheme.regions:
        outlines: tuple[tuple[tuple[int, ...], str], ...] = ((scheme.values_of("tumour"), style.REFERENCE),)
        return Drawing(colours, names, outlines, ("reference, whole tumour",))
    outlines = tuple(((value,), colour) for value, colour in colours.items())
    return Drawing(colours, names, outlines, tuple(names.values()))


def gallery(about: CohortDescription, chosen: Plan, slices: ShadedSlices, folder: Path) -> Section:
    """What the data look like: triptychs of diagnoses, or pictures of each class, or middle slices."""
    blocks: list[Block] = []
    drawing = drawing_of(about.scheme)
    kinds: tuple[tuple[GalleryKind, str], ...] = (("positive", "with tumour"), ("negative", "without tumour"))
    for kind, words in kinds:
        exhibits = [
            _exhibit(about, request, slices[request]) for request in chosen.gallery.get(kind, ()) if request in slices
        ]
        if exhibits and drawing is not None:
            blocks.append(
                saved_picture(
                    folder,
                    f"gallery-{kind}",
                    scans.triptychs(exhibits, drawing),
                    "scan",
                    title=f"Slices {words}",
                    caption=f"Each slice three times: {_modality_words(chosen.gallery[kind])} as it is, with the "
                    f"reference outlined, and the mask alone. {_convention(about)}",
                )
            )
    for number, (name, pictures) in enumerate(chosen.classes.items(), start=1):
        exhibits = [_exhibit(about, request, slices[request]) for request in pictures if request in slices]
        if exhibits:
            blocks.append(
                saved_picture(
                    folder,
                    f"class-{number}",
                    scans.side_by_side(exhibits, most=240, columns=6),
                    "scan",
                    title=f"Class {name}",
                    caption=f"{plural(len(exhibits), 'picture')} of {about.categories[name]:,}, evenly from "
                    f"first to last. {_AS_PUBLISHED}",
                )
            )
    plain = [_exhibit(about, request, slices[request]) for request in chosen.plain if request in slices]
    if plain:
        blocks.append(
            saved_picture(
                folder,
                "gallery",
                scans.side_by_side(plain, drawing=drawing, most=380, columns=4),
                "scan",
                title="Middle slices",
                caption=f"The middle slice of {plural(len(plain), 'case')}, {_modality_words(chosen.plain)}. "
                f"{_convention(about)}",
            )
        )
    return Section("gallery", "What it looks like", "", tuple(blocks))


def doubtful(about: CohortDescription, chosen: Plan, slices: ShadedSlices, folder: Path) -> Section:
    """The masks that cannot be right, it seems, each by a telling slice."""
    drawing = drawing_of(about.scheme)
    exhibits = [
        Exhibit(
            (slices[request].main,),
            (slices[request].labels,),
            mask.case,
            f"{_slice_words(request, slices[request])}{', '.join(kind.replace('-', ' ') for kind in mask.kinds)}",
        )
        for mask, request in chosen.doubtful
        if request in slices and slices[request].labels is not None
    ]
    blocks: tuple[Block, ...] = ()
    if exhibits and drawing is not None:
        caption = (
            f"{len(exhibits):,} of {plural(len(about.doubtful_masks), 'case')} whose mask seems wrong, each by a "
            f"slice that shows much of it: without the mask, with its outline, and the mask alone. {_convention(about)}"
        )
        figure = scans.triptychs(exhibits, drawing)
        blocks = (saved_picture(folder, "masks", figure, "scan", title="Masks to look at", caption=caption),)
    return Section("masks", "Masks that seem wrong", "The findings above say what is wrong.", blocks)


def _slice_words(request: SliceRequest, slice_: ShadedSlice) -> str:
    n_slices = slice_.grid.shape[request.axis]
    return f"slice {request.index + 1} of {n_slices}, " if n_slices > 1 else ""


def anatomy(about: CohortDescription, chosen: Plan, shaded: ShadedSlices, folder: Path) -> Section:
    """Three planes, all modalities, all regions."""
    blocks: list[Block] = []
    drawing = drawing_of(about.scheme)
    trios = [trio for trio in chosen.planes if trio and all(request in shaded for request in trio)]
    if trios:
        exhibits = [
            Exhibit(
                tuple(shaded[request].main for request in trio),
                tuple(shaded[request].labels for request in trio),
                trio[0].case,
            )
            for trio in trios
        ]
        blocks.append(
            saved_picture(
                folder,
                "planes",
                scans.planes(exhibits, [plane.capitalize() for plane in PLANES], drawing),
                "scan",
                title="Axial, coronal and sagittal views",
                caption=f"Through the largest tumour area where there is one, else through the middle; trimmed "
                f"to what is not black, in true proportion, the planes of a case at one scale. {CONVENTION}",
            )
        )
    blocks += _through(about, chosen, shaded, folder)
    slices = [request for request in chosen.modalities if request in shaded]
    names = [name for name in about.modalities if any(name in shaded[request].pictures for request in slices)]
    if len(names) > 1:  # the colours of a picture are one
        blocks.append(_montage(about, names, slices, shaded, folder))
    scored = regions_of(about.scheme)
    regions = dict(list(scored.items())[:_MOST_REGIONS])
    labelled = [request for request in slices if shaded[request].labels is not None]
    if labelled and drawing is not None and about.scheme is not None and len(regions) > 1:
        exhibits = [_exhibit(about, request, shaded[request]) for request in labelled]
        members = "; ".join(words for name in regions if (words := region_words(about, name)) != name)
        members = f" {members}." if members else ""
        which = "each scored region" if regions == scored else f"the first {len(regions)} of {len(scored)} regions"
        blocks.append(
            saved_picture(
                folder,
                "regions",
                scans.region_overlays(exhibits, regions, colours_in(about.scheme), drawing),
                "scan",
                title="Regions of the reference",
                caption=f"The slice as it is, {which}, and all labels.{members} {_convention(about)}",
            )
        )
    return Section("anatomy", "Anatomy, modalities, regions", "", tuple(blocks))


def _through(about: CohortDescription, chosen: Plan, shaded: ShadedSlices, folder: Path) -> list[Block]:
    """One case, slice after slice."""
    requests = [request for request in chosen.montage if request in shaded]
    if not requests:
        return []
    exhibits = [
        Exhibit((shaded[request].main,), (shaded[request].labels,), f"slice {request.index + 1}")
        for request in requests
    ]
    figure = scans.side_by_side(exhibits, drawing=drawing_of(about.scheme), most=240, columns=6)
    caption = (
        f"{requests[0].case}: {len(requests)} of its slices, evenly from the first that shows something to the last, "
        f"{_modality_words(requests)}. {_convention(about)}"
    )
    return [saved_picture(folder, "montage", figure, "scan", title="Through one case", caption=caption)]


def _montage(
    about: CohortDescription,
    names: Sequence[str],
    slices: Sequence[SliceRequest],
    shaded: ShadedSlices,
    folder: Path,
) -> Block:
    exhibits = []
    for request in slices:
        cuts = tuple(shaded[request].pictures.get(name) for name in names)
        exhibit = _exhibit(about, request, shaded[request])
        exhibits.append(Exhibit(cuts, (None,) * len(cuts), exhibit.title, exhibit.note))
    figure = scans.side_by_side(
        exhibits, [style.modality_title(name) for name in names], most=400, columns=2 if len(names) < 4 else 1
    )
    return saved_picture(
        folder,
        "modalities",
        figure,
        "scan",
        title="Modalities",
        caption=f"The same slice in every modality; black and white are set for each case and modality. "
        f"{_convention(about)}",
    )


def dark(
    about: CohortDescription, chosen: Plan, slices: ShadedSlices, folder: Path, charts: Sequence[Block]
) -> Section:
    """The slices that a dark-scan filter removes, after the charts of how many they are."""
    blocks: list[Block] = list(charts)
    exhibits = []
    shares = {case.case: case.slices.non_black for case in about.cases}
    for request in chosen.gallery.get("dark", ()):
        if request in slices:
            note = f"slice {request.index + 1}, {style.number(100 * float(shares[request.case][request.index]))} %"
            exhibits.append(Exhibit((slices[request].main,), (slices[request].labels,), request.case, note))
    removed = sum(len(slices) for slices in about.dark_slices.values())
    if exhibits:
        figure = scans.side_by_side(exhibits, drawing=drawing_of(about.scheme), most=240, columns=6)
        blocks.append(
            saved_picture(
                folder,
                "dark-slices",
                figure,
                "scan",
                title="Slices that the filter removes",
                caption=f"{len(exhibits):,} of {removed:,}, with the share of their values, over all modalities, that "
                "is not black; tumour, where there is any, is outlined.",
            )
        )
    row = next((row for row in about.dark if row.threshold == about.dark_threshold), None)
    words = f"At {100 * about.dark_threshold:.3g} % the filter removes {plural(removed, 'slice')} of {about.n_slices:,}"
    words += f": {row.n_negative:,} without and {row.n_positive:,} with tumour." if row and row.n_removed else "."
    intro = f"A slice is dark if too small a share of its values, over all modalities, is not black. {words}"
    return Section("dark", "Dark slices", intro, tuple(blocks))


def copies(about: CohortDescription, chosen: Plan, slices: ShadedSlices, folder: Path) -> Section:
    """Cases that show the same, side by side."""
    if not about.duplicates:
        return Section("duplicates", "Duplicates", "", ())
    exhibits = [
        _pair_of_copies(group, pair, slices)
        for group, pair in chosen.copies
        if all(request in slices for request in pair)
    ]
    blocks: list[Block] = []
    if exhibits:
        figure = scans.side_by_side(exhibits, most=240, columns=3)
        caption = f"Two members of {plural(len(exhibits), 'group')} of {len(about.duplicates):,}."
        blocks.append(saved_picture(folder, "duplicates", figure, "scan", title="Copies side by side", caption=caption))
    if any(len(group.categories) > 1 for group in about.duplicates):
        words = "Some copies are in different classes: at least one of each such pair is labelled wrongly."
        blocks.append(Prose(words, "warning"))
    blocks.append(_copies_table(about))
    intro = (
        "Copies must be on the same side of a split, or the figures measure memory. Splits keep each group together."
    )
    return Section("duplicates", "Duplicates", intro, tuple(blocks))


def _pair_of_copies(group: DuplicateGroup, pair: Sequence[SliceRequest], slices: ShadedSlices) -> Exhibit:
    likeness = "equal pixel for pixel" if group.kind == "exact" else f"near copy, r = {group.correlation:.3f}"
    names = "  |  ".join(style.plain(request.case, 19) for request in pair)
    return Exhibit(tuple(slices[request].main for request in pair), (None, None), likeness, names)


def _copies_table(about: CohortDescription) -> Table:
    rows = tuple(
        (
            Cell(group.kind, None, "warning" if group.kind == "exact" else "note"),
            Cell(f"{group.correlation:.3f}", group.correlation),
            Cell(str(len(group.cases)), len(group.cases)),
            Cell(", ".join(group.categories)),
            Cell(name_some(group.cases, 12)),
        )
        for group in about.duplicates[:MOST_ROWS]
    )
    columns = (
        Column("Kind"),
        Column("Correlation", numeric=True),
        Column("Members", numeric=True),
        Column("Classes"),
        Column("Cases"),
    )
    return Table(columns, rows, left_out(len(about.duplicates)), page_size=12)


def _exhibit(about: CohortDescription, request: SliceRequest, slice_: ShadedSlice) -> Exhibit:
    n_slices = slice_.grid.shape[request.axis]
    note = f"slice {request.index + 1} of {n_slices}" if n_slices > 1 else ""
    labels = slice_.labels
    if labels is not None and note and (about.diagnoses.positive_slices or about.diagnoses.negative_slices):
        share = 100 * float((labels.pixels > 0).mean())
        note += f", {style.number(share)} % tumour" if share else ", no tumour"
    return Exhibit((slice_.main,), (labels,), request.case, note)


def _modality_words(slices: Sequence[SliceRequest]) -> str:
    names = dict.fromkeys(
        style.modality_title(request.modalities[0]) for request in slices if len(request.modalities) == 1
    )
    return " or ".join(names) or "the picture"


def _convention(about: CohortDescription) -> str:
    return CONVENTION if any(case.has_mm for case in about.cases) else _AS_PUBLISHED
