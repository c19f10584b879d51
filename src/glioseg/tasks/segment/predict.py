"""The masks, volumes and pictures that a network that segments gives of a case."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Case, Grid, Image, LabelMap
from glioseg.errors import GeometryError
from glioseg.evaluation.diameters import Diameters, measure_diameters
from glioseg.evaluation.kinds import NONE
from glioseg.evaluation.table import Row
from glioseg.faces import in_python
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.confidence import ConfidenceRecord, judge, record_of
from glioseg.inference.contrasts import exchanged_words
from glioseg.inference.ensemble import Ensemble, MemberPrediction, dissent
from glioseg.inference.explained import Explanation, explain
from glioseg.inference.familiarity import intensity_features
from glioseg.inference.looks import Looks
from glioseg.inference.modalities import blank_words
from glioseg.inference.predictor import Prediction
from glioseg.inference.uncertainty import Shown, Uncertainty, UncertaintyOptions, estimate, views_of_members
from glioseg.io.files import write_bytes, write_json
from glioseg.io.nifti import write_nifti
from glioseg.io.raster import write_picture
from glioseg.preparation.ready.result import ReadyScan
from glioseg.preparation.store import of_patients
from glioseg.report.figures.render import png_of
from glioseg.report.maps import maps_figure
from glioseg.report.parts.words import amount
from glioseg.report.prediction import overlay_figure
from glioseg.report.predictions import PredictedCase, PredictionsPage
from glioseg.report.run import RunPage
from glioseg.report.run_facts import DataFacts, PartCounts, RunFacts
from glioseg.report.segmented import segmented_page
from glioseg.tasks.data import Part
from glioseg.tasks.members import (
    filled_modalities,
    require_modalities,
    stem_of,
    stem_of_name,
)
from glioseg.tasks.predicted import facts_of_use, filling_words, inputs_of, measured_words, network_cards, stand_ins
from glioseg.tasks.ready import ready_file, ready_scan, save_ready, with_target_first
from glioseg.tasks.segment import report
from glioseg.tasks.segment.bids import BidsName
from glioseg.tasks.segment.case_report import ReportedCase, report_files, write_report
from glioseg.tasks.segment.doubts import doubts, place_words
from glioseg.tasks.segment.ensemble import ensemble_facts, load_for, prepared_for, score_ensemble, write_members_figure
from glioseg.tasks.segment.explained import explanation_files, save_explanation
from glioseg.tasks.segment.forms import bids_files, form_files, require_forms, write_forms
from glioseg.tasks.segment.kinds import kind_said, kind_shares
from glioseg.tasks.segment.uncertain import (
    Doubted,
    agreement_of,
    low_confidence,
    map_files,
    shown_maps,
    uncertainty_facts,
    write_maps,
)
from glioseg.tasks.skull import skull_words
from glioseg.tasks.task import (
    CasePrediction,
    Members,
    Scans,
    ScoredCohort,
    ScoredData,
    Scores,
    Scoring,
    ScoringPlace,
    WrittenCase,
)
from glioseg.tasks.wanted import NOTHING_MORE, Wanted


@dataclass(frozen=True, eq=False)
class SegmentMembers(Members):
    """Networks that segment, as one, with what their bundles say of them, in the same order."""

    ensemble: Ensemble
    infos: tuple[BundleInfo, ...]

    @property
    def modalities(self) -> tuple[str, ...]:
        """All that some member needs."""
        return self.ensemble.modalities

    @property
    def model_id(self) -> str:
        """The members' ids, joined."""
        return "+".join(info.model_id for info in self.infos)

    @property
    def names(self) -> tuple[str, ...]:
        """What tells the members apart: recipe, plane and id."""
        return tuple(f"{info.name}, {info.prepare.plane}, {info.model_id}" for info in self.infos)

    def require(self, case: Case, wanted: Wanted = NOTHING_MORE) -> None:
        """Raise a GeometryError unless each network can see the case, an OptionError for forms that it cannot have."""
        require_modalities(self.ensemble.members, case)
        require_forms(wanted, case, self.ensemble.regions)

    def read(self, case: Case, wanted: Wanted = NOTHING_MORE) -> Scans:
        """The scans that the networks see, made ready if that is asked for; errors as ``load_image``."""
        if wanted.ready.asks:
            wanted.told("register" if wanted.ready.registers else "brain", 0.0)
            return ready_scan(case, self.modalities, wanted.ready)
        wanted.told("read", 0.0)
        return load_for(self.ensemble, case)

    def predict(self, case: Case, wanted: Wanted = NOTHING_MORE, scans: Scans | None = None) -> SegmentPrediction:
        """Segment a case; errors as ``load_image`` and ``Ensemble.predict``."""
        require_forms(wanted, case, self.ensemble.regions)
        source = next(iter(case.images.values()))
        pictures = tuple(path.stem for path in source.paths) if source.kind == "raster" else ()
        scan = self.read(case, wanted) if scans is None else scans
        if isinstance(scan, ReadyScan):
            case = with_target_first(case, scan.record.target)
        return replace(self._predict(case.id, scan, wanted, pictures, inputs_of(case)), case=case)

    def predict_image(self, name: str, scan: Scans, wanted: Wanted = NOTHING_MORE) -> SegmentPrediction:
        """Segment an image, or what was made ready; what has no millimetres is saved as a picture."""
        has_mm = isinstance(scan, ReadyScan) or scan.grid.has_mm
        return self._predict(name, scan, wanted, () if has_mm else (name,))

    def _predict(
        self,
        name: str,
        scan: Scans,
        wanted: Wanted,
        pictures: tuple[str, ...],
        inputs: Mapping[str, Any] | None = None,
    ) -> SegmentPrediction:
        seen, image, ready = (scan, scan, None) if isinstance(scan, Image) else (scan.image, scan.native, scan)
        asked = self.ensemble.watched(_looks(self.ensemble, wanted))
        prediction, contributions = asked.predict(seen, image.grid)
        shown = self._shown(seen, image.grid) if wanted.uncertainty or wanted.explain else ()
        doubted = None if wanted.uncertainty is None else self._doubted(asked, shown, prediction, wanted.uncertainty)
        return SegmentPrediction(
            self,
            name,
            image,
            prediction,
            contributions,
            pictures,
            inputs or {},
            doubted,
            self._explained(shown, prediction, wanted),
            wanted=wanted,
            ready=ready,
        )

    def _shown(self, image: Image, native: Grid) -> tuple[Shown, ...]:
        return tuple(Shown.of(member.prepared(image, native)) for member in self.ensemble.members)

    def _explained(self, shown: Sequence[Shown], prediction: Prediction, wanted: Wanted) -> Explanation | None:
        if not wanted.explain:
            return None
        wanted.told("explain", 0.0)
        return explain(self.ensemble, shown, prediction)

    @property
    def samples(self) -> UncertaintyOptions:
        """Those that the bundle's confidence was fitted with, where it was."""
        return UncertaintyOptions() if self._record is None else self._record.options

    @property
    def _record(self) -> ConfidenceRecord | None:
        """Of one network; of several nobody has fitted any."""
        return record_of(self.infos[0]) if len(self.infos) == 1 else None

    def _doubted(
        self, asked: Ensemble, shown: Sequence[Shown], prediction: Prediction, options: UncertaintyOptions
    ) -> Doubted:
        uncertainty = estimate(asked, shown, prediction, options, self.names)
        record, unit = self._record, "ml" if prediction.label_map.grid.has_mm else "voxels"
        if record is None or record.options != options or record.volume_unit != unit:
            return Doubted(uncertainty)
        sizes = list(volumes_of(prediction.label_map, prediction.regions).values())
        features = intensity_features(shown[0].images)
        if np.isnan(features).any():  # a modality is lacking, and the confidence was fitted on cases with all of them
            return Doubted(uncertainty)
        return Doubted(uncertainty, record, judge(record, uncertainty, sizes, self.modalities, features))

    def written(self, sidecar: Mapping[str, Any], folder: Path) -> WrittenCase:
        """A mask with its volumes."""
        return _written_case(sidecar, folder)

    def files(self, case: Case) -> list[str]:
        """Names of all files that a prediction of the case may write."""
        stem = stem_of(case)
        names = [f"{stem}.json", ready_file(stem), f"{stem}_members.png", f"{stem}.nii.gz", f"{stem}_mask.png"]
        names += report_files(stem)
        regions = self.ensemble.regions
        names += [*map_files(stem), *form_files(stem, regions), *explanation_files(stem, regions)]
        names += bids_files(case, regions)
        return names + [f"{stem}/{path.stem}_mask.png" for path in next(iter(case.images.values())).paths]

    def claims(self, case: Case, wanted: Wanted) -> frozenset[str]:
        """The name of its files; in BIDS, which knows letters and digits alone, its folder too."""
        own = {stem_of(case)}
        return frozenset(own | {BidsName.of(case.id, case.patient).place} if "bids" in wanted.write else own)

    def page(self, cases: Sequence[PredictedCase]) -> PredictionsPage:
        """Volumes by region, sections of each scan, what was read as what, and what to distrust."""
        scheme = self.ensemble.members[0].scheme
        regions = {name: tuple(scheme.regions[name]) for name in self.ensemble.regions}
        return segmented_page(cases, regions, network_cards(self.infos))

    def score(self, scored: ScoredCohort, scoring: Scoring, place: ScoringPlace) -> Scores:
        """Score the ensemble on the native grid, every slice; each member's Dice stands beside it."""
        return score_ensemble(self.ensemble, self.infos, scored, scoring, place)

    def part(self, scored: ScoredCohort, place: ScoringPlace) -> Part:
        """Prepared with the regions of the networks."""
        prepared = prepared_for(self.ensemble.members[0], scored.cohort, place)
        return Part.of(scored.part, of_patients(prepared, scored.patients), scored.cohort, place.copies)

    def facts_of(self, scored: ScoredData) -> tuple[DataFacts, PartCounts]:
        """The cohort with its regions, and how much of it is marked."""
        prepared = scored.part.prepared
        return report.describe(scored.cohort, prepared, self.modalities), report.count(prepared, scored.cohort)

    def page_of_scores(self, facts: RunFacts, scored: ScoredData, figures: Path) -> RunPage:
        """Overlap by region, scans, cases."""
        return report.page_of_scores(facts, scored, self.ensemble, figures)


