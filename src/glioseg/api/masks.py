"""Masks from Python: of any origin, scored against one reference or several; of one patient, compared over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from glioseg.api.addresses import takes_addresses
from glioseg.api.common import Progress, StrPath, optional_path, reporter_of, require_list
from glioseg.api.data import folder_of
from glioseg.api.runs import convention_named, require_metrics
from glioseg.core import Cohort, LabelScheme
from glioseg.errors import OptionError
from glioseg.io.in_memory import Scan, label_map_of
from glioseg.runs.read import Data

if TYPE_CHECKING:
    from glioseg.evaluation.metric import RegionMetric
    from glioseg.runs.score import ScoreOptions, ScoreResult
    from glioseg.runs.timeline import TimelineResult

AnyMasks: TypeAlias = "Scan | Data | Cohort | Mapping[str, StrPath | Data | Cohort]"
"""A mask, a folder of masks or what ``glioseg.read`` gave, or several of these by name."""


@takes_addresses
def score(
    reference: AnyMasks,
    prediction: AnyMasks,
    *,
    scheme: str | LabelScheme | None = None,
    prediction_scheme: str | LabelScheme | None = None,
    regions: Sequence[str] | None = None,
    consensus: str = "majority",
    resample: bool = False,
    metrics: Sequence[RegionMetric] = (),
    convention: str | None = None,
    pixels: bool = False,
    out: StrPath | None = None,
    progress: Progress | None = None,
) -> ScoreResult:
    """Score masks of any origin: two masks, or folders of them, matched by the names of the cases.

    Args:
        reference: the expert's: a path, nibabel image, array or label map; a folder of masks, or a data set with masks,
            be it read already; several raters' as ``{"A": "drawn-by-a", "B": "drawn-by-b"}``.
        prediction: of any origin, likewise; several methods as ``{"ours": "masks", "nnU-Net": "nnunet-out"}``, which
            are then compared on the same patients. A case that a folder lacks counts as missed.
        scheme: the meaning of their integers; None for what the files say, else for masks of 0 and 1, or 0 and 255.
        prediction_scheme: that of the predictions, where it is another and files beside them do not say it.
        regions: to be scored; None for those of the scheme.
        consensus: what several raters are made into: ``majority`` or ``staple``.
        resample: bring masks on another grid to that of the reference, by the nearest voxel.
        metrics: of your own, besides those that there are.
        convention: whose rules hold for empty masks and lesions: ``brats2023``, ``brats2023-men``, ``brats2023-met``,
            ``nnunet``, ``monai``, ``metrics-reloaded``; None for ours.
        pixels: measure distances in pixels where millimetres are unknown.
        out: of folders, where ``score.json``, ``score.html``, figures and tables go; None writes nothing.
        progress: told how many cases are done.

    Returns:
        ``.table()`` and ``.cases()`` are DataFrames, ``.to_json()`` is what ``score --json`` prints and, of one method,
        has the shape of ``evaluate --json``; ``.comparison`` of several methods, ``.raters`` of several references.
        Volumes are in ml where the spacing is known, else in voxels.

    Raises:
        GeometryError: masks on different grids.
        LabelError: values outside the scheme, fractions, or integers whose meaning is not known.
        LayoutError: a folder without masks, or masks of cases that have no reference.
        OptionError: a folder against a single mask; a region, scheme, consensus or convention that there is not.
        ScoreError: several masks that cannot be scored; a metric of your own that has the name of another.
    """
    from glioseg.evaluation.protocol import EvaluateOptions
    from glioseg.runs.score import score_folders, score_pair

    require_list("regions", regions, '["WT", "ET"]')
    require_metrics(metrics)
    evaluate = EvaluateOptions().under(convention_named(convention) or "glioseg", pixels=pixels)
    options = replace(_options(regions, prediction_scheme, consensus, resample, metrics), evaluate=evaluate)
    are_folders = (_are_folders(reference), _are_folders(prediction))
    if are_folders == (True, True):
        references = {name: _data(folder, scheme) for name, folder in _by_name(reference, "reference").items()}
        predictions = {name: _path(folder) for name, folder in _by_name(prediction, None).items()}
        return score_folders(references, predictions, options, optional_path(out), reporter_of(progress))
    if any(are_folders):
        raise OptionError(
            "a folder of masks is scored against a folder, and a mask against a mask",
            found="a folder and a single mask",
            remedy="Name two folders, or two masks",
        )
    if out is not None:
        raise OptionError(
            "the page is of folders of masks", found=f"out={str(out)!r} of a single mask", remedy="Leave out away"
        )
    reference_map = label_map_of(reference, scheme)
    return score_pair(reference_map, label_map_of(prediction, prediction_scheme or scheme), options)


def _options(
    regions: Sequence[str] | None,
    prediction_scheme: str | LabelScheme | None,
    consensus: str,
    resample: bool,
    metrics: Sequence[RegionMetric],
) -> ScoreOptions:
    from glioseg.evaluation.raters import CONSENSUS
    from glioseg.runs.score import ScoreOptions

    rule = next((name for name in CONSENSUS if name == consensus), None)
    if rule is None:
        raise OptionError("there is no such consensus", found=consensus, expected=f"one of {', '.join(CONSENSUS)}")
    return ScoreOptions(
        regions=None if regions is None else tuple(regions),
        prediction_scheme=prediction_scheme,
        resample=resample,
        consensus=rule,
        metrics=tuple(metrics),
    )


def _are_folders(masks: AnyMasks) -> bool:
    if isinstance(masks, Mapping | Data | Cohort):
        return True
    return isinstance(masks, str | PathLike) and Path(masks).is_dir()


def _by_name(masks: Any, alone: str | None) -> dict[str, Any]:  # noqa: ANN401 - folders, as score takes them
    """Name -> folder; a single one is called ``alone``, or after itself."""
    if not isinstance(masks, Mapping):
        return {alone or _path(masks).absolute().name: masks}
    if not masks:
        raise OptionError("there is no folder of masks", expected='such as {"A": "masks-a"}')
    return dict(masks)


def _data(folder: StrPath | Data | Cohort, scheme: str | LabelScheme | None) -> Data:
    data = folder_of(folder)
    return data if scheme is None else replace(data, scheme=scheme)


def _path(folder: StrPath | Data | Cohort) -> Path:
    return folder_of(folder).path


@takes_addresses
def timeline(
    *cases: StrPath,
    dates: Sequence[str] = (),
    scans: Sequence[StrPath] = (),
    out: StrPath = "timeline",
    progress: Progress | None = None,
) -> TimelineResult:
    """Compare the time points of a patient: volumes and diameters, and their change.

    Args:
        cases: what ``predict_files`` wrote of each: a folder with it, its JSON file or its mask.
        dates: of each case, as ``2024-01-31``, in that order; empty for what the scans say, else the order alone. Days
            are counted from the first; no date is written.
        scans: of each case, likewise, for the picture: a file, or a folder or DICOM study with one case; empty for
            those that were predicted, where these are not DICOM. The first is registered to the last.
        out: where ``timeline.html``, ``timeline.json`` and ``timeline.csv`` go.
        progress: told what is to be borne in mind.

    Returns:
        ``.table()``, a DataFrame; ``.points``; ``.facts``, as the JSON file has them; ``.page``.

    Raises:
        FileError: no prediction there.
        OptionError: fewer than two, dates that do not fit, other regions, pictures.
    """
    from glioseg.runs.timeline import timeline as compared

    require_list("dates", dates, '["2024-01-31", "2024-04-30"]')
    require_list("scans", scans, '["scans/first", "scans/second"]')
    return compared(
        [Path(case) for case in cases],
        Path(out),
        dates=dates,
        scans=[Path(scan) for scan in scans],
        reporter=reporter_of(progress),
    )
