"""Cases that show the same: copies of pictures and of patients, exact or re-encoded, resized, cropped or mirrored.

A copy on both sides of a split makes every figure too good, and the one public set of pictures that everybody uses is
full of them. Three signs are looked for:

- *exact*: equal decoded pixels;
- *shared slices*: two stacks of different patients with an equal slice that shows something;
- *near*: thumbnails, cropped to what is not dark, correlate above a bound. Pairs are proposed by a 64-bit difference
  hash [1]_. Pictures are compared as they are and mirrored, and shifted and stretched a little, since crops differ;
  volumes after their local mean is taken off, since all heads have the same outline.

The bounds come from real scans. Pictures (200 of a published set, which hold 29 groups of copies, each looked at):
copies reach 0.97 or more once aligned, the most similar different pictures 0.89; hashes of copies differ in 8 bits at
most. Volumes: different patients stay below 0.67 (66 LGG, 13 BraTS, 9 whole-head T1 and 12 phantom patients), copies
with 1 % noise, a changed contrast, 60 % of the resolution, fewer grey levels or a crop reach 0.86, nearly all of them
0.95.

Constant images never count, and cases of one patient are not compared.

.. [1] Krawetz N. Kind of like that. The Hacker Factor Blog, 2013 (difference hash).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from scipy.ndimage import uniform_filter

from glioseg.cohorts.dark import visible
from glioseg.cohorts.describe import DuplicateGroup, Fingerprint
from glioseg.cohorts.measure import planes
from glioseg.cohorts.parallel import in_order, n_workers_for
from glioseg.core import Case, Cohort
from glioseg.errors import GliosegError
from glioseg.io import read_sources
from glioseg.io.raster import COLOURS

PICTURE_BOUND = 0.95
"""Correlation from which pictures are near duplicates, over 64 x 64 pixels, the best of small shifts and stretches."""

VOLUME_BOUND = 0.85
"""The same for volumes, over 24 x 32 x 32 voxels less their local mean."""

HASH_BITS = 10
"""Bits of 64 in which the hashes of two near duplicates may differ."""

_PICTURE = (64, 64)
_VOLUME = (24, 32, 32)
_MARGIN = 4
_WORTH_ALIGNING = 0.6
_SHOWS_SOMETHING = 0.05
_FIRST_CHOICES = ("flair", "t2f")
_BLOCK = 1024


def duplicate_groups(
    cohort: Cohort, *, n_workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> tuple[frozenset[str], ...]:
    """The sets of case ids that show the same and must stay together in a split.

    Reads every image. Where a ``CohortDescription`` is at hand its ``duplicates`` say the same at no cost. Cases that
    cannot be read are in no group.

    Args:
        cohort: pictures or volumes, with or without labels.
        n_workers: processes; None for one per processor.
        progress: called with (cases done, cases in all).
    """
    prints = []
    workers = n_workers_for(cohort, n_workers)
    for done, found in enumerate(in_order(_fingerprint_of, cohort.cases, n_workers=workers), start=1):
        prints.append(found)
        if progress is not None:
            progress(done, len(cohort.cases))
    return tuple(frozenset(group.cases) for group in group_fingerprints(prints))


def _fingerprint_of(case: Case) -> Fingerprint:
    found = read_sources(case.images)
    volumes = {name: planes(each.array) for name, each in found.items() if not isinstance(each, GliosegError)}
    return fingerprint(case.id, case.patient, volumes)


# --- what tells a case from others ------------------------------------------------------------------------------------


def fingerprint(case: str, patient: str, modalities: Mapping[str, npt.NDArray[Any]]) -> Fingerprint:
    """What ``group_fingerprints`` compares.

    Args:
        case: its id.
        patient: whose it is; cases of one patient are never compared.
        modalities: (Z, Y, X) each, those that could be read.
    """
    none = Fingerprint(case, patient, None, np.empty(0, dtype=np.uint64), None, 0)
    shape = next((voxels.shape for voxels in modalities.values()), None)
    distinct = _distinct([voxels for voxels in modalities.values() if voxels.shape == shape])
    if shape is None or not any(_is_varied(voxels) for voxels in distinct):
        return none
    digests = [_digest([voxels[z] for voxels in distinct]) for z in range(shape[0])]
    content = hashlib.sha256(b"".join(digests))
    content.update(repr(shape).encode())
    slices = np.empty(0, dtype=np.uint64)
    if shape[0] > 1:
        shown = visible(distinct[0], _SHOWS_SOMETHING).mean(axis=(1, 2)) >= _SHOWS_SOMETHING
        kept = [digests[z][:8] for z in np.flatnonzero(shown)]
        slices = np.unique(np.frombuffer(b"".join(kept), dtype=np.uint64))
    small = thumbnail(_shown(modalities, shape))
    if small is None:
        return none
    return Fingerprint(case, patient, content.digest(), slices, small, difference_hash(small))


def _distinct(volumes: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Without channels that repeat the first: a grey picture stored in colours equals its grey original."""
    return [voxels for row, voxels in enumerate(volumes) if row == 0 or not np.array_equal(voxels, volumes[0])]