def _looks(ensemble: Ensemble, wanted: Wanted) -> Looks:
    """How often the networks look at a case: once each, and once more for every sample."""
    n = len(ensemble.members)
    if wanted.uncertainty is not None:
        n += sum(map(len, views_of_members(ensemble, wanted.uncertainty)))
    return Looks(n, lambda share: wanted.told("network", share))


@dataclass(frozen=True, eq=False)
class SegmentPrediction(CasePrediction):
    """The mask of one case, on the grid of its scan.

    Args:
        members: the networks.
        name: what the case is called.
        image: (C, X, Y, Z), what they were shown.
        prediction: of all of them together.
        contributions: what each says; empty where there is one alone.
        pictures: names of the pictures that the slices came as; empty for a volume.
        inputs: modality -> its files and channel; empty for arrays.
        doubted: how far the mask can be trusted; None where nobody asked.
        explanation: what the network looked at; None likewise.
        case: where the scans are; None for arrays.
        wanted: what is asked beside the mask.
        ready: what was done to the scans before; None where nothing was. ``image`` is then the result of it.
    """

    members: SegmentMembers
    name: str
    image: Image
    prediction: Prediction
    contributions: Sequence[MemberPrediction]
    pictures: tuple[str, ...]
    inputs: Mapping[str, Any]
    doubted: Doubted | None = None
    explanation: Explanation | None = None
    case: Case | None = None
    wanted: Wanted = NOTHING_MORE
    ready: ReadyScan | None = None

    @property
    def uncertainty(self) -> Uncertainty | None:
        """What samples say, ``.maps`` and ``.regions``; None where nobody asked."""
        return None if self.doubted is None else self.doubted.uncertainty

    @property
    def confidence(self) -> float | None:
        """The expected Dice where the network's confidence was fitted, else how far samples agree; None likewise."""
        if self.doubted is None:
            return None
        judgement = self.doubted.judgement
        return agreement_of(self.doubted.uncertainty) if judgement is None else judgement.confidence

    @property
    def label_map(self) -> LabelMap:
        """Integers (X, Y, Z) with their meaning, ``.array``, ``.scheme`` and ``.grid``."""
        return self.prediction.label_map

    @property
    def regions(self) -> tuple[str, ...]:
        """What probabilities are of, in their order."""
        return self.prediction.regions

    @property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """(R, X, Y, Z) of the regions, 0 to 1."""
        return self.prediction.probabilities

    @property
    def unit(self) -> str:
        """Of ``volumes``: ``ml``, or ``voxels`` where millimetres are unknown."""
        return "ml" if self.image.grid.has_mm else "voxels"

    @property
    def volumes(self) -> dict[str, float]:
        """Region -> its volume."""
        return dict(self._volumes)

    @cached_property
    def _volumes(self) -> dict[str, float]:
        return self._volumes_of(self.label_map)

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Region -> its volume in millilitres.

        Raises:
            GeometryError: pictures have no millimetres.
        """
        if not self.image.grid.has_mm:
            raise GeometryError(
                f"{self.name} has no millimetres, so that volumes are not known",
                remedy="Give an affine beside the array, or read .volumes, which are in voxels",
            )
        return self.volumes

    @cached_property
    def diameters(self) -> Diameters | None:
        """Of the lesions, in mm, as RANO measures them; None of pictures, which have no millimetres."""
        return measure_diameters(self.label_map) if self.image.grid.has_mm else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the mask should be looked at before it is believed, in sentences."""
        return tuple(map(in_python, self._warnings))

    @cached_property
    def _warnings(self) -> tuple[str, ...]:
        n_disputed = self._n_disputed() if self.contributions else None
        own = doubts(self.image, self.prediction, self.members.ensemble.options, n_disputed)
        unsure = () if self.doubted is None else low_confidence(self.doubted)
        filled = (*filling_words(self._filled()), *measured_words(self._filled(), self.members.infos))
        made = () if self.ready is None else self.ready.record.doubts
        skull = skull_words(self.image, None if self.ready is None else self.ready.record, self.members.infos)
        seen = (*blank_words(self.image), *filled, *place_words(self.image.grid))
        return (*self._exchanged, *unsure, *skull, *made, *seen, *own)

    @cached_property
    def _exchanged(self) -> tuple[str, ...]:
        return exchanged_words(self.image)

    def save(self, out: str | Path) -> WrittenCase:
        """Write the mask, ``<name>.json`` with labels and volumes, and an overlay; of several networks what each says.

        Raises:
            FileError: they cannot be written.
        """
        folder, stem = Path(out), stem_of_name(self.name)
        forms: dict[str, Any] = {}
        if "nifti" in self.wanted.write:
            forms["nifti"] = _write_mask(self.label_map, self.pictures, folder, stem).relative_to(folder).as_posix()
        facts = self._facts() | {
            "mask": forms.get("nifti"),
            "volumes": {"unit": self.unit, **self.volumes},
            "diameters": None if self.diameters is None else self.diameters.to_json(),
        }
        if self.contributions:
            by_member = [self.volumes, *(self._volumes_of(member.label_map) for member in self.contributions)]
            ensemble = self.members.ensemble
            facts["ensemble"] = ensemble_facts(
                ensemble, self.members.infos, self.prediction, self.contributions, by_member
            )
            write_members_figure(
                folder / f"{stem}_members.png",
                self.image,
                self.prediction,
                self.contributions,
                self.members.names,
                facts["ensemble"],
            )
        if self.doubted is not None:
            facts["uncertainty"] = self._save_uncertainty(self.doubted, folder, stem)
        if self.explanation is not None:
            scene = (self.image, self.label_map)
            facts["explanation"] = save_explanation(self.explanation, scene, self.members.ensemble, (folder, stem))
        if self.ready is not None:
            facts["ready"] = save_ready(self.ready, folder, stem)
        if "report" in self.wanted.write:
            forms["report"] = write_report(self.reported(facts), folder, stem)
        if self.wanted.further:
            probabilities = dict(zip(self.regions, self.probabilities, strict=True))
            model = self.members.model_id
            forms |= write_forms(self.wanted, (folder, stem), self.case, self.label_map, probabilities, model)
        facts["forms"] = forms
        write_json(folder / f"{stem}.json", facts)
        return replace(self.members.written(facts, folder), warnings=self._warnings)

    def reported(self, facts: Mapping[str, Any], labels: LabelMap | None = None) -> ReportedCase:
        """What a report of the case is made of, with its own mask or with one that was corrected.

        Args:
            facts: what its JSON file says, volumes of this mask among it.
            labels: on the same grid.
        """
        diameters = self.diameters if labels is None else measure_diameters(labels)
        infos = self.members.infos
        return ReportedCase(self.name, self.image, labels or self.label_map, self.regions, diameters, facts, infos)

    def _save_uncertainty(self, doubted: Doubted, folder: Path, stem: str) -> dict[str, Any]:
        grid, name = self.image.grid, f"{stem}_uncertainty.png"
        facts = uncertainty_facts(doubted, self.volumes, grid.voxel_ml if grid.has_mm else 1.0, self.unit)
        shown = shown_maps(doubted, self.prediction)
        figure = maps_figure(self.image, self.label_map, self.regions, shown, ", ".join(self._volume_words()))
        write_bytes(folder / name, png_of(figure))
        return facts | {"maps": write_maps(doubted, grid, folder, stem), "figure": name}

    def _facts(self) -> dict[str, Any]:
        scheme, grid = self.label_map.scheme, self.image.grid
        return {
            "case": self.name,
            **({} if self.case is None else {"patient": self.case.patient, "day": self.case.day}),
            "labels": dict(scheme.labels),
            "regions": {name: list(scheme.regions[name]) for name in self.regions},
            "grid": {
                "shape": list(grid.shape),
                "spacing_mm": list(grid.spacing_mm) if grid.has_mm else None,
                "orientation": grid.orientation,
            },
            **_kind_of(self),
            **facts_of_use(
                self.inputs,
                self._filled(),
                self._warnings,
                self.members.model_id,
                self.members.infos,
                self.members.ensemble.members,
            ),
        }

    def _filled(self) -> dict[str, str]:
        present = self.image.modalities
        return stand_ins(filled_modalities(self.members.ensemble.members, present), self.members.infos, present)

    def _n_disputed(self) -> int:
        return int((dissent(self.label_map, self.contributions) > 0).sum())

    def _overlay(self) -> bytes:
        words = self._volume_words()
        return png_of(overlay_figure(self.name, self.image, self.label_map, self.regions, words))

    def _volume_words(self) -> list[str]:
        return [f"{region} {amount(volume, self.unit)}" for region, volume in self._volumes.items()]

    def _volumes_of(self, labels: LabelMap) -> dict[str, float]:
        return volumes_of(labels, self.regions)

    def __repr__(self) -> str:
        """In a line: what it is made of would fill pages."""
        return f"SegmentPrediction({self.name}: {', '.join(self._volume_words())})"

    def _repr_html_(self) -> str:
        """The slice with most of the prediction, as it is and with the mask, and the volumes."""
        picture = base64.b64encode(self._overlay()).decode()
        words = ", ".join(f"{region} {volume:g} {self.unit}" for region, volume in self.volumes.items())
        alt = f"{html.escape(self.name)}: the slice with most of the prediction, as it is and with the mask"
        return f'<img alt="{alt}" src="data:image/png;base64,{picture}"><p>{html.escape(words)}</p>'


