"""Reference and prediction on scans: overlays, triptychs, and weight maps beside their masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from glioseg.report import style
from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.overlay import Colours, border, colours_of, filled, outlined
from glioseg.report.figures.views import Cut, fit_labels, fit_picture, fitted_size, trimmed
from glioseg.report.pixels import main_modality
from glioseg.report.run_facts import GalleryItem, Mask, WeightMap

_OVERLAYS_ABREAST = 4
_OUTLINE_LEGEND = (("reference", style.REFERENCE), ("prediction", style.PREDICTION), ("both", style.BOTH))


def union(masks: Mapping[str, Mask], regions: Sequence[str] = ()) -> Mask:
    """The pixels inside any of the regions, of all regions where none is named."""
    chosen = [mask for name, mask in masks.items() if not regions or name in regions] or list(masks.values())
    return np.asarray(np.logical_or.reduce(chosen), dtype=np.bool_)


def slice_dice(item: GalleryItem, regions: Sequence[str] = ()) -> float | None:
    """Dice of the shown slice alone; None where both masks are empty."""
    reference, prediction = union(item.reference, regions), union(item.prediction, regions)
    total = int(reference.sum()) + int(prediction.sum())
    return 2 * int((reference & prediction).sum()) / total if total else None


def overlays(items: Sequence[GalleryItem], outlined_regions: Sequence[str] = ()) -> Figure:
    """Each slice with the reference outlined in red, the prediction in green, and where both run together in yellow."""
    box = panel_size(max(len(items), 3), _OVERLAYS_ABREAST, 1, most=440)
    groups = []
    for item in items:
        cut, reference, prediction = _fitted(item, box)
        picture = _two_outlines(cut.pixels, union(reference, outlined_regions), union(prediction, outlined_regions))
        groups.append(Group((Panel(picture, cut.marks),), item.case, note_of(item, outlined_regions)))
    return mosaic(groups, columns=_OVERLAYS_ABREAST, legend=_OUTLINE_LEGEND)


def triptychs(items: Sequence[GalleryItem], outlined_regions: Sequence[str] = (), *, columns: int = 2) -> Figure:
    """Each slice as it is, with the reference and with the prediction; several regions in their colours."""
    box = panel_size(max(len(items), 2), columns, 3, most=380)
    names = list(items[0].reference)
    groups = []
    for item in items:
        cut, reference, prediction = _fitted(item, box)
        panels = (
            Panel(cut.pixels, cut.marks),
            Panel(_in_colours(cut.pixels, reference, names, style.REFERENCE)),
            Panel(_in_colours(cut.pixels, prediction, names, style.PREDICTION)),
        )
        groups.append(Group(panels, item.case, note_of(item, outlined_regions)))
    legend = [(name, style.region_colour(name, number)) for number, name in enumerate(names)]
    if len(names) == 1:
        legend = list(_OUTLINE_LEGEND[:2])
    return mosaic(groups, columns=columns, captions=("image", "reference", "prediction"), legend=legend)


def note_of(item: GalleryItem, regions: Sequence[str] = ()) -> str:
    """The case's Dice, the slice, and what is to be said of the slice alone."""
    several = len(regions or item.reference) > 1
    words = "mean Dice" if several else "Dice"
    whole = f"{words} {item.dice:.3f}" if item.dice is not None and item.kind != "no-tumour" else ""
    if item.n_slices == 1 and whole:
        return whole
    place = f"slice {item.z + 1}/{item.n_slices}: " if item.n_slices > 1 else ""
    here = slice_dice(item, regions)
    if union(item.reference, regions).any():
        return f"{whole}; {place}{here:.3f}" if whole else f"{place}{here:.3f}"
    falsely = int(union(item.prediction, regions).sum())
    words = place + (f"{falsely:,} px predicted" if falsely else "nothing predicted")
    return f"{whole}; {words}" if whole else words


