"""Cases that show the same: copies of pictures and of patients, exact or re-encoded, resized, cropped or mirrored.

A copy on both sides of a split makes every figure too good, and the one public set of pictures that everybody uses is
full of them. Three signs are looked for:

- *exact*: equal decoded pixels;
- *shared slices*: two stacks of different patients with an equal slice that shows something;
- *near*: thumbnails, cropped to what is not dark, correlate above a bound. Pairs are proposed by a 64-bit difference
  hash. Pictures are compared as they are and mirrored, and shifted and stretched a little, since crops differ;
  volumes after their local mean is taken off, since all heads have the same outline.

The bounds come from real scans. Pictures (200 of a published set, which hold 29 groups of copies, each looked at):
copies reach 0.97 or more once aligned, the most similar different pictures 0.89; hashes of copies differ in 8 bits at
most. Volumes: different patients stay below 0.68 (66 LGG, 13 BraTS, 9 whole-head T1 and 12 phantom patients); copies
with 1 % noise, a changed contrast, fewer grey levels or a crop in the plane reach 0.86, nearly all of them 0.95. A copy
that lost its outer slices may stay below the bound: as long as one slice is untouched, that one gives it away.

Constant images never count, and cases of one patient are not compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from glioseg.cohorts.checks.alignment import PICTURE_BOUND, WORTH_ALIGNING, picture_correlations
from glioseg.cohorts.checks.fingerprints import PICTURE, difference_hash
from glioseg.cohorts.description import DuplicateGroup
from glioseg.cohorts.summary import Fingerprint

VOLUME_BOUND = 0.85
"""The same for volumes, over 24 x 32 x 32 voxels less their local mean."""

HASH_BITS = 10
"""Bits of 64 in which the hashes of two near duplicates may differ."""

_PICTURES_AT_ONCE = 1024
_VOLUMES_AT_ONCE = 256
_ALIGNED_AT_ONCE = 256


# --- which cases show the same ----------------------------------------------------------------------------------------


def group_fingerprints(
    prints: Sequence[Fingerprint], categories: Mapping[str, str | None] | None = None
) -> tuple[DuplicateGroup, ...]:
    """Groups of two or more cases that show the same, in the order of their first case.

    Args:
        prints: one per case.
        categories: case id -> class, for cohorts with classes.
    """
    joined = _Joined(len(prints))
    for members in _equal(prints):
        for other in members[1:]:
            joined.join(members[0], other, 1.0)
    for is_volume in (False, True):
        _join_near(prints, joined, is_volume=is_volume)
    return tuple(_group(prints, members, joined, categories or {}) for members in joined.groups())


class _Joined:
    """Disjoint sets of indices, with the lowest correlation by which a set was joined."""

    def __init__(self, n: int) -> None:
        self._above = list(range(n))
        self._lowest = [1.0] * n

    def root(self, index: int) -> int:
        while self._above[index] != index:
            self._above[index] = self._above[self._above[index]]
            index = self._above[index]
        return index

    def join(self, index: int, other: int, correlation: float) -> None:
        first, second = sorted((self.root(index), self.root(other)))
        if first != second:
            self._above[second] = first
            self._lowest[first] = min(self._lowest[first], self._lowest[second], correlation)

    def lowest(self, index: int) -> float:
        return self._lowest[self.root(index)]

    def groups(self) -> list[list[int]]:
        members = defaultdict(list)
        for index in range(len(self._above)):
            members[self.root(index)].append(index)
        return [group for group in members.values() if len(group) > 1]


def _equal(prints: Sequence[Fingerprint]) -> Iterator[list[int]]:
    """Cases with the same content, then those that share a slice; of a patient's own cases only the first counts."""
    by_content: dict[bytes, list[int]] = defaultdict(list)
    by_slice: dict[int, list[int]] = defaultdict(list)
    for index, case_print in enumerate(prints):
        if case_print.content is not None:
            by_content[case_print.content].append(index)
        for digest in case_print.slices.tolist():
            by_slice[digest].append(index)
    for members in (*by_content.values(), *by_slice.values()):
        of_patients = {prints[index].patient: index for index in reversed(members)}
        if len(of_patients) > 1:
            yield sorted(of_patients.values())


