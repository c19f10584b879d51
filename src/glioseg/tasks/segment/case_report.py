"""The report of one case: the overlay, and of volumes a page as HTML and as PDF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from glioseg.core import Image, LabelMap
from glioseg.evaluation.diameters import Diameters
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.ensemble import averaged_options
from glioseg.io.files import replacing
from glioseg.preparation.options import PrepareOptions
from glioseg.report.case import CaseReport, write_case_page, write_case_pdf
from glioseg.report.figures.diameters import diameters_figure
from glioseg.report.figures.render import draw
from glioseg.report.parts.words import amount
from glioseg.report.prediction import overlay_figure
from glioseg.report.predictions import PredictedCase
from glioseg.tasks.predicted import network_cards

_ENDINGS = (".png", ".html", ".pdf")


@dataclass(frozen=True, eq=False)
class ReportedCase:
    """What a report is made of.

    Args:
        name: of the case.
        image: (C, X, Y, Z), what the networks were shown.
        labels: the mask, on the same grid: theirs, or one that a person has corrected.
        regions: that were predicted.
        diameters: of the mask; None of pictures.
        facts: what the JSON file of the case says, volumes of this mask among it.
        infos: of the networks.
    """

    name: str
    image: Image
    labels: LabelMap
    regions: Sequence[str]
    diameters: Diameters | None
    facts: Mapping[str, Any]
    infos: Sequence[BundleInfo]


def report_files(stem: str) -> list[str]:
    """Names of all files that the report of a case may have."""
    return [f"{stem}{ending}" for ending in _ENDINGS]


def write_report(case: ReportedCase, folder: Path, stem: str) -> list[str]:
    """Write ``<stem>.png``, which shows the mask on the scan, and of a volume ``<stem>.html`` and ``<stem>.pdf``.

    Pictures, which come by the thousand, are shown together on the page of all predictions.

    Returns:
        the names of the files.

    Raises:
        FileError: one of them cannot be written.
    """
    volumes = case.facts["volumes"]
    words = [f"{region} {amount(volumes[region], volumes['unit'])}" for region in case.regions]
    overlay = draw(overlay_figure(case.name, case.image, case.labels, case.regions, words))
    picture = folder / f"{stem}.png"
    with replacing(picture) as temporary:
        Pillow.fromarray(overlay).save(temporary, compress_level=3)
    if not case.image.grid.has_mm:
        return [picture.name]
    measured = None
    if case.diameters is not None and case.diameters.lesions:
        measured = draw(diameters_figure(case.image, case.labels, case.regions, case.diameters))
    report = CaseReport(
        PredictedCase(case.name, case.facts, picture),
        {name: tuple(case.labels.scheme.regions[name]) for name in case.regions},
        network_cards(case.infos),
        (*_made_ready(case.facts), *done_words([info.prepare for info in case.infos]), *_left_out(case)),
        overlay,
        measured,
    )
    page = write_case_page(report, folder / f"{stem}.html")
    return [picture.name, page.name, write_case_pdf(report, folder / f"{stem}.pdf").name]


def _made_ready(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What was done to the scans before all else: registered, the skull removed."""
    return tuple(f"{words[0].upper()}{words[1:]}." for words in facts.get("ready", {}).get("words", ()))


def _left_out(case: ReportedCase) -> Iterator[str]:
    """Which pieces of what the networks marked are not in their mask."""
    options = averaged_options([info.predict for info in case.infos], case.regions)
    of = [f"{ml:g} ml of {region}" for region, ml in options.min_ml.items() if ml]
    of += [f"{n} voxels of {region}" for region, n in options.min_voxels.items() if n > 1]
    if of:
        yield f"Pieces of less than {', '.join(of)} were left out of what the networks marked."
    if options.largest_component:
        yield f"Of {', '.join(options.largest_component)} the largest piece alone was kept."


def done_words(prepares: Sequence[PrepareOptions]) -> tuple[str, ...]:
    """What was done to the scan before the networks saw it, and to their answer, in sentences."""
    return tuple(dict.fromkeys(sentence for prepare in prepares for sentence in _done(prepare)))


def _done(prepare: PrepareOptions) -> tuple[str, ...]:
    over = f"each {prepare.normalise_over}" + (" within the brain" if prepare.brain_only else "")
    normalised = {
        "z-score": f"Intensities were brought to mean 0 and standard deviation 1 over {over}.",
        "min-max": f"Intensities were brought to 0 to 1 over {over}.",
        "none": "Intensities were left as they are.",
    }[prepare.normalise]
    if prepare.clip_percentiles is not None:
        low, high = prepare.clip_percentiles
        normalised += f" They were cut off at the percentiles {low:g} and {high:g}."
    cropped = ("Cropped to the box of the brain.",) if prepare.crop_to_brain else ()
    resized: tuple[str, ...] = ()
    if prepare.size is not None:
        resized = (f"{prepare.plane.capitalize()} slices were resized to {prepare.size} × {prepare.size} pixels.",)
    elif prepare.spacing_mm is not None:
        resized = (f"Resampled to {' × '.join(f'{step:g}' for step in prepare.spacing_mm)} mm.",)
    back = "The probabilities were brought back to the grid of the scan, on which the mask is drawn."
    return (*cropped, *resized, normalised, back)
