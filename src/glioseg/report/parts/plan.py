"""Which few slices a cohort's report shows, so that reading them costs little whatever the size of the cohort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

import numpy as np

from glioseg.cohorts.description import CohortDescription, DoubtfulMask, DuplicateGroup, GalleryKind
from glioseg.cohorts.summary import CaseSummary
from glioseg.core import LabelScheme
from glioseg.report import style
from glioseg.report.figures.views import PLANES, Plane
from glioseg.report.pixels import SliceRequest, main_modality

_T = TypeVar("_T")
_LETTERS: Mapping[Plane, str] = {"axial": "SI", "coronal": "AP", "sagittal": "RL"}
_MOST: Mapping[GalleryKind, int] = {"positive": 6, "negative": 4, "dark": 24}
_MOST_PLAIN = 12
_MOST_SHEETS = 3
_NARROW = 3
_MOST_PER_CLASS = 12
_MOST_CLASSES = 10
_MOST_COPIES = 12
_MOST_DOUBTFUL = 6
_MONTAGE = 18
_FEWEST_SLICES = 8
_SHOWS_LITTLE = 0.02
_MOST_COPIES_OF_VOLUMES = 3


@dataclass(frozen=True)
class Plan:
    """The slices that the sheets of a report need.

    Args:
        gallery: kind -> slices, one modality.
        plain: middle slices, for cohorts without a gallery of diagnoses.
        planes: the three slices of each case that is shown in three planes.
        modalities: slices in every modality.
        montage: slices through one case, from the first to the last that shows something; none of pictures.
        classes: class -> pictures.
        copies: a group of duplicates and two of its members.
        doubtful: masks that cannot be right, and their slice.
    """

    gallery: Mapping[GalleryKind, tuple[SliceRequest, ...]]
    plain: tuple[SliceRequest, ...]
    planes: tuple[tuple[SliceRequest, ...], ...]
    modalities: tuple[SliceRequest, ...]
    montage: tuple[SliceRequest, ...]
    classes: Mapping[str, tuple[SliceRequest, ...]]
    copies: tuple[tuple[DuplicateGroup, tuple[SliceRequest, ...]], ...]
    doubtful: tuple[tuple[DoubtfulMask, SliceRequest], ...]

    @property
    def requests(self) -> tuple[SliceRequest, ...]:
        """Every slice, once."""
        groups: list[Iterable[SliceRequest]] = [*self.gallery.values(), self.plain, *self.planes, self.modalities]
        groups.append(self.montage)
        groups += [*self.classes.values(), *(pair for _, pair in self.copies)]
        groups.append(request for _, request in self.doubtful)
        return tuple(dict.fromkeys(request for group in groups for request in group))


def plan(about: CohortDescription) -> Plan:
    """Choose the slices from what the description found worth showing."""
    cases = {case.case: case for case in about.cases}
    gallery = {
        kind: tuple(
            _one_modality(cases[slice_.case], slice_.z)
            for slice_ in [item for item in about.gallery if item.kind == kind and item.case in cases][:most]
        )
        for kind, most in _MOST.items()
    }
    gallery["dark"] = _dark_slices(about, cases, gallery)
    classes: Mapping[str, tuple[SliceRequest, ...]] = {}
    if about.categories:
        gallery, classes = {"dark": gallery["dark"]}, _class_pictures(about)
    plain = () if about.categories or gallery.get("positive") else _middle_slices(about)
    complete_first = sorted(gallery.get("positive") or plain, key=lambda request: -len(cases[request.case].modalities))
    in_all_modalities = complete_first[: _MOST_SHEETS if len(about.modalities) > _NARROW else _MOST_SHEETS + 1]
    several = len(about.modalities) > 1 or len(regions_of(about.scheme)) > 1
    return Plan(
        gallery=gallery,
        plain=plain,
        planes=tuple(_three_planes(cases[view.case], view.index) for view in about.views[:_MOST_SHEETS]),
        modalities=tuple(SliceRequest(request.case, request.index) for request in in_all_modalities)
        if several and not classes
        else (),
        montage=_montage(about, [cases[request.case] for request in complete_first]),
        classes=classes,
        copies=_copies(about, cases),
        doubtful=tuple(
            (mask, _one_modality(cases[mask.case], mask.z))
            for mask in _spread(about.doubtful_masks, _MOST_DOUBTFUL)
            if cases[mask.case].modalities
        ),
    )


def _one_modality(case: CaseSummary, z: int) -> SliceRequest:
    return SliceRequest(case.case, z, 2, main_modality(case.modalities))


def _montage(about: CohortDescription, shown: Sequence[CaseSummary]) -> tuple[SliceRequest, ...]:
    """Slices through the first of the cases that are shown anyway which has enough of them."""
    case = next((case for case in shown if case.n_slices >= _FEWEST_SLICES and case.modalities), None)
    if case is None or about.categories:
        return ()
    seen = np.mean([case.slices.seen[name] for name in main_modality(case.modalities)], axis=0)
    shown_places = [z for z in range(case.n_slices) if seen[z] >= _SHOWS_LITTLE]
    first, last = (shown_places[0], shown_places[-1]) if shown_places else (0, case.n_slices - 1)
    return tuple(_one_modality(case, z) for z in _spread(range(first, last + 1), _MONTAGE))


def _dark_slices(
    about: CohortDescription, cases: Mapping[str, CaseSummary], gallery: Mapping[GalleryKind, tuple[SliceRequest, ...]]
) -> tuple[SliceRequest, ...]:
    """Slices that the filter removes: all that show tumour, then others evenly, up to the most that are shown.

    Of volumes, only those of cases that are read anyway: a whole file for a black slice would be dear.
    """
    read = {request.case for chosen in gallery.values() for request in chosen}
    removed = [
        (cases[name], z)
        for name, slices in about.dark_slices.items()
        if name in cases and (name in read or not cases[name].has_mm)
        for z in slices
    ]
    positive = [(case, z) for case, z in removed if case.slices.tumour_voxels[z : z + 1].any()]
    negative = [(case, z) for case, z in removed if not case.slices.tumour_voxels[z : z + 1].any()]
    most = _MOST["dark"]
    chosen = _spread(positive, most)
    chosen += _spread(negative, most - len(chosen))
    return tuple(_one_modality(case, z) for case, z in chosen)


def _middle_slices(about: CohortDescription) -> tuple[SliceRequest, ...]:
    usable = [case for case in about.cases if case.modalities and case.n_slices]
    return tuple(_one_modality(case, case.n_slices // 2) for case in _spread(usable, _MOST_PLAIN))


def _class_pictures(about: CohortDescription) -> Mapping[str, tuple[SliceRequest, ...]]:
    chosen = {}
    for name in list(about.categories)[:_MOST_CLASSES]:
        of_class = [case for case in about.cases if case.category == name and case.modalities and case.n_slices]
        chosen[name] = tuple(_one_modality(case, case.n_slices // 2) for case in _spread(of_class, _MOST_PER_CLASS))
    return chosen


def _spread(items: Sequence[_T], most: int) -> list[_T]:
    """At most ``most`` of them, evenly from first to last."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / max(most - 1, 1))] for place in range(most)]