def _written_case(sidecar: Mapping[str, Any], folder: Path) -> WrittenCase:
    case, mask = sidecar["case"], sidecar["mask"]
    file = folder / (mask or f"{stem_of_name(case)}.json")
    volumes = dict(sidecar["volumes"])
    unit = volumes.pop("unit")
    words = ", ".join(f"{region} {volume:g} {unit}" for region, volume in volumes.items())
    return WrittenCase(
        case=case,
        file=file,
        row={"case": case, "mask": mask, "unit": unit, **volumes, **_measured(sidecar)},
        text=f"{file}: {words}",
        facts={"case": case, "mask": None if mask is None else str(file), "unit": unit, "volumes": volumes},
        sidecar=sidecar,
        picture=folder / f"{stem_of_name(case)}.png",
        files=tuple(folder / name for name in _names_in(sidecar.get("forms", {}))),
        warnings=tuple(sidecar["warnings"]),
    )


def _names_in(forms: Any) -> Iterator[str]:  # noqa: ANN401 - part of a JSON file
    """All names of files among the forms of a case."""
    if isinstance(forms, str):
        yield forms
    elif isinstance(forms, dict):
        for name, value in forms.items():
            yield from () if name == "regions" else _names_in(value)
    else:
        for value in forms:
            yield from _names_in(value)


