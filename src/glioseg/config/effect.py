"""Settings that have no effect in a recipe, each with what would give it one: they are refused.

What belongs to one kind of network, loss, optimiser or schedule stands in the options of that kind alone and cannot be
set elsewhere. This is the table of the others, whose effect other parts of the recipe decide. A setting without effect
may keep its default, so that a recipe can be written out whole; a change of it by ``--set``, a range of a search or
another value is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from glioseg.core.targets import TaskName
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.inference.options import PredictOptions
from glioseg.networks.build import ModelOptions, dims_of
from glioseg.networks.unet import UNetSettings
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.slices import SliceOptions
from glioseg.training.augment import AugmentOptions
from glioseg.training.options import TrainOptions
from glioseg.training.terms import DEFAULT_LOSS, LossOptions

Idle = dict[str, str]
"""Setting -> why it does nothing, and what would let it act, as the second half of a sentence."""


class _Data(Protocol):
    """``DataOptions``, as far as it decides what acts."""

    @property
    def modalities(self) -> tuple[str, ...] | None: ...


class _Parts(Protocol):
    """The parts of a recipe that decide which settings act."""

    @property
    def task(self) -> TaskName: ...
    @property
    def data(self) -> _Data: ...
    @property
    def prepare(self) -> PrepareOptions: ...
    @property
    def slices(self) -> SliceOptions: ...
    @property
    def model(self) -> ModelOptions: ...
    @property
    def loss(self) -> LossOptions: ...
    @property
    def augment(self) -> AugmentOptions: ...
    @property
    def predict(self) -> PredictOptions: ...
    @property
    def train(self) -> TrainOptions: ...
    @property
    def evaluate(self) -> EvaluateOptions: ...


_OF_MASKS = (
    *("activation", "threshold", "thresholds", "min_voxels", "min_ml", "largest_component", "kinds"),
    "black_is_background",
)
"""Settings of ``predict`` that say how a mask is drawn."""
_SEGMENTING = "; take a recipe that segments, such as lgg"


def idle_settings(recipe: _Parts) -> Idle:
    """The settings of a recipe that act on nothing."""
    rules = (
        *(_of_prediction, _of_evaluation, _of_preparation, _of_network, _of_augmentation, _of_loss, _of_slices),
        _of_training,
    )
    return {name: why for rule in rules for name, why in rule(recipe)}


def changed_idle(recipe: _Parts) -> Idle:
    """Those of them that differ from their default."""
    return {name: why for name, why in idle_settings(recipe).items() if _value(recipe, name) != _default(recipe, name)}


def sentence(idle: Idle) -> str:
    """``a has no effect: …; b has no effect: …``."""
    return "; ".join(f"{name} has no effect: {why}" for name, why in idle.items())


def _of_prediction(recipe: _Parts) -> Iterator[tuple[str, str]]:
    if recipe.task == "classify":
        for name in _OF_MASKS:
            yield f"predict.{name}", f"model.kind = {recipe.model.kind} says classes and draws no regions{_SEGMENTING}"
        return
    prepare = recipe.prepare
    if prepare.normalise == "z-score" and not prepare.brain_only:
        yield "predict.black_is_background", "black is not 0 in the input; set prepare.brain_only=true"
    if recipe.predict.activation == "softmax":
        why = "softmax paints the most probable of background and regions; set predict.activation=sigmoid, "
        why += f"and loss.kind={DEFAULT_LOSS['segment']}"
        for name in ("threshold", "thresholds", "tune"):
            yield f"predict.{name}", why
        return
    regions = prepare.regions
    if regions is not None and set(regions) <= set(recipe.predict.thresholds):
        yield "predict.threshold", "every region has one of its own; set predict.thresholds, or leave them out"


def _of_evaluation(recipe: _Parts) -> Iterator[tuple[str, str]]:
    if recipe.task == "classify":
        yield "evaluate.empty", f"classes have no masks that could be empty{_SEGMENTING}"
        for name in ("convention", "pixels"):
            yield f"evaluate.{name}", f"classes have no masks that could be measured{_SEGMENTING}"
    if recipe.evaluate.n_resamples == 0:
        yield "evaluate.seed", "nothing is drawn; set evaluate.n_resamples above 0"


def _of_preparation(recipe: _Parts) -> Iterator[tuple[str, str]]:
    prepare = recipe.prepare
    if prepare.normalise == "none" and prepare.clip_percentiles is None:
        yield "prepare.normalise_over", "nothing is normalised; set prepare.normalise, or prepare.clip_percentiles"


def _of_network(recipe: _Parts) -> Iterator[tuple[str, str]]:
    if isinstance(recipe.model, UNetSettings) and recipe.model.depth == 1:
        yield "model.deep_supervision", "one level has logits; set model.depth above 1"


def _of_augmentation(recipe: _Parts) -> Iterator[tuple[str, str]]:
    augment = recipe.augment
    for name in type(augment).model_fields:
        change = getattr(augment, name)
        if change.probability == 0:
            switch = "zero or augment.missing.flair" if name == "missing" else "probability"
            for setting in set(type(change).model_fields) - {"probability", "zero", "flair"}:
                yield f"augment.{name}.{setting}", f"the change is never made; set augment.{name}.{switch}"
    if augment.one_modality.probability == 1:
        for setting in ("zero", "flair", "at_most"):
            yield (
                f"augment.missing.{setting}",
                "each item shows one modality alone; set augment.one_modality.probability below 1",
            )
    if recipe.data.modalities is not None and len(recipe.data.modalities) == 1:
        yield "augment.one_modality.probability", "there is one modality; set data.modalities to several"


def _of_loss(recipe: _Parts) -> Iterator[tuple[str, str]]:
    weighted = recipe.loss.weighted_bce
    if weighted is not None and weighted.border.w0 == 0:
        for setting in ("sigma", "form"):
            yield f"loss.weighted_bce.border.{setting}", "there is no border term; set loss.weighted_bce.border.w0"


def _of_slices(recipe: _Parts) -> Iterator[tuple[str, str]]:
    if dims_of(recipe.model) == 3:
        for name in (*(f"slices.{field}" for field in SliceOptions.model_fields), "train.tumour_share"):
            yield name, "a 3-D network is trained on patches, not on slices; set model.dims=2 and patches=none"
    elif recipe.slices.choice == "tumour":
        yield "train.tumour_share", "all slices have tumour (slices.choice = tumour); set slices.choice=all"


def _of_training(recipe: _Parts) -> Iterator[tuple[str, str]]:
    train = recipe.train
    n = -(-train.epochs // train.validate_every)
    if train.early_stopping is not None and train.early_stopping >= n:
        yield (
            "train.early_stopping",
            f"it waits for {train.early_stopping} validations without improvement, and train.epochs = {train.epochs} "
            f"has {n}" + (f"; set train.early_stopping={max(n // 2, 1)}" if n > 1 else "; set train.epochs above 1"),
        )


def _value(options: object, name: str) -> Any:  # noqa: ANN401 - of any setting
    value: Any = options
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _default(recipe: _Parts, name: str) -> Any:  # noqa: ANN401 - of any setting
    *parents, last = name.split(".")
    holder = _value(recipe, ".".join(parents))
    return type(holder).model_fields[last].get_default(call_default_factory=True)
