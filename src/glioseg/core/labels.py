"""Label schemes: what the integers of a label map mean, the regions made of them, and the way back.

The same integer means different things from one data set to the next (4 is enhancing tumour in BraTS 2021, a resection
cavity in BraTS 2024), so that an integer never travels without its scheme. Regions are unions of labels; WT is all
tumour but the resection cavity RC, TC is NCR + NET + ET, and the region NCR always includes NET (and, in children's
tumours, the cystic component CC).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from glioseg.errors import LabelError, name_some

LARGEST_LABEL = 255
"""What the integer of a label may be: label maps that are painted are of 8 bits."""

_PART = 1 << 18


@dataclass(frozen=True)
class LabelScheme:
    """The meaning of the integers of a label map.

    Args:
        name: what ``--scheme`` calls it.
        labels: label name -> integer, each integer once, none of them 0 (background).
        regions: region name -> the labels it is the union of.
        default_regions: the regions that are scored unless others are asked for.
        source: where the scheme is defined.

    Raises:
        LabelError: a value given twice, 0 or above ``LARGEST_LABEL``, a region of unknown labels.
    """

    name: str
    labels: Mapping[str, int]
    regions: Mapping[str, tuple[str, ...]]
    default_regions: tuple[str, ...]
    source: str = ""

    def __post_init__(self) -> None:
        values = list(self.labels.values())
        if not values or len(set(values)) != len(values) or min(values) < 1:
            raise LabelError(f"the labels of scheme {self.name} need distinct values above 0", found=dict(self.labels))
        if max(values) > LARGEST_LABEL:
            raise LabelError(
                f"a label of scheme {self.name} is too large", found=max(values), expected=f"at most {LARGEST_LABEL}"
            )
        for region, names in self.regions.items():
            if not names or not set(names) <= set(self.labels):
                raise LabelError(f"region {region} of scheme {self.name} names unknown labels", found=names)
        self.require_regions(self.default_regions)
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))
        object.__setattr__(self, "regions", MappingProxyType(dict(self.regions)))

    def __reduce__(self) -> tuple[object, ...]:
        """Mapping proxies cannot be sent to another process; their dictionaries can."""
        return LabelScheme, (self.name, dict(self.labels), dict(self.regions), self.default_regions, self.source)

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.labels.items())))

    def describe(self) -> str:
        """``0 background, 1 NCR, 2 ED, 4 ET``."""
        return ", ".join(["0 background", *(f"{value} {name}" for name, value in self.labels.items())])

    def unknown_values(self, array: npt.NDArray[np.integer]) -> list[int]:
        """The values in ``array`` (any shape) that the scheme does not know, in rising order."""
        values = {0, *self.labels.values()}
        return [value for value in distinct(array) if value not in values]

    def require_regions(self, regions: Sequence[str]) -> None:
        """Raise a LabelError unless each of ``regions`` is one of this scheme's."""
        missing = [region for region in regions if region not in self.regions]
        if missing:
            raise LabelError(
                f"the label scheme {self.name} has no region {', '.join(missing)}",
                expected=f"some of {', '.join(self.regions)}",
            )

    def values_of(self, region: str) -> tuple[int, ...]:
        """The integers whose union ``region`` is."""
        self.require_regions([region])
        return tuple(self.labels[name] for name in self.regions[region])


def distinct(array: npt.NDArray[np.integer]) -> list[int]:
    """The distinct values of an integer array, in rising order; quick where the values are small."""
    if array.size == 0:
        return []
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= 65536:
        return [int(value) for value in np.unique(array)]
    is_present = np.zeros(high + 1, dtype=np.bool_)
    flat = array.ravel(order="K")
    for start in range(0, flat.size, _PART):  # in parts, since an array of indices takes eight times the room of uint8
        is_present[flat[start : start + _PART]] = True
    return [int(value) for value in np.flatnonzero(is_present)]


def encode_regions(
    array: npt.NDArray[np.integer], scheme: LabelScheme, regions: Sequence[str]
) -> npt.NDArray[np.uint8]:
    """Label map -> one 0/1 channel per region; regions may overlap.

    Args:
        array: (...) integers of ``scheme``.
        scheme: their meaning.
        regions: names of R regions.

    Returns:
        (R, ...) uint8, 1 inside the region.

    Raises:
        LabelError: values or regions that the scheme does not know.
    """
    scheme.require_regions(regions)
    unknown = scheme.unknown_values(array)
    if unknown:
        raise LabelError(
            f"label values outside the scheme {scheme.name}", found=name_some(unknown), expected=scheme.describe()
        )
    table = np.zeros((len(regions), max(scheme.labels.values()) + 1), dtype=np.uint8)
    for row, region in enumerate(regions):
        table[row, list(scheme.values_of(region))] = 1
    return table[:, array]