def _measured(sidecar: Mapping[str, Any]) -> Row:
    """What a row says beside the volumes: the diameters of the largest lesion, the sum of products, the confidence."""
    found = sidecar.get("diameters") or {}
    largest: Mapping[str, Any] = next(iter(found.get("lesions", ())), {})
    return {
        "measured": found.get("region"),
        "long_mm": largest.get("long_mm"),
        "short_mm": largest.get("short_mm"),
        "sum_of_products_mm2": found.get("sum_of_products_mm2"),
        "confidence": sidecar.get("uncertainty", {}).get("confidence"),
    }


def _kind_of(case: SegmentPrediction) -> dict[str, Any]:
    """Which kind of tumour was said, and the share of each in the probabilities within the outline."""
    kinds = case.members.ensemble.options.kinds
    if not kinds:
        return {}
    said = kind_said(case.label_map, kinds)
    shares = {} if said == NONE else kind_shares(case.prediction, kinds)
    return {"kind": said, "kind_shares": {kind: round(share, 4) for kind, share in shares.items()}}


def _write_mask(labels: LabelMap, pictures: Sequence[str], out: Path, stem: str) -> Path:
    """A volume's mask in one NIfTI file, pictures' masks each in a picture (a folder of them for a stack)."""
    if not pictures:
        path = out / f"{stem}.nii.gz"
        write_nifti(path, labels.array.astype(np.uint8), labels.grid)
        return path
    one_label = len(labels.scheme.labels) == 1
    pixels = (labels.array > 0).astype(np.uint8) * 255 if one_label else labels.array.astype(np.uint8)
    if len(pictures) == 1 and pixels.shape[2] == 1:
        path = out / f"{stem}_mask.png"
        write_picture(path, pixels[:, :, 0])
        return path
    folder = out / stem
    names = pictures if len(pictures) == pixels.shape[2] else [f"slice_{z + 1:04d}" for z in range(pixels.shape[2])]
    for z, name in enumerate(names):
        write_picture(folder / f"{name}_mask.png", pixels[:, :, z])
    return folder


def volumes_of(labels: LabelMap, regions: Sequence[str]) -> dict[str, float]:
    """Region -> its volume, in ml, or in voxels where millimetres are unknown."""
    voxel = labels.grid.voxel_ml if labels.grid.has_mm else 1.0
    inside = {region: np.isin(labels.array, labels.scheme.values_of(region)) for region in regions}
    return {region: round(int(mask.sum()) * voxel, 4) for region, mask in inside.items()}
