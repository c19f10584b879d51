"""A recipe: one TOML file with everything that decides a training, but paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from glioseg.cohorts.splits.split import SplitOptions
from glioseg.config.effect import changed_idle, idle_settings, sentence
from glioseg.core.modalities import modality_of, named_among
from glioseg.core.targets import TASK_WORDS, TaskName
from glioseg.errors import name_some
from glioseg.evaluation.metrics import CLASS_SCORES, REGION_SCORES
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.evaluation.published import MEAN, PublishedProtocol
from glioseg.evaluation.published_classes import PublishedClasses
from glioseg.frozen import Frozen
from glioseg.inference.options import PredictOptions
from glioseg.networks.build import ModelOptions, dims_of, needs_size, task_of
from glioseg.networks.unet import UNetOptions
from glioseg.options import Options, did_you_mean, names_of
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.slices import SliceOptions
from glioseg.training.augment import AugmentOptions
from glioseg.training.options import TrainOptions
from glioseg.training.ranges import Range
from glioseg.training.terms import DEFAULT_LOSS, LossOptions, loss_of

FORMAT: Literal[2] = 2
"""Of recipes that this version writes; it reads files of format 1, which do not say so, as well (``migration``)."""
TUNABLE = ("prepare", "slices", "patches", "model", "loss", "augment", "train", "predict")
"""Parts that decide how a network is trained and used, not what it is trained on or how it is scored."""
PublishedOptions = PublishedProtocol | PublishedClasses
PICKING_SCORES: Mapping[TaskName, Sequence[str]] = {"segment": REGION_SCORES, "classify": CLASS_SCORES}
"""Task -> the scores by which its best model can be picked."""


class DataOptions(Frozen):
    """What of a cohort a training uses.

    Attributes:
        modalities: channels of the network, in order, by our names or older ones (flair, t1ce); None takes all that
            the cohort has.
        modality_sets: sets of these that the network shall do with alone, as the bundle then says: cases that lack the
            others are predicted, with zeros in their place. Training must show that (``augment.missing.zero``).
        max_patients: use only so many patients, the first by name; None for all.
    """

    modalities: tuple[str, ...] | None = Field(None, min_length=1)
    modality_sets: tuple[tuple[str, ...], ...] = ()
    max_patients: int | None = Field(None, ge=2)

    @field_validator("modalities")
    @classmethod
    def _are_different(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        ours = [_our_name(name) for name in names or ()]
        if len(set(ours)) < len(ours):
            raise ValueError(f"{', '.join(names or ())}: a modality is named twice")
        return names

    @model_validator(mode="after")
    def _sets_are_of_the_modalities(self) -> Self:
        ours = [_our_name(name) for name in self.modalities or ()]
        for names in self.modality_sets:
            wanted = {_our_name(name) for name in names}
            if len(wanted) < len(names) or not wanted or not wanted < set(ours):
                raise ValueError(
                    f"modality_sets: {', '.join(names) or 'an empty set'} is not a set of some of modalities = "
                    f"{', '.join(self.modalities or ()) or 'all, whichever they are'}; name those in data.modalities"
                )
        return self

    def of(self, known: Sequence[str]) -> tuple[str, ...] | None:
        """The modalities by the names of a cohort that has the ``known`` ones; older names resolve to these."""
        return None if self.modalities is None else tuple(named_among(name, known) for name in self.modalities)

    def sets_of(self, known: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """The sets by the names of a network that sees the ``known`` modalities, each in the network's order."""
        named = ({named_among(name, known) for name in names} for names in self.modality_sets)
        return tuple(tuple(name for name in known if name in names) for names in named)


def _our_name(name: str) -> str:
    return modality_of(name) or name


