"""What a reader of a data set's layout is.

Facts that mean the same have the same name whatever the layout: ``age`` (years), ``sex`` (F, M), ``survival_days``,
``death`` (0, 1), ``grade`` (HGG, LGG or II, III, as the publisher grades), ``site`` (hospital or scanner), ``part``
(train, val, test, where the publisher divides the cases), ``n_slices``, ``first_slice``, ``last_slice``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from glioseg.cohorts.reading.listing import Listing, MaskPattern
from glioseg.core import Cohort, LabelScheme


@dataclass(frozen=True)
class ReadOptions:
    """What the user says of the data that the files leave open.

    Args:
        scheme: the label scheme; None lets the reader decide where it is certain.
        modalities: names of the channels in file order, for layouts that do not state them; None for the default.
        masks: which files are masks; None where their names say it.
        series: of DICOM, modality -> the series that shows it, by its number in the table of series.
        keep_ids: of DICOM, whether cases are called by the identifiers of their patients.
        left_out: files that are no part of the data, by their paths from the folder.
    """

    scheme: LabelScheme | None = None
    modalities: tuple[str, ...] | None = None
    masks: MaskPattern | None = None
    series: Mapping[str, str] = field(default_factory=dict)
    keep_ids: bool = False
    left_out: frozenset[Path] = frozenset()


@dataclass(frozen=True)
class Layout:
    """A way in which a publisher lays out a data set.

    Args:
        name: what ``--layout`` calls it.
        needs: what it needs to be recognised, one line, for help and errors.
        match: the listing -> why it is this layout, in words, or None. Looks at names only (and at small tables), so
            that it costs nothing and works at whatever level the user points to.
        read: the listing -> the cohort. Reads tables and, where it must, headers; pixels of a few files alone, where
            nothing else tells what they mean. Raises LayoutError where the listing lacks what the layout needs.
        spans_folders: the publisher lays out in several folders what looks like a data set in each of them, so that it
            is looked for in the whole before several data sets are spoken of.
        match_images: as ``match``, of scans without any masks, which are good for prediction: asked once no layout
            matches. None where ``match`` needs no masks, or where the layout cannot do without.
        takes_masks: whether the user may say which files are masks (``listing.masks``).
        hides_names: whether names of files and folders may say who the patients are, so that nothing repeats them
            unless ``ReadOptions.keep_ids`` is set.
    """

    name: str
    needs: str
    match: Callable[[Listing], str | None]
    read: Callable[[Listing, ReadOptions], Cohort]
    spans_folders: bool = False
    match_images: Callable[[Listing], str | None] | None = None
    takes_masks: bool = False
    hides_names: bool = False