def decode_regions(
    probabilities: npt.NDArray[np.floating | np.integer],
    scheme: LabelScheme,
    regions: Sequence[str],
    thresholds: float | Sequence[float] = 0.5,
) -> npt.NDArray[np.uint8]:
    """Probabilities per region -> label map, the inverse of ``encode_regions``.

    A region is painted where its probability is above its threshold. Nested regions are painted from large to small, a
    smaller one over the larger one that holds it; among regions that exclude each other the highest probability wins.
    A region paints the first label that no smaller region within it stands for (TC without ET paints NCR); a label that
    the regions cannot tell from another (NET beside NCR) comes back as that other.

    Args:
        probabilities: (R, ...) in 0..1; 0/1 masks serve as well.
        scheme: the meaning of the integers to be painted.
        regions: names of the R regions.
        thresholds: a single one for all regions, or as many as regions.

    Returns:
        (...) uint8 label map.

    Raises:
        LabelError: regions that overlap without one holding the other, or a wrong number of channels or thresholds.
    """
    if len(probabilities) != len(regions):
        raise LabelError("one channel per region is needed", found=len(probabilities), expected=len(regions))
    values = np.asarray(thresholds, dtype=np.float64)
    if values.shape not in ((), (len(regions),)):
        raise LabelError("one threshold is needed, or one for each region", found=values.size, expected=len(regions))
    limits = np.broadcast_to(values, (len(regions),))
    order = painting_order(scheme, regions)
    painted = np.zeros(probabilities.shape[1:], dtype=np.uint8)
    is_inside = np.logical_or.reduce([row > limit for row, limit in zip(probabilities, limits, strict=True)])
    places = np.nonzero(is_inside)  # few of the voxels: all that follows works on these alone
    within = np.stack([row[places] for row in probabilities])
    values_within = np.zeros(within.shape[1], dtype=np.uint8)
    for level in sorted({depth for depth, _, _ in order}):
        best = np.full(values_within.shape, -np.inf, dtype=np.float32)
        below = values_within.copy()
        for depth, row, value in order:
            if depth != level:
                continue
            inside = (within[row] > limits[row]) & (within[row] > best)
            allowed = [0, *_painted_by_ancestors(scheme, regions, row, order)]
            inside &= np.isin(below, allowed)
            values_within[inside] = value
            best[inside] = within[row][inside]
    painted[places] = values_within
    return painted


def decode_kinds(
    probabilities: npt.NDArray[np.floating],
    scheme: LabelScheme,
    regions: Sequence[str],
    kinds: Sequence[str],
    threshold: float = 0.5,
) -> npt.NDArray[np.uint8]:
    """Probabilities of one region and of its kinds -> label map with one kind.

    The outline is where the region's probability is above the threshold; all of it is painted as the kind whose
    probabilities add up to most within, on a tie the earlier one.

    Args:
        probabilities: (R, ...) in 0..1.
        scheme: the meaning of the integers to be painted.
        regions: names of the R regions, the kinds and one other that holds them.
        kinds: names of the kinds.
        threshold: of the region that holds them.

    Returns:
        (...) uint8 label map, of background and one other value.

    Raises:
        LabelError: regions that are not kinds of one other.
    """
    whole = whole_of_kinds(scheme, regions, kinds)
    inside = probabilities[list(regions).index(whole)] > threshold
    sums = kind_sums(probabilities, regions, kinds, inside)
    (value,) = scheme.values_of(kinds[int(np.argmax(sums))])
    return np.where(inside, np.uint8(value), np.uint8(0))


