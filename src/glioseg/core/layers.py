"""A mask for each region, made into one label map: which scheme they make, and which label a voxel has.

A voxel lies in some of the masks. It has the label that is a part of these regions and of no others; where the scheme
has no such label the masks contradict each other, and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from glioseg.core.labels import LabelScheme
from glioseg.core.schemes import GLIOMA_LABELS, SCHEMES, glioma_scheme, our_label_name
from glioseg.errors import LabelError, listed

LAYERS = frozenset({"WT", "TC", "tumour", *GLIOMA_LABELS})
"""The regions that masks of their own are read for."""
MOST_LAYERS = 8
_SAME: Mapping[str, str] = MappingProxyType({"SNFH": "ED", "NETC": "NCR"})
"""Names of BraTS 2024 -> those that earlier years have for the same."""
_FURTHER = ("NET", "NETC", "CC", "SNFH", "RC")
"""Labels that a glioma's masks tell apart only where one of them is called so."""


def names_of_layers(names: Sequence[str], scheme: LabelScheme | None) -> tuple[str, ...]:
    """What masks called so show: beside oedema ``tumour`` is its core, unless the user's scheme knows all names."""
    theirs = {} if scheme is None else {our_label_name(name): name for name in (*scheme.labels, *scheme.regions)}
    if theirs.keys() >= set(names):
        return tuple(theirs[name] for name in names)
    ours = [_SAME[name] if _SAME.get(name, name) not in names else name for name in names]
    return tuple("TC" if name == "tumour" and "ED" in ours else name for name in ours)


def scheme_of_layers(names: Sequence[str]) -> LabelScheme:
    """The scheme that masks of these regions of a glioma make: labels that no mask tells apart are one.

    Args:
        names: of the masks, each once, as ``names_of_layers`` gives them, all among ``LAYERS``.
    """
    if tuple(names) == ("tumour",):
        return SCHEMES["binary"]
    further = [name for name in _FURTHER if name in names]
    core = ("NCR",) if "NCR" in names or not {"NET", "CC"} & set(names) else ()
    base = glioma_scheme("masks", {name: at for at, name in enumerate((*core, "ED", "ET", *further), start=1)}, "")
    members = {name: _members(name, names, base) for name in names}
    groups: dict[tuple[bool, ...], list[str]] = {}
    for label in base.labels:
        groups.setdefault(tuple(label in inside for inside in members.values()), []).append(label)
    kept = [group for code, group in groups.items() if any(code)]
    same = {tuple(inside): name for name, inside in reversed([*base.regions.items(), *members.items()])}
    labels = {same.get(tuple(group), "+".join(group)): value for value, group in enumerate(kept, start=1)}
    labels_kept = {label for group in kept for label in group}
    tumour = [label for label in base.regions["tumour"] if label in labels_kept]
    regions = {
        region: tuple(label for label, group in zip(labels, kept, strict=True) if set(group) <= set(inside))
        for region, inside in {**members, **base.regions, "tumour": tumour}.items()
        if inside
        and set(inside) <= labels_kept
        and all(set(group) <= set(inside) or not set(group) & set(inside) for group in kept)
    }
    usual = next((scheme for scheme in SCHEMES.values() if scheme.labels == labels and scheme.regions == regions), None)
    return usual or LabelScheme("masks", labels, regions, tuple(names), "a mask for each region")


def compose(masks: Sequence[npt.NDArray[np.bool_]], names: Sequence[str], scheme: LabelScheme) -> npt.NDArray[np.uint8]:
    """The label map of masks of regions.

    Args:
        masks: (...) each, whether a voxel is inside; at most ``MOST_LAYERS``.
        names: the region of each, as ``scheme`` calls it.
        scheme: the meaning of the integers that come out.

    Returns:
        (...) uint8, integers of ``scheme``.

    Raises:
        LabelError: regions that the scheme does not have; labels of it that the masks do not tell apart; voxels that
            lie in regions that no label is a part of together.
    """
    values = _values_by_code(names, scheme)
    codes = np.zeros(masks[0].shape, dtype=np.uint8)
    for bit, mask in enumerate(masks):
        codes[mask] |= np.uint8(1 << bit)
    counts = np.bincount(codes.ravel(), minlength=1 << len(names))
    for code in np.flatnonzero(counts).tolist():
        if code not in values:
            raise LabelError(
                "the masks of the regions contradict each other",
                found=f"{counts[code]:,} voxels {_place(code, names)}",
                expected="voxels in none of them, or "
                + ", or ".join(f"{_place(known, names)}" for known in values if known),
                remedy="Mend the masks; one that holds others has to be called WT or TC",
            )
    table = np.zeros(1 << len(names), dtype=np.uint8)
    table[list(values)] = list(values.values())
    return table[codes]


def _values_by_code(names: Sequence[str], scheme: LabelScheme) -> dict[int, int]:
    """Bits of the masks that a voxel lies in -> its integer."""
    members = [_members(name, names, scheme) for name in names]
    labels: dict[int, str] = {}
    for label in scheme.labels:
        code = sum(1 << bit for bit, member in enumerate(members) if label in member)
        if code in labels:
            raise LabelError(
                f"the masks do not tell {labels[code]} and {label} of the scheme {scheme.name} apart",
                found=f"masks of {', '.join(names)}",
                remedy="Leave `--scheme` and `--labels` out, or add a mask that does",
            )
        if code:
            labels[code] = label
    return {0: 0} | {code: scheme.labels[label] for code, label in labels.items()}


def _members(name: str, names: Sequence[str], scheme: LabelScheme) -> tuple[str, ...]:
    """The labels within a mask; NCR is without NET where NET has a mask of its own, as labels have it."""
    if name in scheme.labels and (name not in scheme.regions or set(scheme.regions[name]) <= set(names)):
        return (name,)
    if name in scheme.regions:
        return scheme.regions[name]
    raise LabelError(
        f"the label scheme {scheme.name} has no region {name}", expected=f"some of {', '.join(scheme.regions)}"
    )


def _place(code: int, names: Sequence[str]) -> str:
    """``in WT and TC but not in ET``."""
    inside = [name for bit, name in enumerate(names) if code >> bit & 1]
    outside = [name for bit, name in enumerate(names) if not code >> bit & 1]
    return f"in {listed(inside)}" + (f" but not in {listed(outside, 'or')}" if outside else "")
