"""The mask of one case, what is measured of it, and what is written."""

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

from glioseg.core import Case, Image, LabelMap
from glioseg.errors import GeometryError
from glioseg.evaluation.diameters import Diameters, measure_diameters
from glioseg.evaluation.kinds import NONE
from glioseg.evaluation.table import Row
from glioseg.faces import in_python
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.contrasts import exchanged_words
from glioseg.inference.ensemble import Ensemble, MemberPrediction, dissent
from glioseg.inference.explained import Explanation
from glioseg.inference.modalities import blank_words
from glioseg.inference.predictor import Prediction
from glioseg.inference.uncertainty import Uncertainty
from glioseg.io.files import write_bytes, write_json
from glioseg.io.nifti import write_nifti
from glioseg.io.raster import write_picture
from glioseg.preparation.ready.result import ReadyScan
from glioseg.report.figures.render import png_of
from glioseg.report.maps import maps_figure
from glioseg.report.parts.words import amount
from glioseg.report.prediction import overlay_figure
from glioseg.tasks.members import (
    filled_modalities,
    stem_of_name,
)
from glioseg.tasks.predicted import facts_of_use, filling_words, measured_words, stand_ins
from glioseg.tasks.prediction import CasePrediction, WrittenCase
from glioseg.tasks.ready import save_ready
from glioseg.tasks.segment.case_report import ReportedCase, write_report
from glioseg.tasks.segment.doubts import doubts, place_words
from glioseg.tasks.segment.ensemble import ensemble_facts, write_members_figure
from glioseg.tasks.segment.explained import save_explanation
from glioseg.tasks.segment.forms import write_forms
from glioseg.tasks.segment.kinds import kind_said, kind_shares
from glioseg.tasks.segment.uncertain import (
    Doubted,
    low_confidence,
    shown_maps,
    uncertainty_facts,
    write_maps,
)
from glioseg.tasks.skull import skull_warnings
from glioseg.tasks.wanted import NOTHING_MORE, Wanted


@dataclass(frozen=True, eq=False)
class SegmentNetworks:
    """Who drew a mask.

    Args:
        ensemble: the networks.
        infos: what the bundle of each says, in the same order.
    """

    ensemble: Ensemble
    infos: tuple[BundleInfo, ...]

    @property
    def model_id(self) -> str:
        """Their ids, joined."""
        return "+".join(info.model_id for info in self.infos)

    @property
    def names(self) -> tuple[str, ...]:
        """What tells them apart: recipe, plane and id."""
        return tuple(f"{info.name}, {info.prepare.plane}, {info.model_id}" for info in self.infos)


