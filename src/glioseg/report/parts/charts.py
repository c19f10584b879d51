"""Charts of a cohort's report, drawn from its description alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from glioseg.cohorts.description import CohortDescription, FactColumn
from glioseg.errors import plural
from glioseg.report import style
from glioseg.report.figures import charts, intensities
from glioseg.report.html import Block, Section, saved_picture
from glioseg.report.parts.plan import colours_in
from glioseg.report.parts.words import region_words, tumour_sizes

_BACKGROUND = "background"
_UNLABELLED = "brain, unlabelled"
_FIRST_FACTS = (
    "age",
    "survival",
    "death",
    "sex",
    "gender",
    "grade",
    "histolog",
    "site",
    "locati",
    "laterality",
    "lobe",
)


def diagnoses(about: CohortDescription, folder: Path) -> Section:
    """Positive and negative, and how rare tumour is among voxels."""
    blocks: list[Block] = []
    counts = about.diagnoses
    if counts.positive_slices + counts.negative_slices:
        blocks.append(
            saved_picture(
                folder,
                "diagnoses",
                charts.diagnoses(counts),
                "chart",
                title="Positive and negative diagnoses",
                caption="A slice counts as with tumour if its reference marks at least one voxel, a patient if one of "
                "the slices does. Those without a readable reference are counted in neither.",
                half=True,
            )
        )
    if about.categories:
        blocks.append(
            saved_picture(
                folder,
                "classes",
                charts.bars(
                    {name: float(count) for name, count in about.categories.items()},
                    x="cases",
                    colours=[style.series_colour(sorted(about.categories).index(name)) for name in about.categories],
                ),
                "chart",
                title="Class balance",
                caption="Number of cases in each class folder, copies included.",
                half=True,
            )
        )
        if any(case.shape is not None for case in about.cases):
            blocks.append(_picture_sizes(about, folder))
    if about.imbalance.n_voxels and about.imbalance.n_tumour:
        blocks.append(_imbalance(about, folder))
    intro = "How much of the data is positive, counted three ways: by patient, by slice, by voxel."
    title = "Class balance and picture sizes" if about.categories else "Diagnoses and class balance"
    return Section("diagnoses", title, intro if counts.positive_slices else "", tuple(blocks))


def _imbalance(about: CohortDescription, folder: Path) -> Block:
    total = about.imbalance.n_voxels
    shares: dict[str, float] = {_BACKGROUND: float(total - about.imbalance.n_brain)}
    shares[_UNLABELLED] = max(float(about.imbalance.n_brain - sum(about.labels.values())), 0.0)
    shares |= {name: float(voxels) for name, voxels in about.labels.items()}
    percent = {name: 100 * value / total for name, value in shares.items() if value > 0}
    colours = [_label_colour(about, name) for name in percent]
    figure = charts.bars(
        percent,
        x="% of all voxels (logarithmic)",
        colours=colours,
        log=True,
        written=[f"{value:.3g} %" for value in percent.values()],
    )
    what = "Tumour" if about.diagnoses.positive_slices else "Labelled tissue"
    caption = (
        f"{what} is {100 * about.imbalance.share_of_voxels:.3g} % of all voxels and "
        f"{100 * about.imbalance.share_of_brain:.3g} % of the brain: predicting nothing at all "
        f"would have a pixel accuracy of {100 * (1 - about.imbalance.share_of_voxels):.2f} %. Cases with a reference."
    )
    return saved_picture(folder, "imbalance", figure, "chart", title="Class imbalance", caption=caption, half=True)


def _label_colour(about: CohortDescription, name: str) -> str:
    if name == _BACKGROUND:
        return style.LINE
    if name == _UNLABELLED:
        return style.NEUTRAL
    return style.REFERENCE if len(about.labels) == 1 or about.scheme is None else colours_in(about.scheme)[name]


def tumours(about: CohortDescription, folder: Path) -> Section:
    """How big tumours are, and where."""
    sizes, unit = tumour_sizes(about)
    if not sizes:
        return Section("tumours", "Tumours", "", ())
    by_region, region_unit = _region_sizes(about)
    colours = {} if about.scheme is None else colours_in(about.scheme)
    blocks: list[Block] = []
    if len(sizes) > 1:
        caption = f"{plural(len(sizes), 'case')} with tumour; each tick is a case. "
        caption += "" if unit == "ml" else "Pictures carry no millimetres, so sizes are in voxels."
        figure = charts.sizes(sizes, x=f"tumour ({unit}, logarithmic)", unit=unit)
        title = "Tumour size by case"
        blocks.append(saved_picture(folder, "tumour-sizes", figure, "chart", title=title, caption=caption, half=True))
    elif by_region:
        figure = _one_case_regions(by_region, colours, region_unit)
        title, caption = "Size by region", _region_caption(about)
        blocks.append(saved_picture(folder, "region-sizes", figure, "chart", title=title, caption=caption, half=True))
    figure = charts.sizes(_slice_shares(about), x="tumour (% of the slice, logarithmic)", y="slices", unit="%")
    caption = f"Tumour as a share of the slice's pixels, in {plural(about.n_tumour_slices, 'slice')} with any."
    title = "Tumour size by slice"
    blocks.append(saved_picture(folder, "slice-shares", figure, "chart", title=title, caption=caption, half=True))
    if len(by_region) > 1 and len(sizes) > 1:
        figure = charts.region_sizes(by_region, colours, x=f"size ({region_unit}, logarithmic)")
        title = "Size by region"
        caption = "Each dot is a case; the bar spans the middle half (of four or more), the ring is the median. "
        caption += _region_caption(about)
        blocks.append(saved_picture(folder, "region-sizes", figure, "chart", title=title, caption=caption))
    if about.heat:
        blocks.append(_places(about, folder))
    return Section("tumours", "Tumour size and place", "", tuple(blocks))


def _one_case_regions(by_region: Mapping[str, Sequence[float]], colours: Mapping[str, str], unit: str) -> Figure:
    values = {name: sizes[0] for name, sizes in by_region.items()}
    written = [f"{style.number(value)} {unit}" for value in values.values()]
    return charts.bars(values, x=f"size ({unit})", colours=[colours[name] for name in values], written=written)


def _slice_shares(about: CohortDescription) -> list[float]:
    shares: list[float] = []
    for case in about.cases:
        if case.shape is not None and case.tumour_voxels:
            per_slice = case.slices.tumour_voxels
            shares += (100.0 * per_slice[per_slice > 0] / (case.shape[0] * case.shape[1])).tolist()
    return shares


def _region_sizes(about: CohortDescription) -> tuple[dict[str, list[float]], str]:
    """Region -> its size in every case that has it; in ml only where every case has millimetres."""
    if about.scheme is None or about.diagnoses.positive_slices == 0:
        return {}, "ml"
    cases = [case for case in about.cases if case.has_reference and case.spacing is not None]
    in_ml = all(case.has_mm for case in cases)
    sizes: dict[str, list[float]] = {name: [] for name in _shown_regions(about)}
    for case in cases:
        totals = dict(zip(case.labels, case.slices.label_voxels.sum(axis=0).tolist(), strict=True))
        unit = float(np.prod(case.spacing or (1.0,))) / 1000 if in_ml else 1.0
        for name, own_sizes in sizes.items():
            size = sum(totals.get(label, 0) for label in about.scheme.regions[name]) * unit
            if size:
                own_sizes.append(size)
    return {name: own_sizes for name, own_sizes in sizes.items() if own_sizes}, "ml" if in_ml else "voxels"


def _shown_regions(about: CohortDescription) -> list[str]:
    """The scored regions, then those that are labels of their own."""
    if about.scheme is None:
        return []
    regions = about.scheme.regions
    singles = [name for name, members in regions.items() if len(members) == 1 or name == "NCR"]
    ordered = dict.fromkeys([*about.scheme.default_regions, *singles])
    distinct = {regions[name]: name for name in reversed(ordered)}  # two names of the same labels are shown once
    return [name for name in ordered if name in distinct.values()][:6]


def _region_caption(about: CohortDescription) -> str:
    members = "; ".join(region_words(about, name) for name in _shown_regions(about))
    counts = ", ".join(f"{name} in {plural(about.region_cases.get(name, 0), 'case')}" for name in _shown_regions(about))
    return f"{members}. Cases without the region are left out: {counts}."


def _places(about: CohortDescription, folder: Path) -> Block:
    pictures = about.heat[0].plane == "picture"
    caption = (
        "Every case is scaled to the bounding box of its brain and projected along one axis; the colour is the share "
        "of the cases with tumour whose tumour covers the cell. "
    )
    caption += (
        "Pictures are shown as published, X to the right and Y down; their orientation is unknown."
        if pictures
        else "Radiological convention: the patient's right (R) is on the left; anterior (A) or superior (S) is up."
    )
    return saved_picture(
        folder, "tumour-places", charts.places(about.heat), "map", title="Where tumours are", caption=caption
    )


def dark_blocks(about: CohortDescription, folder: Path) -> tuple[Block, ...]:
    """What a filter for dark slices removes, as charts; none for pictures of classes unless it removes some."""
    removes = any(row.n_removed for row in about.dark)
    if not about.dark or not about.n_slices or (about.categories and not removes):
        return ()
    parts: tuple[list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]], ...] = ([], [], [])
    for case in about.cases:
        if case.has_reference and case.tumour_voxels is not None:
            positive = case.slices.tumour_voxels > 0
            parts[0].append(case.slices.non_black[positive])
            parts[1].append(case.slices.non_black[~positive])
        else:
            parts[2].append(case.slices.non_black)
    joined = [np.concatenate([np.zeros(0, dtype=np.float32), *part]) for part in parts]
    blocks = [
        saved_picture(
            folder,
            "dark-shares",
            intensities.dark_shares(joined[0], joined[1], joined[2], about.dark_threshold),
            "chart",
            title="How much each slice shows",
            half=removes,
            caption="Share of a raw slice's values, over all modalities, that are not black. Counts are logarithmic.",
        )
    ]
    if removes:
        blocks.append(
            saved_picture(
                folder,
                "dark-filter",
                intensities.dark_filter(about.dark, about.dark_threshold),
                "chart",
                title="What a dark-scan filter removes",
                half=True,
                caption="Slices whose share of non-black pixels is below the threshold, and every all-black slice.",
            )
        )
    return tuple(blocks)


def _picture_sizes(about: CohortDescription, folder: Path) -> Block:
    sized = [case for case in about.cases if case.shape is not None]
    shapes = [case.shape or (1, 1, 1) for case in sized]
    classes = [case.category or "" for case in sized]
    figure = charts.picture_sizes([shape[0] for shape in shapes], [shape[1] for shape in shapes], classes)
    distinct = len({shape[:2] for shape in shapes})
    caption = f"{distinct:,} different sizes among {plural(len(sized), 'picture')}; larger dots stand for several of "
    caption += "one size, the line marks square pictures."
    title = "Size of the pictures"
    return saved_picture(folder, "picture-sizes", figure, "chart", title=title, caption=caption, half=True)


def facts(about: CohortDescription, folder: Path) -> Section:
    """Age, survival and whatever else the publisher's tables say."""
    columns = sorted((column for column in about.facts if _is_telling(column.values, column.numeric)), key=_fact_rank)
    if not columns:
        return Section("facts", "Patients", "", ())
    block = saved_picture(
        folder,
        "facts",
        charts.facts(columns),
        "chart",
        title="Facts from the publisher's tables",
        caption="As the tables give them; codes are explained by the publisher. Cases without a value are left out"
        + (f"; the first {charts.MOST_FACTS} of {len(columns)} columns." if len(columns) > charts.MOST_FACTS else "."),
    )
    return Section("facts", "Ages, survival and other facts", "", (block,))


def _is_telling(values: Mapping[str, str | float | int], numeric: bool) -> bool:
    """What is the same for all says nothing; names, different in every case, make no chart."""
    distinct = len(set(values.values()))
    return distinct > 1 and (numeric or distinct <= max(2, len(values) // 2))


def _fact_rank(column: FactColumn) -> tuple[int, str]:
    """What readers look for first comes first; the rest by name."""
    name = column.name.lower()
    rank = next((place for place, word in enumerate(_FIRST_FACTS) if word in name), len(_FIRST_FACTS))
    return rank, name
