"""The class, with its confidence and a captioned picture, that a classifier gives of a case."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from glioseg.config import leaves
from glioseg.core import Case, Image
from glioseg.errors import GliosegError, OptionError
from glioseg.evaluation.table import Row
from glioseg.faces import in_python
from glioseg.inference.bundle import Bundle, BundleInfo
from glioseg.inference.classifier import Classification, Classifier, mean_of
from glioseg.inference.modalities import blank_words
from glioseg.io import load_image
from glioseg.io.files import write_bytes, write_json
from glioseg.preparation.cache import prepare
from glioseg.preparation.store import of_patients
from glioseg.report.classes_said import said_page
from glioseg.report.classified import ClassifiedPicture, captioned, percent
from glioseg.report.predictions import PredictedCase, PredictionsPage
from glioseg.report.run import RunPage
from glioseg.report.run_facts import RunFacts
from glioseg.tasks.classify import report
from glioseg.tasks.classify.ensemble import RULE, score_ensemble
from glioseg.tasks.classify.explained import without_modalities
from glioseg.tasks.classify.picture import picture_of
from glioseg.tasks.classify.predictor import classifier_of
from glioseg.tasks.classify.uncertain import ClassSamples, changed_minds, class_samples, sample_facts
from glioseg.tasks.data import CohortPart, with_modalities
from glioseg.tasks.members import (
    filled_modalities,
    require_modalities,
    require_once_each,
    stem_of,
    stem_of_name,
)
from glioseg.tasks.predicted import (
    facts_of_use,
    filling_words,
    inputs_of,
    kept_share,
    measured_words,
    network_cards,
    shown_as_zeros,
    stand_ins,
)
from glioseg.tasks.prediction import CasePrediction, Members, Scans, WrittenCase
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import ScoredCohort, ScoredData, Scoring, ScoringPlace
from glioseg.tasks.skull import skull_warnings
from glioseg.tasks.wanted import DEFAULT_FORMS, NOTHING_MORE, Wanted

UNCERTAIN = 0.2
"""A class is uncertain where the next one's probability is less than this below its own (60 % against 40 %)."""


@dataclass(frozen=True, eq=False)
class ClassifyMembers(Members):
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
        """The members' ids, joined."""
        return "+".join(info.model_id for info in self.infos)

    def require(self, case: Case, wanted: Wanted = NOTHING_MORE) -> None:
        """Raise a GeometryError unless each network can see the case, an OptionError where a mask is asked for."""
        require_modalities(self.classifiers, case)
        if wanted.ready.asks:
            raise OptionError(
                "scans are made ready for networks that segment, and a classifier takes them as they are",
                remedy="Leave `--register`, `--brain-extract`, `--n4` and `--atlas` out",
            )
        if wanted.further:
            raise OptionError(
                "a classifier says classes and draws no mask",
                found=f"`--write {','.join(wanted.further)}`",
                remedy="Leave `--write` out",
            )

    def read(self, case: Case, wanted: Wanted = NOTHING_MORE) -> Image:
        """The scans that the networks see."""
        return load_image(case, [name for name in self.modalities if name in case.images])

    def predict(self, case: Case, wanted: Wanted = NOTHING_MORE, scans: Scans | None = None) -> ClassPrediction:
        """Classify a case; an error names its first file."""
        image = scans if isinstance(scans, Image) else self.read(case, wanted)
        try:
            return replace(self.predict_image(case.id, image, wanted), inputs=inputs_of(case))
        except GliosegError as error:
            path = next(iter(case.images.values())).shown
            raise type(error)(
                error.what, path=path, found=error.found, expected=error.expected, remedy=error.remedy
            ) from error

    def predict_image(self, name: str, image: Image, wanted: Wanted = NOTHING_MORE) -> ClassPrediction:
        """Classify an image."""
        classifications = tuple(classifier.classify(image) for classifier in self.classifiers)
        mean = mean_of(classifications)
        picture = picture_of(self.classifiers, name, image, mean)
        samples = None if wanted.uncertainty is None else class_samples(self.classifiers, mean, wanted.uncertainty)
        return ClassPrediction(self, name, image, classifications, mean, picture, samples=samples, wanted=wanted)

    def written(self, sidecar: Mapping[str, Any], folder: Path) -> WrittenCase:
        """A class with its confidence."""
        return _written_case(sidecar, folder)

    def files(self, case: Case) -> list[str]:
        """Names of all files that a prediction of the case may write."""
        return [f"{stem_of(case)}.json", f"{stem_of(case)}.png"]

    def page(self, cases: Sequence[PredictedCase]) -> PredictionsPage:
        """Totals by class, a contact sheet with the uncertain ones first, and what to distrust."""
        return said_page(cases, self.infos[0].classes, network_cards(self.infos))

    def score(self, scored: ScoredCohort, scoring: Scoring, place: ScoringPlace) -> Scores:
        """Score the mean of the classifiers, each beside it."""
        part = self.part(scored, place)
        with place.reporter.progress("Evaluating") as step:
            return score_ensemble(self.classifiers, self.infos, part, scoring, step)

    def part(self, scored: ScoredCohort, place: ScoringPlace) -> CohortPart:
        """Prepared as all of the networks see it."""
        network_cohort = with_modalities(scored.cohort, self.modalities)
        with place.reporter.progress("Preparing") as step:
            prepared = prepare(network_cohort, self.classifiers[0].prepare, place.cache, progress=step)
        return CohortPart.of(scored.part, of_patients(prepared, scored.patients), scored.cohort, place.copies)

    def page_of_scores(self, facts: RunFacts, scored: ScoredData, figures: Path) -> RunPage:
        """Decisions and confidence, pictures, cases."""
        return report.page_of_scores(facts, scored, self.classifiers, figures)


