"""Pictures in, their classes with confidence and captioned pictures out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.config import leaves
from glioseg.core import Case, Image
from glioseg.errors import GliosegError, OptionError
from glioseg.evaluation.table import Row
from glioseg.inference.bundle import Bundle, BundleInfo
from glioseg.inference.classifier import Classification, Classifier, mean_of
from glioseg.inference.explain import grad_cam
from glioseg.inference.predictor import to_native
from glioseg.io import load_image
from glioseg.io.files import replacing, write_json
from glioseg.preparation.slices import with_neighbours
from glioseg.report.classified import ClassifiedPicture, captioned, native_pixels
from glioseg.report.figures.views import shade
from glioseg.runs.classifying import classifier_of
from glioseg.runs.ensembling import once_each


@dataclass(frozen=True)
class Classified:
    """What was written for one case.

    Args:
        case: its id.
        picture: the captioned picture.
        said: the class.
        confidence: its probability.
        probabilities: class -> probability.
    """

    case: str
    picture: Path
    said: str
    confidence: float
    probabilities: Mapping[str, float]

    @property
    def row(self) -> Row:
        """Its row of ``summary.csv``."""
        row: Row = {"case": self.case, "class": self.said, "confidence": self.confidence}
        return {**row, **{f"p.{name}": value for name, value in self.probabilities.items()}}

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{self.picture}: {self.said}, confidence {100 * self.confidence:.2f} %"

    def to_json(self) -> dict[str, Any]:
        """What ``predict --json`` prints of it."""
        figures = {"class": self.said, "confidence": self.confidence, "probabilities": dict(self.probabilities)}
        return {"case": self.case, "picture": str(self.picture), **figures}


@dataclass(frozen=True, eq=False)
class ClassMembers:
    """Classifiers whose probabilities are averaged; one alone speaks for itself.

    Args:
        classifiers: one or more, with the same classes, modalities, preparation and slices.
        infos: of their bundles.
    """

    classifiers: tuple[Classifier, ...]
    infos: tuple[BundleInfo, ...]

    @property
    def modalities(self) -> tuple[str, ...]:
        """What a case must have."""
        return self.classifiers[0].modalities

    @property
    def model_id(self) -> str:
        """Of all members."""
        return "+".join(info.model_id for info in self.infos)


def class_members(folders: Sequence[Path], bundles: Sequence[Bundle], device: str) -> ClassMembers:
    """The classifiers of bundles as one.

    Raises:
        OptionError: a network that segments among them, one twice, or others in classes or in what they are shown.
    """
    first, *others = bundles
    for folder, bundle in zip(folders[1:], others, strict=True):
        mine, theirs = _meaning(first.info), _meaning(bundle.info)
        differing = [name for name in mine if mine[name] != theirs.get(name)]
        if differing:
            name = differing[0]
            raise OptionError(
                f"classifiers that are averaged have the same classes and are shown the same; {name} differs",
                path=folder,
                found=theirs.get(name),
                expected=mine[name],
                remedy="Average the folds or seeds of one recipe",
            )
    once_each(folders, bundles)
    return ClassMembers(tuple(classifier_of(one, device) for one in bundles), tuple(one.info for one in bundles))


def _meaning(info: BundleInfo) -> dict[str, Any]:
    """What members have in common, under names such as ``prepare.size``."""
    return dict(leaves(info.model_dump(mode="json", include={"classes", "modalities", "prepare", "slices"})))


def classified(members: ClassMembers, out: Path, case: Case) -> Callable[[], Classified]:
    """Classify a case; what is returned writes ``OUT/<case>.png`` (captioned, with Grad-CAM) and ``<case>.json``."""
    image = load_image(case, [name for name in members.modalities if name in case.images])
    try:
        each = [classifier.classify(image) for classifier in members.classifiers]
    except GliosegError as error:
        path = next(iter(case.images.values())).paths[0]
        raise type(error)(
            error.what, path=path, found=error.found, expected=error.expected, remedy=error.remedy
        ) from error
    found = mean_of(each)
    shown = picture_of(members.classifiers, case.id, image, found)
    return partial(_write, members, out, case, each, found, shown)


def _write(
    members: ClassMembers,
    out: Path,
    case: Case,
    each: Sequence[Classification],
    found: Classification,
    shown: ClassifiedPicture,
) -> Classified:
    z = found.telling_slice
    info = members.infos[0]
    stem = case.id.replace("/", "_")
    picture = out / f"{stem}.png"
    with replacing(picture) as temporary:
        temporary.write_bytes(captioned(shown))
    named = _named(found, z)
    facts = {
        "case": case.id,
        "picture": picture.name,
        "class": shown.said,
        "confidence": shown.confidence,
        "probabilities": named,
        "slice": z + 1,
        "slices": [[round(float(p), 6) for p in row] for row in found.probabilities],
        "looked_at": "Grad-CAM of the class that is said, laid over the picture on the right",
        "filled": [name for name in members.modalities if name not in case.images],
        "model_id": members.model_id,
        "recipe": info.name,
        "use": info.use,
    }
    if len(each) == 1:
        facts["temperature"] = info.temperature
    else:
        facts["ensemble"] = {
            "rule": "mean of the members' calibrated probabilities",
            "members": [
                {"model_id": one.model_id, "temperature": one.temperature, "probabilities": _named(said, z)}
                for one, said in zip(members.infos, each, strict=True)
            ],
        }
    write_json(out / f"{stem}.json", facts)
    return Classified(case.id, picture, shown.said, shown.confidence, named)


def _named(found: Classification, z: int) -> dict[str, float]:
    return dict(zip(found.classes, map(float, found.probabilities[z]), strict=True))


def picture_of(
    classifiers: Sequence[Classifier], case: str, image: Image, found: Classification, z: int | None = None
) -> ClassifiedPicture:
    """A case's telling slice (or slice ``z``) with what is said of it and where the networks looked, in the mean.

    A picture is shown as it came; a slice of a scan as the network saw it, turned as on a radiologist's screen.
    """
    place = found.telling_slice if z is None else z
    decided = int(found.probabilities[place].argmax())
    arrays = found.arrays
    seen = with_neighbours(arrays.images, np.array([place]), classifiers[0].slices.n_neighbours)[0]
    each = [grad_cam(classifier.model, seen, decided) for classifier in classifiers]
    looked_at = np.asarray(np.mean(each, axis=0), dtype=np.float32)
    if image.grid.has_mm or image.grid.shape[2] > 1:
        channel = arrays.images[place, 0].astype(np.float32)
        pixels = shade(channel, (float(channel.min()), float(max(channel.max(), channel.min() + 1e-6))))
    else:
        pixels = native_pixels(image, 0)
        looked_at = _on_picture(looked_at, found)
    note = f"slice {place + 1} of {len(found.probabilities)}" if len(found.probabilities) > 1 else ""
    confidence = float(found.probabilities[place, decided])
    return ClassifiedPicture(case, pixels, found.classes[decided], confidence, None, looked_at, note)


def _on_picture(looked_at: npt.NDArray[np.float32], found: Classification) -> npt.NDArray[np.float32]:
    """(Y, X) on the network's grid -> (rows, columns) of the picture; 0 where the network did not look."""
    native = to_native(looked_at[None, None], found.arrays.working, found.arrays.native)
    return np.asarray(native[0, :, :, 0].T.clip(0, 1), dtype=np.float32)