@dataclass(frozen=True, eq=False)
class SegmentPrediction(CasePrediction):
    """The mask of one case, on the grid of its scan.

    Args:
        networks: who drew it.
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

    networks: SegmentNetworks
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
        return None if self.doubted is None else self.doubted.confidence

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
        reasons = doubts(self.image, self.prediction, self.networks.ensemble.options, n_disputed)
        unsure = () if self.doubted is None else low_confidence(self.doubted)
        filled = (
            *filling_words(self._filled(), self.image.modalities),
            *measured_words(self._filled(), self.networks.infos),
        )
        made = () if self.ready is None else self.ready.record.doubts
        skull = skull_warnings(self.image, None if self.ready is None else self.ready.record, self.networks.infos)
        seen = (*blank_words(self.image), *filled, *place_words(self.image.grid))
        return (*self._exchanged, *unsure, *skull, *made, *seen, *reasons)

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
            ensemble = self.networks.ensemble
            facts["ensemble"] = ensemble_facts(
                ensemble, self.networks.infos, self.prediction, self.contributions, by_member
            )
            write_members_figure(
                folder / f"{stem}_members.png",
                self.image,
                self.prediction,
                self.contributions,
                self.networks.names,
                facts["ensemble"],
            )
        if self.doubted is not None:
            facts["uncertainty"] = self._save_uncertainty(self.doubted, folder, stem)
        if self.explanation is not None:
            scene = (self.image, self.label_map)
            facts["explanation"] = save_explanation(self.explanation, scene, self.networks.ensemble, (folder, stem))
        if self.ready is not None:
            facts["ready"] = save_ready(self.ready, folder, stem)
        if "report" in self.wanted.write:
            forms["report"] = write_report(self.reported(facts), folder, stem)
        if self.wanted.further:
            probabilities = dict(zip(self.regions, self.probabilities, strict=True))
            model = self.networks.model_id
            forms |= write_forms(self.wanted, (folder, stem), self.case, self.label_map, probabilities, model)
        if "seg" in self.wanted.write:
            facts["deidentified"] = self.wanted.deidentify
        facts["forms"] = forms
        write_json(folder / f"{stem}.json", facts)
        return replace(written_case(facts, folder), warnings=self._warnings)

    def reported(self, facts: Mapping[str, Any]) -> ReportedCase:
        """What a report of the case is made of; ``facts`` are what its JSON file says."""
        infos = self.networks.infos
        return ReportedCase(self.name, self.image, self.label_map, self.regions, self.diameters, facts, infos)

    def _save_uncertainty(self, doubted: Doubted, folder: Path, stem: str) -> dict[str, Any]:
        grid, name = self.image.grid, f"{stem}_uncertainty.png"
        facts = uncertainty_facts(doubted, self.volumes, grid.voxel_ml if grid.has_mm else 1.0, self.unit)
        shown = shown_maps(doubted, self.prediction)
        figure = maps_figure(self.image, self.label_map, self.regions, shown, ", ".join(self._volume_words()))
        write_bytes(folder / name, png_of(figure))
        maps = write_maps(doubted, grid, folder, stem)
        return facts | {"options": self.wanted.samples, "maps": maps, "figure": name}

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
                self.networks.model_id,
                self.networks.infos,
                self.networks.ensemble.members,
            ),
        }

    def _filled(self) -> dict[str, str]:
        present = self.image.modalities
        return stand_ins(filled_modalities(self.networks.ensemble.members, present), self.networks.infos, present)

    def _n_disputed(self) -> int:
        return int((dissent(self.label_map, self.contributions) > 0).sum())

    def _overlay(self) -> bytes:
        words = self._volume_words()
        return png_of(overlay_figure(self.name, self.image, self.label_map, self.regions, words))

    def _volume_words(self) -> list[str]:
        return _volume_words(self._volumes, self.unit)

    def _volumes_of(self, labels: LabelMap) -> dict[str, float]:
        return volumes_of(labels, self.regions)

    def __repr__(self) -> str:
        """In a line: what it is made of would fill pages."""
        return f"SegmentPrediction({self.name}: {', '.join(self._volume_words())})"

    def _repr_html_(self) -> str:
        """The slice with most of the prediction, as it is and with the mask, and the volumes."""
        picture = base64.b64encode(self._overlay()).decode()
        words = ", ".join(self._volume_words())
        alt = f"{html.escape(self.name)}: the slice with most of the prediction, without and with the mask"
        return f'<img alt="{alt}" src="data:image/png;base64,{picture}"><p>{html.escape(words)}</p>'


def _volume_words(volumes: Mapping[str, float], unit: str) -> list[str]:
    return [f"{region} {amount(volume, unit)}" for region, volume in volumes.items()]


def written_case(sidecar: Mapping[str, Any], folder: Path) -> WrittenCase:
    """A mask with its volumes, from its JSON file; a KeyError where that is another's."""
    case, mask = sidecar["case"], sidecar["mask"]
    file = folder / (mask or f"{stem_of_name(case)}.json")
    volumes = dict(sidecar["volumes"])
    unit = volumes.pop("unit")
    words = ", ".join(_volume_words(volumes, unit))
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
    diameters = sidecar.get("diameters") or {}
    largest: Mapping[str, Any] = next(iter(diameters.get("lesions", ())), {})
    return {
        "measured": diameters.get("region"),
        "long_mm": largest.get("long_mm"),
        "short_mm": largest.get("short_mm"),
        "sum_of_products_mm2": diameters.get("sum_of_products_mm2"),
        "confidence": sidecar.get("uncertainty", {}).get("confidence"),
    }


def _kind_of(case: SegmentPrediction) -> dict[str, Any]:
    """Which kind of tumour was said, and the share of each in the probabilities within the outline."""
    kinds = case.networks.ensemble.options.kinds
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
