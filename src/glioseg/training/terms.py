"""What decides a loss: a sum of named terms, each with the options that act on it and a weight of its own.

``[loss.dice]`` in a recipe is the term ``dice``; a loss has the terms that are named. Whoever adds a term adds its
options here, a field of ``LossOptions``, and a row to the table of ``losses``.

References:
    [1] Milletari F, Navab N, Ahmadi S-A. V-Net. 3DV 2016 (soft Dice).
    [2] Lin T-Y et al. Focal loss for dense object detection. ICCV 2017.
    [3] Salehi SSM, Erdogmus D, Gholipour A. Tversky loss function for image segmentation. MLMI 2017.
    [4] Ronneberger O, Fischer P, Brox T. U-Net. MICCAI 2015 (weight maps).
    [5] Patsatzi FA, Whiteley Tscherniak I. Report on brain tumour segmentation in LGG, TU Munich 2023.
    [6] Wu Z, Shen C, van den Hengel A. Bridging category-level and instance-level semantic image segmentation.
        arXiv:1605.06885, 2016 (online bootstrapping).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from glioseg.core.targets import TaskName
from glioseg.errors import listed
from glioseg.frozen import Frozen
from glioseg.inference.options import Activation
from glioseg.preparation.border import BorderOptions

COMBINED = "combined"
DEFAULT_LOSS: Mapping[TaskName, str] = MappingProxyType({"segment": "bce+dice", "classify": "cross-entropy"})
"""Task -> the loss that suits it where nothing else is asked for."""


class TermOptions(Frozen):
    """What every term has.

    Attributes:
        weight: that the term is multiplied by in the sum.
    """

    task: ClassVar[TaskName] = "segment"
    """The task whose targets it takes."""
    activations: ClassVar[Sequence[Activation]] = ("sigmoid",)
    """What it takes logits for."""

    weight: float = Field(1.0, gt=0)


class BceOptions(TermOptions):
    """Binary cross-entropy, mean over voxels and regions."""


class CeOptions(TermOptions):
    """Cross-entropy of background and regions that exclude each other, mean over the voxels.

    Attributes:
        weights: of the voxels of the background and of each region, for a weighted mean; None weighs them alike.
    """

    activations: ClassVar[Sequence[Activation]] = ("softmax",)

    weights: tuple[float, ...] | None = None

    @field_validator("weights")
    @classmethod
    def _are_positive(cls, weights: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if weights is not None and not all(weight > 0 for weight in weights):
            raise ValueError("weights of voxels are numbers above 0")
        return weights


class DiceOptions(TermOptions):
    """Soft Dice [1], mean over the regions.

    Attributes:
        over: one Dice per region over all voxels of the ``batch``, or one for each ``item`` of it.
        denominator: ``squares`` of probabilities and regions as by Milletari et al. [1], or plain ``sums``.
        smoothing: added to numerator and denominator, so that a region that is absent and not predicted costs nothing.
    """

    activations: ClassVar[Sequence[Activation]] = ("sigmoid", "softmax")

    over: Literal["batch", "item"] = "item"
    denominator: Literal["squares", "sums"] = "squares"
    smoothing: float = Field(1.0, gt=0)


class FocalOptions(TermOptions):
    """Focal loss [2], mean over voxels and regions.

    Attributes:
        gamma: how much less voxels count that are right already.
        alpha: weight of voxels inside a region, 1 − alpha of those outside; None weighs them alike.
    """

    gamma: float = Field(2.0, ge=0)
    alpha: float | None = Field(None, ge=0, le=1)


class TopKOptions(TermOptions):
    """Binary cross-entropy of the hardest voxels alone [6], mean over them.

    Attributes:
        share: of the batch's voxels that count in each region: those whose cross-entropy is largest.
    """

    share: float = Field(0.1, gt=0, le=1)


class TverskyOptions(TermOptions):
    """Tversky loss [3], mean over the regions.

    Attributes:
        alpha: weight of false positives.
        beta: weight of false negatives.
        over: one index per region over all voxels of the ``batch``, or one for each ``item`` of it.
        smoothing: added to numerator and denominator, so that a region that is absent and not predicted costs nothing.
    """

    alpha: float = Field(0.3, ge=0)
    beta: float = Field(0.7, ge=0)
    over: Literal["batch", "item"] = "item"
    smoothing: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _something_is_wrong(self) -> Self:
        if not self.alpha + self.beta:
            raise ValueError("a Tversky loss with alpha and beta of 0 is 0 whatever is predicted")
        return self


class WeightedBceOptions(TermOptions):
    """The mean of weight × binary cross-entropy of a voxel, with a map that weighs borders [4, 5].

    Attributes:
        class_weights: w_c of the weight map: ``balanced`` by the frequency of each region in the training part, or
            ``equal``, 1 for all voxels.
        border: the border term of the weight map.
    """

    class_weights: Literal["balanced", "equal"] = "balanced"
    border: BorderOptions = BorderOptions()


class CrossEntropyOptions(TermOptions):
    """Cross-entropy of a picture's class (``tasks.classify.loss``).

    Attributes:
        class_weights: ``balanced`` by the frequency of each class in the training part, or ``equal``.
        label_smoothing: share of the target that is spread evenly over all classes.
    """

    task: ClassVar[TaskName] = "classify"

    class_weights: Literal["balanced", "equal"] = "balanced"
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class LossOptions(Frozen):
    """The terms of a loss, at least one; what is None is no part of the sum.

    Where values are read, ``kind`` may name the terms in one word, as ``bce+dice``; options of these terms may stand
    beside it.

    Attributes:
        bce: binary cross-entropy.
        ce: cross-entropy of regions that exclude each other.
        dice: soft Dice.
        focal: focal loss.
        topk: cross-entropy of the hardest voxels.
        tversky: Tversky loss.
        weighted_bce: border-weighted cross-entropy.
        cross_entropy: of a picture's class, for classifiers.
    """

    bce: BceOptions | None = None
    ce: CeOptions | None = None
    dice: DiceOptions | None = None
    focal: FocalOptions | None = None
    topk: TopKOptions | None = None
    tversky: TverskyOptions | None = None
    weighted_bce: WeightedBceOptions | None = None
    cross_entropy: CrossEntropyOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _kind_names_terms(cls, values: Any) -> Any:  # noqa: ANN401 - whatever stands under [loss]
        if isinstance(values, Mapping) and COMBINED in values:
            raise ValueError(f"{COMBINED} is no term: {COMBINED} is a word for several; set loss.kind={COMBINED}")
        if not isinstance(values, Mapping) or "kind" not in values:
            return values
        terms = terms_of(str(values["kind"]))
        given = {name: value for name, value in values.items() if name != "kind"}
        for name in given:
            if name in cls.model_fields and name not in terms:
                raise ValueError(
                    f"kind = {values['kind']} has no term {name}; leave [loss.{name}] out, "
                    f"or set loss.kind={values['kind']}+{word_of(name)}"
                )
        return {name: {} for name in terms} | given

    @model_validator(mode="after")
    def _terms_fit_together(self) -> Self:
        terms = self.terms
        if not terms:
            raise ValueError(f"a loss has at least one term: set loss.kind={DEFAULT_LOSS['segment']}")
        first, *others = terms
        for other in others:
            if terms[other].task != terms[first].task:
                raise ValueError(f"{first} and {other} are of two tasks: leave one of them out")
        if not _common_activations(terms.values()):
            raise ValueError(
                f"{self.kind}: ce takes softmax, and {listed(_of_sigmoid_alone(terms))} sigmoid: leave one out"
            )
        return self

    @property
    def terms(self) -> dict[str, TermOptions]:
        """Name -> options of the terms of the sum, in the order in which they are added up."""
        options = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: term for name, term in options if term is not None}

    @property
    def kind(self) -> str:
        """The terms in one word, without options and weights."""
        names = set(self.terms)
        return COMBINED if names == set(terms_of(COMBINED)) else "+".join(word_of(name) for name in self.terms)

    @property
    def task(self) -> TaskName:
        """The task that it trains."""
        return next(iter(self.terms.values())).task

    @property
    def activation(self) -> Activation:
        """What the loss takes logits for."""
        return _common_activations(self.terms.values())[0]

    @property
    def needs_border(self) -> bool:
        """Whether the loss takes weight maps, which the prepared cache then has to hold."""
        return self.weighted_bce is not None

    @property
    def needs_class_weights(self) -> bool:
        """Whether the regions' frequencies in the training part are needed."""
        return self.weighted_bce is not None and self.weighted_bce.class_weights == "balanced"


