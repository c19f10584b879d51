"""Scans of a run's report: overlays, triptychs, weight maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from glioseg.errors import listed, plural
from glioseg.evaluation.table import regions_of
from glioseg.report import style
from glioseg.report.figures import comparison
from glioseg.report.figures.views import CONVENTION
from glioseg.report.html import Block, Notes, Section, saved_picture
from glioseg.report.parts.reasons import reason_of
from glioseg.report.parts.run_cases import volume_unit
from glioseg.report.parts.run_words import part_phrase, region_words
from glioseg.report.pixels import main_modality
from glioseg.report.run_facts import GalleryItem, GalleryKind, SegmentationFacts

_AS_PUBLISHED = "Pictures are shown as published, X to the right and Y down; their orientation is unknown."
_MOST_ITEMS = 8
_MOST_MAPS = 6
_TITLES: Mapping[GalleryKind, tuple[str, str]] = {
    "best": ("Best cases", "The cases with the highest {dice}, best first."),
    "median": ("Cases around the median", "What to expect of a typical case."),
    "worst": ("Worst cases", "The cases with the lowest {dice}, worst first: where to look for causes."),
    "no-tumour": ("Slices without {what}", "Everything predicted here is false."),
}


def gallery(facts: SegmentationFacts, folder: Path) -> Section:
    """Overlays of best, median and worst cases and of slices without what is outlined."""
    blocks: list[Block] = []
    for kind, (title, words) in _TITLES.items():
        items = [item for item in facts.gallery if item.kind == kind][:_MOST_ITEMS]
        if items:
            figure = comparison.overlays(items, facts.outlined)
            caption = f"{words.format(dice=_ranked_by(facts))} {_what_is_seen(items, facts)} {_convention(items)}"
            full_title = title.format(what=_outlined(facts))
            notes = _reasons(items, facts) if kind == "worst" else ()
            blocks.append(
                saved_picture(folder, f"gallery-{kind}", figure, "scan", title=full_title, caption=caption, notes=notes)
            )
    parts = listed(dict.fromkeys(part_phrase(item.part) for item in facts.gallery))
    of = f" of {_outlined(facts)}" if facts.outlined else ""
    intro = f"From {parts}: reference{of} outlined in red, prediction in green, yellow where both coincide."
    return Section("gallery", "Predictions on scans", intro, tuple(blocks))


def _reasons(items: Sequence[GalleryItem], facts: SegmentationFacts) -> Notes:
    """Why each case is among the worst."""
    notes = []
    for item in items:
        rows = facts.parts[item.part].rows if item.part in facts.parts else ()
        row = next((row for row in rows if row["case"] == item.case), None)
        if row is not None:
            regions = facts.outlined or regions_of(rows)
            notes.append((item.case, reason_of(row, regions, volume_unit(rows))))
    return tuple(notes)


def triptychs(facts: SegmentationFacts, folder: Path) -> Section:
    """Image, reference and prediction side by side."""
    items = _of_each_kind(facts.gallery)
    if not items:
        return Section("triptychs", "Image, reference, prediction", "", ())
    several = len(items[0].reference) > 1
    words = "Regions in their colours; " if several else "Reference filled in red, prediction in green; "
    if several:
        members = [meaning for name in items[0].reference if (meaning := region_words(facts, name)) != name]
        words += f"{'; '.join(members)}; " if members else ""
    words += f"best, median and worst cases, then slices without {_outlined(facts)}."
    caption = f"{words} {_what_is_seen(items, facts)} {_convention(items)}"
    figure = comparison.triptychs(items, facts.outlined)
    title = "Image | reference | prediction"
    block = saved_picture(folder, "triptychs", figure, "scan", title=title, caption=caption)
    return Section("triptychs", "Image, reference, prediction", "", (block,))


def _outlined(facts: SegmentationFacts) -> str:
    """What the outlines are of."""
    return listed(facts.outlined) or facts.data.marked


def _ranked_by(facts: SegmentationFacts) -> str:
    """By which Dice cases are the best or the worst."""
    names = facts.outlined or tuple(facts.data.regions)
    return "Dice" if len(names) == 1 else f"mean Dice over {', '.join(names)}"


def _of_each_kind(items: Sequence[GalleryItem]) -> list[GalleryItem]:
    """At most two of each kind, in the order of the kinds."""
    return [item for kind in _TITLES for item in [item for item in items if item.kind == kind][:2]]


def weight_maps(facts: SegmentationFacts, folder: Path) -> Section:
    """The weights that the loss gives to pixels, beside the masks that they are made from."""
    maps = list(facts.weight_maps)[:_MOST_MAPS]
    if not maps:
        return Section("weights", "Weight maps", "", ())
    caption = (
        f"{plural(len(maps), 'slice')} on the network's grid, before augmentation: the reference, and the weight of "
    )
    caption += (
        "each pixel in the loss, which is that of its class, where classes are weighted, plus that of the border "
    )
    caption += "term. Errors cost more between two components and near their borders."
    figure = comparison.weight_maps(maps)
    block = saved_picture(folder, "weight-maps", figure, "map", title="Masks and their weights", caption=caption)
    return Section("weights", "Weight maps of the loss", "", (block,))


def _what_is_seen(items: Sequence[GalleryItem], facts: SegmentationFacts) -> str:
    """Which modality is seen, and which slice."""
    names = dict.fromkeys(main_modality(item.pictures)[0] for item in items)
    titles = listed((style.modality_title(name) for name in names if name != "picture"), "or")
    words = f"Shown on {titles}" if titles else "Shown on the picture"
    if any(item.n_slices > 1 for item in items):
        score = _ranked_by(facts)
        slice_score = "its own" if score == "Dice" else f"the Dice of all {_outlined(facts)} on it"
        return (
            f"{words}; trimmed to what is not black. Above each: the case and its {score}, the slice and {slice_score}."
        )
    return f"{words}."


def _convention(items: Sequence[GalleryItem]) -> str:
    return CONVENTION if any(item.marks is not None for item in items) else _AS_PUBLISHED