def _join_near(prints: Sequence[Fingerprint], joined: _Joined, *, is_volume: bool) -> None:
    members, small = [], []
    for index, case_print in enumerate(prints):
        if case_print.thumbnail is not None and (case_print.thumbnail.ndim == 3) == is_volume:
            members.append(index)
            small.append(case_print.thumbnail)

    def may_be_joined(pair: _Pair) -> bool:
        first, second = members[pair.row], members[pair.column]
        return joined.root(first) != joined.root(second) and prints[first].patient != prints[second].patient

    hashes = np.array([prints[index].bits for index in members], dtype=np.uint64)
    pairs = filter(may_be_joined, _candidates(hashes, small, is_volume=is_volume))
    bound = VOLUME_BOUND if is_volume else PICTURE_BOUND
    for pair in pairs if is_volume else _aligned(pairs, small):
        if pair.correlation >= bound:
            joined.join(members[pair.row], members[pair.column], pair.correlation)


class _Pair(NamedTuple):
    """Two thumbnails, row < column, the second mirrored or not, and how they correlate."""

    row: int
    column: int
    flip: bool
    correlation: float


def _aligned(pairs: Iterator[_Pair], small: Sequence[npt.NDArray[np.uint8]]) -> Iterator[_Pair]:
    """The same pairs, as they correlate once one lies on the other."""
    while block := list(islice(pairs, _ALIGNED_AT_ONCE)):
        first = np.stack([small[pair.row] for pair in block])
        second = np.stack([_flipped(small[pair.column], pair.flip) for pair in block])
        for pair, correlation in zip(block, picture_correlations(first, second).tolist(), strict=True):
            yield pair._replace(correlation=correlation)


def _candidates(
    hashes: npt.NDArray[np.uint64], small: Sequence[npt.NDArray[np.uint8]], *, is_volume: bool
) -> Iterator[_Pair]:
    """Pairs whose hashes differ in few bits and that correlate well enough to be looked at more closely.

    Block against block, so that memory does not grow with the square of their number.
    """
    floor = VOLUME_BOUND if is_volume else WORTH_ALIGNING
    block = _VOLUMES_AT_ONCE if is_volume else _PICTURES_AT_ONCE
    starts = range(0, len(hashes), block)
    variants = [(False, hashes)]
    if not is_volume:
        variants.append(
            (True, np.array([difference_hash(_flipped(thumbnail, True)) for thumbnail in small], dtype=np.uint64))
        )
    for start in starts:
        rows = _unit_rows(small[start : start + block])
        for other in range(start, len(hashes), block):
            for flip, hashes_of_variant in variants:
                part = [_flipped(thumbnail, flip) for thumbnail in small[other : other + block]]
                apart = hashes[start : start + block, None] ^ hashes_of_variant[None, other : other + block]
                alike = np.bitwise_count(apart) <= HASH_BITS
                correlations = rows @ _unit_rows(part).T
                for row, column in np.argwhere(alike & (correlations >= floor)).tolist():
                    if start + row < other + column:
                        yield _Pair(start + row, other + column, flip, float(correlations[row, column]))


def _unit_rows(small: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
    """(n, m): each thumbnail as a vector of mean 0 and length 1; volumes less their local mean, pictures halved."""
    if small[0].ndim == 3:
        rows = np.stack([_detail(thumbnail).ravel() for thumbnail in small])
    else:
        half = PICTURE[0] // 2
        pictures = np.stack(small).astype(np.float32).reshape(len(small), half, 2, half, 2)
        rows = pictures.mean(axis=(2, 4)).reshape(len(small), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def _flipped(small: npt.NDArray[np.uint8], flip: bool) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(small[..., ::-1]) if flip else small


def _detail(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    grey = small.astype(np.float32)
    return np.asarray(grey - uniform_filter(grey, 5), dtype=np.float32)


def _group(
    prints: Sequence[Fingerprint], members: Sequence[int], joined: _Joined, categories: Mapping[str, str | None]
) -> DuplicateGroup:
    copies = [prints[index] for index in members]
    exact = len({member.content for member in copies}) == 1
    classes = {categories.get(member.case) for member in copies} - {None}
    return DuplicateGroup(
        cases=tuple(sorted(member.case for member in copies)),
        kind="exact" if exact else "near",
        correlation=joined.lowest(members[0]),
        categories=tuple(sorted(name for name in classes if name is not None)),
        patients=tuple(sorted({member.patient for member in copies})),
    )