def class_members(folders: Sequence[Path], bundles: Sequence[Bundle], device: str) -> ClassifyMembers:
    """The classifiers of bundles as one.

    Raises:
        OptionError: a network that segments among them, one twice, or others in classes or in what they are shown.
    """
    first, *others = bundles
    for folder, bundle in zip(folders[1:], others, strict=True):
        expected, values = _meaning(first.info), _meaning(bundle.info)
        differing = [name for name in expected if expected[name] != values.get(name)]
        if differing:
            name = differing[0]
            raise OptionError(
                f"classifiers that are averaged have the same classes and are shown the same; {name} differs",
                path=folder,
                found=values.get(name),
                expected=expected[name],
                remedy="Average the folds or seeds of one recipe",
            )
    require_once_each(folders, bundles)
    classifiers = tuple(classifier_of(bundle, device) for bundle in bundles)
    return ClassifyMembers(classifiers, tuple(bundle.info for bundle in bundles))


def _meaning(info: BundleInfo) -> dict[str, Any]:
    """What members have in common, under names such as ``prepare.size``."""
    return dict(leaves(info.model_dump(mode="json", include={"classes", "modalities", "prepare", "slices"})))


@dataclass(frozen=True, eq=False)
class ClassPrediction(CasePrediction):
    """The class of one case.

    Args:
        members: the classifiers.
        name: what the case is called.
        image: (C, X, Y, Z), what they were shown.
        classifications: what each says.
        mean: of their probabilities.
        picture: the slice that speaks for the case, with where the networks looked.
        inputs: modality -> its files and channel; empty for arrays.
        samples: what the networks say when they are asked in several ways; None where nobody asked.
        wanted: what is asked beside the class.
    """

    members: ClassifyMembers
    name: str
    image: Image
    classifications: tuple[Classification, ...]
    mean: Classification
    picture: ClassifiedPicture
    inputs: Mapping[str, Any] = field(default_factory=dict)
    samples: ClassSamples | None = None
    wanted: Wanted = NOTHING_MORE

    @property
    def decided(self) -> str:
        """The class that is said."""
        return self.picture.said

    @property
    def confidence(self) -> float:
        """Its calibrated probability, 0 to 1."""
        return self.picture.confidence

    @property
    def probabilities(self) -> dict[str, float]:
        """Class -> calibrated probability, on the slice that speaks for the case."""
        return _named(self.mean, self.mean.telling_slice)

    @property
    def uncertain(self) -> bool:
        """Whether the next class is nearly as probable."""
        first, second = sorted(self.probabilities.values(), reverse=True)[:2]
        return first - second < UNCERTAIN

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the class should be looked at before it is believed, in sentences."""
        return tuple(map(in_python, self._warnings))

    @cached_property
    def _warnings(self) -> tuple[str, ...]:
        said = sorted(self.probabilities.items(), key=lambda item: -item[1])[:2]
        words = " or ".join(f"{name} ({percent(value)})" for name, value in said)
        uncertain = (f"Uncertain: {words}",) if self.uncertain else ()
        torn = () if self.samples is None else changed_minds(self.samples, self.mean)
        skull = skull_warnings(self.image, None, self.members.infos)
        filled = (
            *filling_words(self._filled(), self.image.modalities),
            *measured_words(self._filled(), self.members.infos),
        )
        return (*skull, *blank_words(self.image), *filled, *uncertain, *torn)

    def _kept(self) -> float | None:
        """The share of its accuracy that the network keeps with what it was shown, which is the same for all."""
        infos = self.members.infos
        return kept_share(shown_as_zeros(infos, [self.mean.arrays.images] * len(infos)), infos)

    def _filled(self) -> dict[str, str]:
        present = self.image.modalities
        return stand_ins(filled_modalities(self.members.classifiers, present), self.members.infos, present)

    def save(self, out: str | Path) -> WrittenCase:
        """Write ``<name>.png``, captioned and with Grad-CAM, and ``<name>.json``.

        Raises:
            FileError: they cannot be written.
        """
        folder, stem = Path(out), stem_of_name(self.name)
        path = folder / f"{stem}.png"
        write_bytes(path, captioned(self.picture))
        facts: dict[str, Any] = {"case": self.name, "picture": path.name}
        facts["forms"] = dict.fromkeys(DEFAULT_FORMS, path.name)  # a class has no other form than its picture
        facts |= self._facts() | _member_facts(self.members, self.classifications, self.mean.telling_slice)
        if self.wanted.explain:
            facts["explanation"] = without_modalities(self.members.classifiers, self.mean)
        if self.samples is not None:
            facts["uncertainty"] = sample_facts(self.samples, self.mean, self._kept()) | {
                "options": self.wanted.samples
            }
        write_json(folder / f"{stem}.json", facts)
        return replace(self.members.written(facts, folder), warnings=self._warnings)

    def _facts(self) -> dict[str, Any]:
        """What is said of the case, and by which networks."""
        return {
            "class": self.decided,
            "confidence": self.confidence,
            "uncertain": self.uncertain,
            "probabilities": self.probabilities,
            "slice": int(self.mean.numbers[self.mean.telling_slice]),
            "slices": [[round(float(p), 6) for p in row] for row in self.mean.probabilities],
            "slice_numbers": self.mean.numbers.tolist(),
            "looked_at": "Grad-CAM of the class that is said, laid over the picture on the right",
            **facts_of_use(
                self.inputs,
                self._filled(),
                self._warnings,
                self.members.model_id,
                self.members.infos,
                self.members.classifiers,
            ),
        }

    def __repr__(self) -> str:
        """In a line: what it is made of would fill pages."""
        return f"ClassPrediction({self.name}: {self.picture.words})"

    def _repr_html_(self) -> str:
        """The captioned picture."""
        picture = base64.b64encode(captioned(self.picture)).decode()
        alt = html.escape(f"{self.name}: {self.picture.words}, and where the network looked")
        return f'<img alt="{alt}" src="data:image/png;base64,{picture}">'


def _written_case(sidecar: Mapping[str, Any], folder: Path) -> WrittenCase:
    case, path = sidecar["case"], folder / sidecar["picture"]
    said = {name: sidecar[name] for name in ("class", "confidence", "uncertain", "probabilities")}
    row: Row = {
        "case": case,
        "class": said["class"],
        "confidence": said["confidence"],
        "uncertain": int(said["uncertain"]),
        **{f"p.{name}": value for name, value in said["probabilities"].items()},
    }
    doubt = ", uncertain" if said["uncertain"] else ""
    return WrittenCase(
        case=case,
        file=path,
        row=row,
        text=f"{path}: {said['class']}, confidence {100 * said['confidence']:.2f} %{doubt}",
        facts={"case": case, "picture": str(path), **said},
        sidecar=sidecar,
        picture=path,
        files=(path,),
        warnings=tuple(sidecar["warnings"]),
    )


def _member_facts(members: ClassifyMembers, classifications: Sequence[Classification], z: int) -> dict[str, Any]:
    """The temperature of one classifier; of several what each says of slice ``z``."""
    if len(classifications) == 1:
        return {"temperature": members.infos[0].temperature}
    by_member = [
        {"model_id": info.model_id, "temperature": info.temperature, "probabilities": _named(classification, z)}
        for info, classification in zip(members.infos, classifications, strict=True)
    ]
    return {"ensemble": {"rule": RULE, "members": by_member}}


def _named(classification: Classification, z: int) -> dict[str, float]:
    return dict(zip(classification.classes, map(float, classification.probabilities[z]), strict=True))