def _three_planes(case: CaseSummary, index: tuple[int, int, int]) -> tuple[SliceRequest, ...]:
    """Axial, coronal and sagittal slices through a voxel; none where the orientation is unknown."""
    if case.orientation is None:
        return ()
    axes = [next(axis for axis, letter in enumerate(case.orientation) if letter in _LETTERS[plane]) for plane in PLANES]
    return tuple(SliceRequest(case.case, index[axis], axis, main_modality(case.modalities)) for axis in axes)


def _copies(
    about: CohortDescription, cases: Mapping[str, CaseSummary]
) -> tuple[tuple[DuplicateGroup, tuple[SliceRequest, ...]], ...]:
    """Two members of each group, of different classes where the group has them."""
    pictures = all(case.n_slices == 1 for case in about.cases if case.shape is not None)
    most = _MOST_COPIES if pictures else _MOST_COPIES_OF_VOLUMES
    chosen = []
    for group in _telling_groups(about.duplicates, most):
        first = cases[group.cases[0]]
        other = next(
            (cases[name] for name in group.cases if cases[name].category != first.category), cases[group.cases[1]]
        )
        chosen.append((group, tuple(_one_modality(case, case.n_slices // 2) for case in (first, other))))
    return tuple(chosen)


def _telling_groups(groups: Sequence[DuplicateGroup], most: int) -> list[DuplicateGroup]:
    """Groups across classes first, then exact and near copies in turn, so that both kinds are seen."""
    across = [group for group in groups if len(group.categories) > 1]
    within = [group for group in groups if len(group.categories) < 2]
    exact, near = ([group for group in within if group.kind == kind] for kind in ("exact", "near"))
    mixed = [group for pair in zip_longest(exact, near) for group in pair if group is not None]
    return (across + mixed)[:most]


def regions_of(scheme: LabelScheme | None) -> Mapping[str, tuple[int, ...]]:
    """The scored regions and the label values they are the union of."""
    return {} if scheme is None else {name: scheme.values_of(name) for name in scheme.default_regions}


def colours_in(scheme: LabelScheme) -> Mapping[str, str]:
    """The colour of every label and region of a scheme, by name: the same in all figures, and a label's no region's."""
    places: dict[str, int] = {}
    for name in (*scheme.labels, *scheme.regions):
        places.setdefault(name.casefold(), len(places))
    return {name: style.region_colour(name, places[name.casefold()]) for name in (*scheme.labels, *scheme.regions)}