def _is_varied(voxels: npt.NDArray[Any]) -> bool:
    low, high = np.fmin.reduce(voxels, axis=None), np.fmax.reduce(voxels, axis=None)  # NaN aside
    return bool(low < high)


def _digest(channels: Sequence[npt.NDArray[Any]]) -> bytes:
    """Of the values, whatever integer type the file gives them."""
    found = hashlib.sha256()  # processors have instructions for it
    for pixels in channels:
        narrow = pixels
        if pixels.dtype.kind in "iu" and pixels.dtype != np.uint8:
            low, high = int(pixels.min()), int(pixels.max())
            small = low >= 0 and high < 256
            narrow = pixels.astype(np.uint8 if small else np.int32)
        found.update(narrow.tobytes())
    return found.digest()


def _shown(modalities: Mapping[str, npt.NDArray[Any]], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The grey image to be compared: the mean of colours, FLAIR, which most sets have, or else the first modality."""
    fitting = {name: voxels for name, voxels in modalities.items() if voxels.shape == shape}
    if set(fitting) == set(COLOURS):
        return np.asarray(sum(voxels.astype(np.float32) for voxels in fitting.values()))
    name = next((name for name in _FIRST_CHOICES if name in fitting), next(iter(fitting)))
    found = fitting[name]
    return found if np.isfinite(found).all() else np.nan_to_num(found, posinf=0.0, neginf=0.0)


def thumbnail(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8] | None:
    """A small copy, cropped to what is brighter than 15 % of the bright parts; None where the image is constant.

    Args:
        grey: (Z, Y, X), finite; one slice gives (64, 64), more give (24, 32, 32).
    """
    low = float(grey.min())
    bright = float(np.percentile(grey[:, ::3, ::3], 99)) - low
    if bright <= 0:
        bright = float(grey.max()) - low
    if bright <= 0:
        return None
    inside = grey > low + 0.15 * bright
    rows = inside.mean(axis=2)
    box = (_extent(rows.mean(axis=1)), _extent(rows.mean(axis=0)), _extent(inside.mean(axis=0).mean(axis=0)))
    shape = (1, *_PICTURE) if grey.shape[0] == 1 else _VOLUME
    small = _averaged(_reduced(grey, box, shape), shape)
    bottom, top = float(small.min()), float(small.max())
    if top <= bottom:
        return None
    stretched = np.asarray(np.rint((small - bottom) * (255 / (top - bottom))), dtype=np.uint8)
    return stretched[0] if grey.shape[0] == 1 else stretched


def _extent(shares: npt.NDArray[np.float64]) -> slice:
    """From the first to the last plane that shows more than specks."""
    shown = np.flatnonzero(shares > 0.02)
    return slice(int(shown[0]), int(shown[-1]) + 1) if shown.size else slice(0, len(shares))


def _reduced(
    grey: npt.NDArray[Any], box: tuple[slice, slice, slice], shape: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    """The slices of the box, each of them cropped and brought to ``shape[1:]``; all of them still."""
    _, rows, columns = box
    corners = (columns.start, rows.start, columns.stop, rows.stop)
    slices = [
        Pillow.fromarray(pixels.astype(np.float32)).resize((shape[2], shape[1]), Pillow.Resampling.BOX, box=corners)
        for pixels in grey[box[0]]
    ]
    return np.stack([np.asarray(each) for each in slices])


def _averaged(array: npt.NDArray[np.float32], shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Every axis cut into equal parts, each the mean of what it covers, fractions of voxels included."""
    small = array
    for axis, n in enumerate(shape):
        if n != small.shape[axis]:
            small = np.moveaxis(np.tensordot(_parts(small.shape[axis], n), small, axes=(1, axis)), 0, axis)
    return np.asarray(small, dtype=np.float32)


def _parts(n_old: int, n_new: int) -> npt.NDArray[np.float32]:
    """(n_new, n_old) weights; each row sums to 1."""
    edges = np.linspace(0, n_old, n_new + 1)
    voxels = np.arange(n_old)
    covered = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
    return np.asarray(np.maximum(covered, 0) * (n_new / n_old), dtype=np.float32)


def difference_hash(small: npt.NDArray[np.uint8]) -> int:
    """64 bits: whether brightness rises from one part of a coarse grid to the next along X."""
    coarse = _averaged(small.astype(np.float32), (8, 9) if small.ndim == 2 else (4, 4, 5))
    return int.from_bytes(np.packbits(coarse[..., 1:] > coarse[..., :-1]).tobytes(), "big")


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

    def join(self, one: int, other: int, correlation: float) -> None:
        first, second = sorted((self.root(one), self.root(other)))
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
    for index, each in enumerate(prints):
        if each.content is not None:
            by_content[each.content].append(index)
        for digest in each.slices.tolist():
            by_slice[digest].append(index)
    for members in (*by_content.values(), *by_slice.values()):
        of_patients = {prints[index].patient: index for index in reversed(members)}
        if len(of_patients) > 1:
            yield sorted(of_patients.values())


def _join_near(prints: Sequence[Fingerprint], joined: _Joined, *, is_volume: bool) -> None:
    chosen = [
        index
        for index, each in enumerate(prints)
        if each.thumbnail is not None and (each.thumbnail.ndim == 3) == is_volume
    ]
    hashes = np.array([prints[index].bits for index in chosen], dtype=np.uint64)
    mirrored = hashes if is_volume else np.array([_mirrored_hash(prints[index]) for index in chosen], dtype=np.uint64)
    for row, column, flip in _candidates(hashes, mirrored):
        one, other = chosen[row], chosen[column]
        if joined.root(one) == joined.root(other) or prints[one].patient == prints[other].patient:
            continue
        first, second = prints[one].thumbnail, prints[other].thumbnail
        if first is None or second is None:
            continue
        found = volume_correlation(first, second) if is_volume else picture_correlation(first, _flipped(second, flip))
        if found >= (VOLUME_BOUND if is_volume else PICTURE_BOUND):
            joined.join(one, other, found)


def _candidates(hashes: npt.NDArray[np.uint64], mirrored: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int, bool]]:
    """Pairs (row < column) whose hashes differ in few bits, and whether it is the mirrored second that is alike."""
    for start in range(0, len(hashes), _BLOCK):
        rows = hashes[start : start + _BLOCK, None]
        for flip, others in ((False, hashes), (True, mirrored)):
            if flip and mirrored is hashes:
                continue
            alike = np.bitwise_count(rows ^ others[None, :]) <= HASH_BITS
            for row, column in np.argwhere(alike).tolist():
                if start + row < column:
                    yield start + row, column, flip