def _fitted(item: GalleryItem, box: int) -> tuple[Cut, dict[str, Mask], dict[str, Mask]]:
    """The slice trimmed to what it shows, in colour, and its masks, all fitted to ``box`` pixels."""
    name = main_modality(item.pictures)[0]
    cut = item.cut(name)
    masks = np.stack([*item.reference.values(), *item.prediction.values()], axis=-1)
    bright = cut.pixels if cut.pixels.ndim == 2 else cut.pixels.max(axis=2)
    in_sight = np.where(masks.any(axis=-1), 255, bright)  # what is marked stays in sight, wherever it lies
    stack = np.concatenate([cut.pixels.reshape(*bright.shape, -1), masks], axis=-1)
    _, inner = trimmed(Cut(in_sight, cut.spacing, None), Cut(stack, cut.spacing, None))
    inside = stack if inner is None else inner.pixels
    n_colours = inside.shape[-1] - masks.shape[-1]
    pixels = inside[..., :n_colours] if n_colours == 3 else inside[..., 0]
    small = Cut(np.ascontiguousarray(pixels, dtype=np.uint8), cut.spacing, cut.marks)
    size = fitted_size(small, box)
    fitted = [fit_labels(inside[..., place], size) > 0 for place in range(n_colours, inside.shape[-1])]
    half = len(item.reference)
    return (
        Cut(colours_of(fit_picture(small.pixels, size)), cut.spacing, cut.marks),
        dict(zip(item.reference, fitted[:half], strict=True)),
        dict(zip(item.prediction, fitted[half:], strict=True)),
    )


def _two_outlines(picture: Colours, reference: Mask, prediction: Mask) -> Colours:
    drawn = outlined(outlined(picture, reference, style.REFERENCE), prediction, style.PREDICTION)
    drawn[border(reference) & border(prediction)] = style.rgb(style.BOTH)
    return drawn


def _in_colours(picture: Colours, masks: Mapping[str, Mask], names: Sequence[str], single: str) -> Colours:
    """Every region filled in its colour, large ones below small ones; a single region in ``single``."""
    drawn = picture
    for name in sorted(masks, key=lambda region: -int(masks[region].sum())):
        colour = single if len(masks) == 1 else style.region_colour(name, names.index(name))
        fresh = np.where(masks[name][..., None], picture, drawn)  # a nested region hides what lies below it
        drawn = outlined(filled(fresh, masks[name], colour, 0.5), masks[name], colour, 1)
    return drawn


def weight_maps(maps: Sequence[WeightMap]) -> Figure:
    """Each mask beside the weights of its pixels, all weights on one colour scale."""
    pairs = list(maps)
    columns = min(2, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = style.new_figure(style.FULL_WIDTH if columns == 2 else 7.0, 2.9 * rows + 0.2)
    highest = max(float(pair.weights.max(initial=0.0)) for pair in pairs) or 1.0
    panels = []
    for number, pair in enumerate(pairs):
        first = figure.add_subplot(rows, 2 * columns, 2 * number + 1)
        second = figure.add_subplot(rows, 2 * columns, 2 * number + 2)
        panels += [first, second]
        first.imshow(pair.mask, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        drawn = second.imshow(
            np.asarray(pair.weights, dtype=np.float64),
            cmap="magma",
            norm=PowerNorm(0.5, 0, highest),  # border terms are seen beside class weights of many times their height
            interpolation="nearest",
        )
        words = f"{style.plain(pair.case, 26)}, slice {pair.z + 1}" + (f", {pair.region}" if pair.region else "")
        first.set_title(style.no_formula(words), loc="left", fontsize=style.LABEL_PT, color=style.INK)
        for panel in (first, second):
            panel.set(xticks=[], yticks=[])
            for spine in panel.spines.values():
                spine.set_color(style.LINE)
    bar = figure.colorbar(drawn, ax=panels, shrink=0.85, pad=0.012, aspect=24)
    bar.set_label("weight of a pixel", fontsize=style.LABEL_PT, color=style.MUTED)
    bar.ax.tick_params(labelsize=style.TICK_PT, colors=style.MUTED)
    bar.outline.set_edgecolor(style.LINE)
    return figure
