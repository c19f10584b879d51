"""Networks that segment, as one: from a case to its mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glioseg.core import Case, Grid, Image
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.confidence import ConfidenceRecord, judge, record_of
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.explained import Explanation, explain
from glioseg.inference.familiarity import intensity_features
from glioseg.inference.looks import Looks
from glioseg.inference.predictor import Prediction
from glioseg.inference.uncertainty import Shown, UncertaintyOptions, estimate, views_of_members
from glioseg.preparation.ready.result import ReadyScan
from glioseg.preparation.store import of_patients
from glioseg.report.predictions import PredictedCase, PredictionsPage
from glioseg.report.run import RunPage
from glioseg.report.run_facts import CohortFacts, PartCounts, RunFacts
from glioseg.report.segmented import segmented_page
from glioseg.tasks.data import CohortPart
from glioseg.tasks.members import (
    require_modalities,
    stem_of,
)
from glioseg.tasks.predicted import inputs_of, kept_share, network_cards, shown_as_zeros
from glioseg.tasks.prediction import Members, Scans, WrittenCase
from glioseg.tasks.ready import ready_file, ready_scan, with_target_first
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import ScoredCohort, ScoredData, Scoring, ScoringPlace
from glioseg.tasks.segment import report
from glioseg.tasks.segment.bids import BidsName
from glioseg.tasks.segment.case_report import report_files
from glioseg.tasks.segment.ensemble import load_for, prepared_for, score_ensemble
from glioseg.tasks.segment.explained import explanation_files
from glioseg.tasks.segment.forms import bids_files, form_files, require_forms
from glioseg.tasks.segment.prediction import SegmentNetworks, SegmentPrediction, volumes_of, written_case
from glioseg.tasks.segment.uncertain import (
    Doubted,
    map_files,
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
        return self._networks.model_id

    @property
    def _networks(self) -> SegmentNetworks:
        return SegmentNetworks(self.ensemble, self.infos)

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
            self._networks,
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
        uncertainty = estimate(asked, shown, prediction, options, self._networks.names)
        lacking = shown_as_zeros(self.infos, [each.images for each in shown])
        kept = kept_share(lacking, self.infos)
        record, unit = self._record, "ml" if prediction.label_map.grid.has_mm else "voxels"
        if record is None or record.options != options or record.volume_unit != unit:
            return Doubted(uncertainty, kept=kept)
        sizes = list(volumes_of(prediction.label_map, prediction.regions).values())
        judgement = judge(record, uncertainty, sizes, self.modalities, intensity_features(shown[0].images))
        if lacking:  # what was fitted, on cases with all modalities, promises nothing of volumes and outlines
            return Doubted(uncertainty, kept=kept, expected=judgement.confidence)
        return Doubted(uncertainty, record, judgement)

    def written(self, sidecar: Mapping[str, Any], folder: Path) -> WrittenCase:
        """A mask with its volumes."""
        return written_case(sidecar, folder)

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
        names = {stem_of(case)}
        return frozenset(names | {BidsName.of(case.id, case.patient).place} if "bids" in wanted.write else names)

    def page(self, cases: Sequence[PredictedCase]) -> PredictionsPage:
        """Volumes by region, sections of each scan, what was read as what, and what to distrust."""
        scheme = self.ensemble.members[0].scheme
        regions = {name: tuple(scheme.regions[name]) for name in self.ensemble.regions}
        return segmented_page(cases, regions, network_cards(self.infos))

    def score(self, scored: ScoredCohort, scoring: Scoring, place: ScoringPlace) -> Scores:
        """Score the ensemble on the native grid, every slice; each member's Dice stands beside it."""
        return score_ensemble(self.ensemble, self.infos, scored, scoring, place)

    def part(self, scored: ScoredCohort, place: ScoringPlace) -> CohortPart:
        """Prepared with the regions of the networks."""
        prepared = prepared_for(self.ensemble.members[0], scored.cohort, place)
        return CohortPart.of(scored.part, of_patients(prepared, scored.patients), scored.cohort, place.copies)

    def facts_of(self, scored: ScoredData) -> tuple[CohortFacts, PartCounts]:
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