class Recipe(Options):
    """All settings of a training; each part is documented where it is used.

    Attributes:
        format: of the file.
        name: what ``glioseg train`` calls it.
        about: one sentence.
        after: the publication it follows, if any.
        notes: what was chosen where the publication is ambiguous; printed in the report.
        patches: what a 3-D network is trained on, in place of slices; networks of slices have none.
        published: how the publication scored, and its figures.
        tune: settings that ``glioseg tune`` searches over, by name, and where; they decide nothing
            else.
    """

    format: Literal[2] = FORMAT
    name: str = "unnamed"
    about: str = ""
    after: str = ""
    notes: tuple[str, ...] = ()
    data: DataOptions = DataOptions()
    split: SplitOptions = SplitOptions()
    prepare: PrepareOptions = PrepareOptions()
    slices: SliceOptions = SliceOptions()
    patches: PatchOptions | None = None
    model: ModelOptions = UNetOptions()
    loss: LossOptions = loss_of(DEFAULT_LOSS["segment"])
    augment: AugmentOptions = AugmentOptions()
    train: TrainOptions = TrainOptions()
    predict: PredictOptions = PredictOptions()
    evaluate: EvaluateOptions = EvaluateOptions()
    published: PublishedOptions | None = None
    tune: Mapping[str, Range] | None = None

    @model_validator(mode="after")
    def _parts_fit_one_task(self) -> Self:
        faults = list(self._unfit_for_the_task())
        if faults:
            raise ValueError(f"model.kind = {self.model.kind} {TASK_WORDS[self.task]}: {'; '.join(faults)}")
        return self

    def _unfit_for_the_task(self) -> Iterator[str]:
        """All that has to be changed, so that nobody mends one after the other."""
        if self.loss.task != self.task:
            yield f"loss.kind = {self.loss.kind} does not; set loss.kind={DEFAULT_LOSS[self.task]}"
        scores = PICKING_SCORES[self.task]
        if self.train.score not in scores:
            yield f"train.score is one of {', '.join(scores)}, not {self.train.score}; set train.score={scores[0]}"
        if self.predict.task not in (None, self.task):
            yield "there are no thresholds to choose; set predict.tune=false"
        if self.published is not None and self.published.task != self.task:
            yield "the published figures are of the other kind; set published=none"
        if self.task == "classify" and self.slices.choice == "tumour":
            yield "slices with tumour are all of one class; set slices.choice=all"
        if needs_size(self.model) and self.prepare.size is None:
            yield "its dense layer needs pictures of one size; set prepare.size=128"

    @model_validator(mode="after")
    def _zeros_are_shown_in_training(self) -> Self:
        if self.data.modality_sets and not (self.augment.missing.zero > 0 and self.prepare.missing == "zero"):
            raise ValueError(
                "data.modality_sets promises predictions with zeros in the place of modalities, which training never "
                "shows; set augment.missing.zero=0.3 and prepare.missing=zero, or leave the sets out"
            )
        return self

    @model_validator(mode="after")
    def _published_regions_are_predicted(self) -> Self:
        """Found out before the training, not when it is scored."""
        if isinstance(self.published, PublishedProtocol) and self.prepare.regions is not None:
            published_regions = {name for figure in self.published.figures for name in figure.values} - {MEAN}
            lacking = sorted(published_regions - set(self.prepare.regions))
            if lacking:
                raise ValueError(
                    f"the published figures are of {name_some(lacking)} too, prepare.regions lacks "
                    f"{'them' if len(lacking) > 1 else 'it'}; set published=none to be scored by our rules alone"
                )
        return self

    @model_validator(mode="after")
    def _black_is_not_brain(self) -> Self:
        if self.predict.black_is_background and self.prepare.normalise == "min-max" and self.prepare.brain_only:
            raise ValueError(
                "with prepare.normalise = min-max the darkest of the brain is 0 as well as what is black, so that "
                "predict.black_is_background would cut holes into it; set prepare.normalise=z-score, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _loss_fits_activation(self) -> Self:
        if self.task == "segment" and self.loss.activation != self.predict.activation:
            other = ("ce or ce+dice", "bce+dice")[self.predict.activation == "sigmoid"]
            raise ValueError(
                f"loss.kind = {self.loss.kind} is for {self.loss.activation} and predict.activation = "
                f"{self.predict.activation}; set loss.kind={other}, or predict.activation={self.loss.activation}"
            )
        return self

    @model_validator(mode="after")
    def _regions_are_those_of_the_network(self) -> Self:
        regions = self.prepare.regions
        options = self.predict
        for name, regions_named in {
            "thresholds": tuple(options.thresholds),
            "min_voxels": tuple(options.min_voxels),
            "min_ml": tuple(options.min_ml),
            "largest_component": options.largest_component,
            "kinds": options.kinds,
        }.items():
            unknown = [] if regions is None else [region for region in regions_named if region not in regions]
            if regions is not None and unknown:
                raise ValueError(
                    f"prepare.regions = {', '.join(regions)}, and predict.{name} names {unknown[0]}, which is none of "
                    f"them; change either of the two"
                )
        return self

    @model_validator(mode="after")
    def _slices_or_patches(self) -> Self:
        """A setting that the network has no use for is refused, so that none is without effect."""
        if dims_of(self.model) == 2:
            of_volumes = {
                "there are no patches; set patches=none": self.patches is not None,
                'there is no depth along which to flip; set augment.flip.axes=["width","height"]': (
                    self.augment.flip.probability > 0 and "depth" in self.augment.flip.axes
                ),
            }
            wrong = [words for words, is_set in of_volumes.items() if is_set]
            if wrong:
                raise ValueError(f"the network is one of slices: {'; '.join(wrong)}; or set model.dims=3")
            return self
        without = [] if self.patches is not None else ["it is trained on patches; set patches.size=auto"]
        of_slices = {
            "split.protocol = slice is for networks of slices; set split.protocol=patient": (
                self.split.protocol == "slice"
            ),
            f"loss.kind = {self.loss.kind} has weight maps of slices; set loss.kind=bce+dice": self.loss.needs_border,
        }
        without += [words for words, is_set in of_slices.items() if is_set]
        if without:
            raise ValueError(f"model.dims = 3 makes a network of volumes: {'; '.join(without)}")
        return self

    @model_validator(mode="after")
    def _every_setting_acts(self) -> Self:
        idle = changed_idle(self)
        if idle:
            raise PydanticCustomError("without_effect", "{words}", {"words": sentence(idle), "settings": tuple(idle)})
        return self

    @model_validator(mode="after")
    def _ranges_are_of_settings(self) -> Self:
        for name in self.tune or ():
            if name.partition(".")[0] not in TUNABLE:
                raise ValueError(f"tune.{name}: only settings of {', '.join(TUNABLE)} can be searched over")
            if name not in {*names_of(Recipe), "loss.kind"}:
                raise ValueError(f"tune: there is no setting {name}{did_you_mean(name, Recipe)}")
        without = {name: why for name, why in idle_settings(self).items() if name in (self.tune or ())}
        if without:
            raise ValueError(f"tune: {sentence(without)}; or set tune=none")
        return self

    @property
    def task(self) -> TaskName:
        """What the network is asked for."""
        return task_of(self.model)