def _mirrored_hash(each: Fingerprint) -> int:
    return 0 if each.thumbnail is None else difference_hash(_flipped(each.thumbnail, True))


def _flipped(small: npt.NDArray[np.uint8], flip: bool) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(small[..., ::-1]) if flip else small


def volume_correlation(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Pearson's r of two volume thumbnails less their local means."""
    return _pearson(_detail(one), _detail(other))


def _detail(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    grey = small.astype(np.float32)
    return np.asarray(grey - uniform_filter(grey, 5), dtype=np.float32)


def picture_correlation(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """The highest Pearson's r of two (64, 64) thumbnails when the second is shifted by up to 8 pixels and stretched or
    shrunk by up to a quarter along each axis; a climb from where they are, ended once it reaches the bound.
    """
    first, second = one.astype(np.float32), other.astype(np.float32)
    start = _pearson(first, second)
    if start >= PICTURE_BOUND or start < _WORTH_ALIGNING:
        return start
    inner = first[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    best, place, step = start, np.zeros(4), np.array([0.08, 4.0, 0.08, 4.0])
    while step[1] >= 0.25 and best < PICTURE_BOUND:
        moved = False
        for move in np.concatenate([np.diag(step), -np.diag(step)]):
            candidate = place + move
            if np.abs(candidate[[0, 2]]).max() > 0.25 or np.abs(candidate[[1, 3]]).max() > 8:
                continue
            rows, columns = _warp(candidate[0], candidate[1]), _warp(candidate[2], candidate[3])
            found = _pearson(inner, np.asarray(rows @ second @ columns.T, dtype=np.float32))
            if found > best + 1e-4:
                best, place, moved = found, candidate, True
        if not moved:
            step = step / 2
    return best


def _warp(stretch: float, shift: float) -> npt.NDArray[np.float32]:
    """(inner, 64) weights that resample an axis linearly, its middle moved by ``shift`` pixels."""
    n = _PICTURE[0]
    middle = (n - 1) / 2
    wanted = np.arange(_MARGIN, n - _MARGIN)
    places = np.clip((wanted - middle) * (1 + stretch) + middle + shift, 0, n - 1)
    below = np.minimum(places.astype(np.intp), n - 2)
    rows = np.arange(len(wanted))
    table = np.zeros((len(wanted), n), dtype=np.float32)
    table[rows, below] = 1 - (places - below)
    table[rows, below + 1] = places - below
    return table


def _pearson(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    first, second = one - one.mean(), other - other.mean()
    norm = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(np.vdot(first, second)) / norm if norm > 0 else 0.0


def _group(
    prints: Sequence[Fingerprint], members: Sequence[int], joined: _Joined, categories: Mapping[str, str | None]
) -> DuplicateGroup:
    chosen = [prints[index] for index in members]
    exact = len({each.content for each in chosen}) == 1
    classes = {categories.get(each.case) for each in chosen} - {None}
    return DuplicateGroup(
        cases=tuple(sorted(each.case for each in chosen)),
        kind="exact" if exact else "near",
        correlation=joined.lowest(members[0]),
        categories=tuple(sorted(name for name in classes if name is not None)),
        patients=tuple(sorted({each.patient for each in chosen})),
    )