def terms_of(kind: str) -> tuple[str, ...]:
    """The names of the terms that a word such as ``bce+dice`` or ``combined`` stands for.

    Raises:
        ValueError: there is no such term, or one is named twice.
    """
    if kind == COMBINED:
        return ("dice", "weighted_bce")
    words = [word_of(word) for word in kind.split("+")]
    by_word = {word_of(name): name for name in LossOptions.model_fields}
    for word in words:
        if word not in by_word:
            raise ValueError(
                f"there is no loss {word}: kind is {COMBINED}, or some of {', '.join(by_word)} joined by +"
            )
    if len(set(words)) < len(words):
        raise ValueError(f"kind = {kind} names a term twice; give it a weight instead")
    return tuple(by_word[word] for word in words)


def loss_of(kind: str, **options: Mapping[str, Any]) -> LossOptions:
    """The loss that ``kind`` names, with options of its terms: ``loss_of("bce+dice", dice={"over": "batch"})``."""
    return LossOptions.model_validate({"kind": kind, **options})


def word_of(term: str) -> str:
    """``weighted_bce`` -> ``weighted-bce``, as it stands in ``kind``."""
    return term.replace("_", "-")


def _common_activations(terms: Any) -> list[Activation]:  # noqa: ANN401 - a view of options
    several = list(terms)
    return [
        activation for activation in several[0].activations if all(activation in term.activations for term in several)
    ]


def _of_sigmoid_alone(terms: Mapping[str, TermOptions]) -> list[str]:
    return [name for name, term in terms.items() if "softmax" not in term.activations]