def kind_sums(
    probabilities: npt.NDArray[np.floating], regions: Sequence[str], kinds: Sequence[str], inside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """What the probabilities (R, ...) of each kind add up to inside a mask (...): (K,). The highest is the kind."""
    rows = [list(regions).index(kind) for kind in kinds]
    return np.array([probabilities[row][inside].sum(dtype=np.float64) for row in rows])


def whole_of_kinds(scheme: LabelScheme, regions: Sequence[str], kinds: Sequence[str]) -> str:
    """The region that the kinds are kinds of: the one other, which their labels, one each, make up.

    Raises:
        LabelError: there is no such region.
    """
    others = [region for region in regions if region not in kinds]
    values = [scheme.values_of(kind) for kind in kinds]
    makes_up = len(others) == 1 and sorted(scheme.values_of(others[0])) == sorted(sum(values, ()))
    if len(regions) != len(kinds) + 1 or not makes_up or any(len(labels) != 1 for labels in values):
        raise LabelError(
            "these regions are not kinds of one other region",
            found=f"kinds {', '.join(kinds)} among the regions {', '.join(regions)}",
            expected="kinds of one label each, and one more region that is made of these labels",
            remedy="Change predict.kinds or prepare.regions",
        )
    return others[0]


def paint_most_probable(
    scores: npt.NDArray[np.floating], scheme: LabelScheme, regions: Sequence[str]
) -> npt.NDArray[np.uint8]:
    """Scores of the background and of regions that exclude each other -> the label map of the highest.

    Args:
        scores: (R + 1, ...), the background's first; on a tie the earlier one wins.
        scheme: the meaning of the integers to be painted.
        regions: names of the R regions.

    Returns:
        (...) uint8 label map.

    Raises:
        LabelError: regions that overlap, or a wrong number of channels.
    """
    if len(scores) != len(regions) + 1:
        raise LabelError("one channel per region and one for the background are needed", found=len(scores))
    require_exclusive(scheme, regions)
    values = np.zeros(len(regions) + 1, dtype=np.uint8)
    for _, row, value in painting_order(scheme, regions):
        values[row + 1] = value
    painted: npt.NDArray[np.uint8] = values[scores.argmax(axis=0)]
    return painted


def require_exclusive(scheme: LabelScheme, regions: Sequence[str]) -> None:
    """Raise a LabelError unless no label is in two of ``regions``."""
    for number, region in enumerate(regions):
        for other in regions[:number]:
            if set(scheme.values_of(region)) & set(scheme.values_of(other)):
                raise LabelError(
                    f"the regions {other} and {region} overlap, so that a voxel cannot belong to one of them alone",
                    expected="regions that exclude each other, such as csf, gm, wm or NCR, ED, ET",
                    remedy="Choose other regions (prepare.regions), or set predict.activation=sigmoid with a loss such "
                    "as loss.kind=bce+dice",
                )


def painting_order(scheme: LabelScheme, regions: Sequence[str]) -> list[tuple[int, int, int]]:
    """For each region: (how many others hold it, its row, the integer it paints), from large to small."""
    scheme.require_regions(regions)
    sets = [frozenset(scheme.values_of(region)) for region in regions]
    for i, first in enumerate(sets):
        for j, second in enumerate(sets):
            if i < j and first & second and not (first < second or second < first):
                raise LabelError(
                    f"regions {regions[i]} and {regions[j]} overlap without one holding the other",
                    expected="regions that are nested or exclude each other, such as WT, TC, ET or NCR, ED, ET",
                )
    order = []
    for row, members in enumerate(sets):
        finer = frozenset().union(*(other for other in sets if other < members))
        ordered = [value for name, value in scheme.labels.items() if value in members]
        value = next((value for value in ordered if value not in finer), ordered[0])
        order.append((sum(members < other for other in sets), row, value))
    return sorted(order)


def _painted_by_ancestors(
    scheme: LabelScheme, regions: Sequence[str], row: int, order: Sequence[tuple[int, int, int]]
) -> list[int]:
    members = frozenset(scheme.values_of(regions[row]))
    return [value for _, other, value in order if members < frozenset(scheme.values_of(regions[other]))]


_SAME_TISSUE = (("NCR", "NET", "NETC", "CC"), ("ED", "SNFH"))
"""Labels that schemes name differently, or do not tell apart, in the order in which they stand for each other."""


def convert_labels(array: npt.NDArray[np.integer], scheme: LabelScheme, target: LabelScheme) -> npt.NDArray[np.uint8]:
    """The same label map in the integers of another scheme, by the labels' names.

    NCR, NET, NETC and the cystic component CC stand for each other where the other scheme lacks one of them, and so do
    ED and SNFH; into a scheme of one tumour label goes the whole tumour (no resection cavity).

    Args:
        array: (...) integers of ``scheme``.
        scheme: their meaning.
        target: the scheme of the result.

    Raises:
        LabelError: values outside ``scheme``, or a label that is present and that ``target`` cannot say.
    """
    unknown = scheme.unknown_values(array)
    if unknown:
        raise LabelError(
            f"label values outside the scheme {scheme.name}", found=name_some(unknown), expected=scheme.describe()
        )
    table = np.zeros(max(scheme.labels.values()) + 1, dtype=np.uint8)
    present = set(distinct(array))
    for name, value in scheme.labels.items():
        counterpart = _counterpart(name, scheme, target)
        if counterpart is not None:
            table[value] = counterpart
        elif value in present:
            raise LabelError(
                f"the label {name} of scheme {scheme.name} has no counterpart in scheme {target.name}",
                expected=target.describe(),
            )
    converted: npt.NDArray[np.uint8] = table[array]
    return converted


def _counterpart(name: str, scheme: LabelScheme, target: LabelScheme) -> int | None:
    """The integer that says in ``target`` what the label ``name`` says in ``scheme``; None where none does."""
    if name in target.labels:
        return target.labels[name]
    for group in _SAME_TISSUE:
        if name in group:
            for other in group:
                if other in target.labels:
                    return target.labels[other]
    if set(target.labels) in ({"WT"}, {"tumour"}) and "tumour" in scheme.regions:
        return next(iter(target.labels.values())) if name in scheme.regions["tumour"] else 0
    return None
