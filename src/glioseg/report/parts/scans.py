"""Sheets of scans in a cohort's report: which slices to read, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from glioseg.cohorts.describe import CohortDescription, GalleryKind
from glioseg.core import LabelScheme
from glioseg.errors import name_some
from glioseg.report import style
from glioseg.report.figures import scans
from glioseg.report.figures.scans import Drawing, Exhibit
from glioseg.report.figures.views import CONVENTION, PLANES
from glioseg.report.html import Block, Cell, Column, Prose, Section, Table, saved_picture
from glioseg.report.parts.plan import Plan, regions_of
from glioseg.report.parts.words import MOST_ROWS, left_out, plural, region_words
from glioseg.report.pixels import ShownSlice, Wanted

_AS_PUBLISHED = "Pictures are shown as published, X to the right and Y down; their orientation is unknown."
Shown = Mapping[Wanted, ShownSlice]


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
    colours = {value: style.region_colour(name, number) for number, (name, value) in enumerate(scheme.labels.items())}
    if "tumour" in scheme.regions:
        outlines: tuple[tuple[tuple[int, ...], str], ...] = ((scheme.values_of("tumour"), style.REFERENCE),)
        return Drawing(colours, names, outlines, ("reference, whole tumour",))
    outlines = tuple(((value,), colour) for value, colour in colours.items())
    return Drawing(colours, names, outlines, tuple(names.values()))


def gallery(about: CohortDescription, chosen: Plan, shown: Shown, folder: Path) -> Section:
    """What the data look like: triptychs of diagnoses, or pictures of each class, or middle slices."""
    blocks: list[Block] = []
    drawing = drawing_of(about.scheme)
    kinds: tuple[tuple[GalleryKind, str], ...] = (("positive", "with tumour"), ("negative", "without tumour"))
    for kind, words in kinds:
        exhibits = [_exhibit(about, one, shown[one]) for one in chosen.gallery.get(kind, ()) if one in shown]
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
        exhibits = [_exhibit(about, one, shown[one]) for one in pictures if one in shown]
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
    plain = [_exhibit(about, one, shown[one]) for one in chosen.plain if one in shown]
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


def anatomy(about: CohortDescription, chosen: Plan, shown: Shown, folder: Path) -> Section:
    """Three planes, all modalities, all regions."""
    blocks: list[Block] = []
    drawing = drawing_of(about.scheme)
    trios = [trio for trio in chosen.planes if trio and all(one in shown for one in trio)]
    if trios:
        exhibits = [
            Exhibit(tuple(shown[one].main for one in trio), tuple(shown[one].labels for one in trio), trio[0].case)
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
    slices = [one for one in chosen.modalities if one in shown]
    if slices and len(about.modalities) > 1:
        blocks.append(_montage(about, slices, shown, folder))
    regions = regions_of(about.scheme)
    labelled = [one for one in slices if shown[one].labels is not None]
    if labelled and drawing is not None and len(regions) > 1:
        exhibits = [_exhibit(about, one, shown[one]) for one in labelled]
        members = "; ".join(words for name in regions if (words := region_words(about, name)) != name)
        members = f" {members}." if members else ""
        blocks.append(
            saved_picture(
                folder,
                "regions",
                scans.region_overlays(exhibits, regions, drawing),
                "scan",
                title="Regions of the reference",
                caption=f"The slice as it is, each scored region, and all labels.{members} {_convention(about)}",
            )
        )
    return Section("anatomy", "Anatomy, modalities, regions", "", tuple(blocks))


def _montage(about: CohortDescription, slices: Sequence[Wanted], shown: Shown, folder: Path) -> Block:
    names = [name for name in about.modalities if any(name in shown[one].pictures for one in slices)]
    exhibits = []
    for one in slices:
        cuts = tuple(shown[one].pictures.get(name) for name in names)
        exhibit = _exhibit(about, one, shown[one])
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


def dark(about: CohortDescription, chosen: Plan, shown: Shown, folder: Path, charts: Sequence[Block]) -> Section:
    """The slices that a dark-scan filter removes, after the charts of how many they are."""
    blocks: list[Block] = list(charts)
    exhibits = []
    shares = {case.case: case.slices.non_black for case in about.cases}
    for one in chosen.gallery.get("dark", ()):
        if one in shown:
            note = f"slice {one.index + 1}, {100 * float(shares[one.case][one.index]):.2g} %"
            exhibits.append(Exhibit((shown[one].main,), (shown[one].labels,), one.case, note))
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


def copies(about: CohortDescription, chosen: Plan, shown: Shown, folder: Path) -> Section:
    """Cases that show the same, side by side."""
    if not about.duplicates:
        return Section("duplicates", "Duplicates", "", ())
    blocks: list[Block] = []
    exhibits = []
    for group, pair in chosen.copies:
        if all(one in shown for one in pair):
            cuts, labels = tuple(shown[one].main for one in pair), (None, None)
            likeness = "equal pixel for pixel" if group.kind == "exact" else f"near copy, r = {group.correlation:.3f}"
            exhibits.append(Exhibit(cuts, labels, likeness, "  |  ".join(style.plain(one.case, 19) for one in pair)))
    if exhibits:
        blocks.append(
            saved_picture(
                folder,
                "duplicates",
                scans.side_by_side(exhibits, most=240, columns=3),
                "scan",
                title="Copies side by side",
                caption=f"Two members of {plural(len(exhibits), 'group')} of {len(about.duplicates):,}.",
            )
        )
    if any(len(group.categories) > 1 for group in about.duplicates):
        blocks.append(
            Prose(
                "Some copies are in different classes: at least one of each such pair is labelled wrongly.", "warning"
            )
        )
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
    blocks.append(Table(columns, rows, left_out(len(about.duplicates)), page_size=12))
    intro = (
        "Copies must be on the same side of a split, or the figures measure memory. Splits keep each group together."
    )
    return Section("duplicates", "Duplicates", intro, tuple(blocks))


def _exhibit(about: CohortDescription, one: Wanted, slice_: ShownSlice) -> Exhibit:
    n_slices = slice_.grid.shape[one.axis]
    note = f"slice {one.index + 1} of {n_slices}" if n_slices > 1 else ""
    labels = None if slice_.labels is None else slice_.labels
    if labels is not None and note and (about.diagnoses.positive_slices or about.diagnoses.negative_slices):
        share = 100 * float((labels.pixels > 0).mean())
        note += f", {share:.2g} % tumour" if share else ", no tumour"
    return Exhibit((slice_.main,), (labels,), one.case, note)


def _modality_words(slices: Sequence[Wanted]) -> str:
    names = dict.fromkeys(style.modality_title(one.modalities[0]) for one in slices if len(one.modalities) == 1)
    return " or ".join(names) or "the picture"


def _convention(about: CohortDescription) -> str:
    return CONVENTION if any(case.has_mm for case in about.cases) else _AS_PUBLISHED
