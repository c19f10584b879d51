"""The masks, volumes and pictures that a network that segments gives of a case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.recognise import read_cohort
from glioseg.core import Case, Cohort, Image, LabelMap
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.ensemble import Ensemble, MemberPrediction
from glioseg.inference.predictor import Prediction
from glioseg.io.files import replacing, write_json
from glioseg.io.nifti import write_nifti
from glioseg.io.raster import write_picture
from glioseg.report.prediction import overlay_picture
from glioseg.tasks.members import require_modalities, stem_of
from glioseg.tasks.segment.ensemble import ensemble_facts, load_for, score_ensemble, write_members_figure
from glioseg.tasks.task import Members, Scores, ScoringPlace, WrittenCase


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

    def require(self, case: Case) -> None:
        """Raise a GeometryError unless each network can see the case."""
        require_modalities(self.ensemble.members, case)

    def cases_in(self, folder: Path) -> Iterable[Case]:
        """The cases of a cohort."""
        return read_cohort(folder, options=ReadOptions()).cases

    def predict(self, case: Case, out: Path) -> Callable[[], WrittenCase]:
        """Segment a case; what is returned writes mask, overlay and ``<case>.json``."""
        image = load_for(self.ensemble, case)
        prediction, contributions = self.ensemble.predict(image)
        return partial(_write_case, self, case, image, prediction, contributions, out)

    def files(self, case: Case) -> list[str]:
        """Names of all files that a prediction of the case may write."""
        stem = stem_of(case)
        names = [f"{stem}.json", f"{stem}.png", f"{stem}_members.png", f"{stem}.nii.gz", f"{stem}_mask.png"]
        return names + [f"{stem}/{path.stem}_mask.png" for path in next(iter(case.images.values())).paths]

    def score(self, cohort: Cohort, part: str, options: EvaluateOptions, place: ScoringPlace) -> Scores:
        """Score the ensemble on the native grid, every slice; each member's Dice stands beside it."""
        with place.reporter.progress("Evaluating") as step:
            return score_ensemble(self.ensemble, self.infos, cohort, part, options, step)


def _write_case(
    members: SegmentMembers,
    case: Case,
    image: Image,
    prediction: Prediction,
    contributions: Sequence[MemberPrediction],
    out: Path,
) -> WrittenCase:
    stem = stem_of(case)
    unit = "ml" if image.grid.has_mm else "voxels"
    voxel = image.grid.voxel_ml if image.grid.has_mm else 1.0
    maps = [prediction.label_map, *(contribution.label_map for contribution in contributions)]
    volumes = [_volumes(labels, prediction.regions, voxel) for labels in maps]
    mask = _write_mask(prediction, case, out, stem)
    _write_overlay(image, prediction, out / f"{stem}.png")
    facts = _facts(members, case, image, prediction)
    facts |= {"mask": mask.relative_to(out).as_posix(), "volumes": {"unit": unit, **volumes[0]}}
    if contributions:
        facts["ensemble"] = ensemble_facts(members.ensemble, members.infos, prediction, contributions, volumes)
        write_members_figure(
            out / f"{stem}_members.png", image, prediction, contributions, members.names, facts["ensemble"]
        )
    write_json(out / f"{stem}.json", facts)
    return _written_case(case.id, mask, volumes[0], unit)


def _written_case(case: str, mask: Path, volumes: Mapping[str, float], unit: str) -> WrittenCase:
    words = ", ".join(f"{region} {volume:g} {unit}" for region, volume in volumes.items())
    return WrittenCase(
        case=case,
        file=mask,
        row={"case": case, "mask": mask.name, "unit": unit, **volumes},
        text=f"{mask}: {words}",
        facts={"case": case, "mask": str(mask), "unit": unit, "volumes": volumes},
    )


def _facts(members: SegmentMembers, case: Case, image: Image, prediction: Prediction) -> dict[str, Any]:
    first = members.infos[0]
    return {
        "case": case.id,
        "labels": dict(prediction.label_map.scheme.labels),
        "regions": {name: list(prediction.label_map.scheme.regions[name]) for name in prediction.regions},
        "grid": {
            "shape": list(image.grid.shape),
            "spacing_mm": list(image.grid.spacing_mm) if image.grid.has_mm else None,
            "orientation": image.grid.orientation,
        },
        "filled": [name for name in members.ensemble.modalities if name not in case.images],
        "model_id": members.model_id,
        "recipe": first.name,
        "use": first.use,
    }


def _write_mask(prediction: Prediction, case: Case, out: Path, stem: str) -> Path:
    """A volume's mask in one NIfTI file, pictures' masks each in a picture (a folder of them for a stack)."""
    source = next(iter(case.images.values()))
    labels = prediction.label_map
    if source.kind != "raster":
        path = out / f"{stem}.nii.gz"
        write_nifti(path, labels.array.astype(np.uint8), labels.grid)
        return path
    scale = 255 if len(labels.scheme.labels) == 1 else 1
    pixels = (labels.array > 0).astype(np.uint8) * 255 if scale == 255 else labels.array.astype(np.uint8)
    if len(source.paths) == 1:
        path = out / f"{stem}_mask.png"
        write_picture(path, pixels[:, :, 0])
        return path
    folder = out / stem
    for z, original in enumerate(source.paths):
        write_picture(folder / f"{original.stem}_mask.png", pixels[:, :, z])
    return folder


def _write_overlay(image: Image, prediction: Prediction, path: Path) -> None:
    data = overlay_picture(image, prediction.label_map, prediction.regions)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _volumes(labels: LabelMap, regions: Sequence[str], voxel: float) -> dict[str, float]:
    """Region -> its volume, a voxel counting ``voxel``."""
    inside = {region: np.isin(labels.array, labels.scheme.values_of(region)) for region in regions}
    return {region: round(int(mask.sum()) * voxel, 4) for region, mask in inside.items()}
