"""What decides a training, apart from data, network, loss and augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator, model_validator

from glioseg.evaluation.metrics import CLASS_SCORES, ScoreName
from glioseg.frozen import Frozen
from glioseg.inference.shipped import PREFIX, is_model_name
from glioseg.training.compiled import Compile


class _Kind(Frozen):
    """Options that ``kind`` tells apart; where there is nothing else to say, its word stands for them."""

    @model_validator(mode="before")
    @classmethod
    def _word_is_a_kind(cls, values: Any) -> Any:  # noqa: ANN401 - whatever stands in the recipe
        return {"kind": values} if isinstance(values, str) else values


class AdamOptions(_Kind):
    """Adam (Kingma 2015)."""

    kind: Literal["adam"] = Field("adam", description="Adam, whose weight decay is part of the gradient")


class AdamWOptions(_Kind):
    """AdamW (Loshchilov 2019)."""

    kind: Literal["adamw"] = Field("adamw", description="Adam with weight decay apart from the gradient")


class SgdOptions(_Kind):
    """Gradient descent with momentum."""

    kind: Literal["sgd"] = Field("sgd", description="gradient descent with momentum in Nesterov's form")
    momentum: float = Field(0.9, ge=0, lt=1, description="share of the last step in the next; 0 for none")


class ConstantOptions(_Kind):
    """The same rate throughout."""

    kind: Literal["constant"] = Field("constant", description="the rate stays as it is")


class CosineOptions(_Kind):
    """A fall to 0 as a cosine (Loshchilov 2017)."""

    kind: Literal["cosine"] = Field("cosine", description="the rate falls to 0 as a cosine")


class OneCycleOptions(_Kind):
    """A rise and a longer fall (Smith 2018)."""

    kind: Literal["one-cycle"] = Field("one-cycle", description="the rate rises to its peak and falls again")


class PolynomialOptions(_Kind):
    """A fall to 0 as (1 - t)^0.9 (Isensee 2021)."""

    kind: Literal["polynomial"] = Field("polynomial", description="the rate falls to 0 as (1 - t)^0.9")


class PlateauOptions(_Kind):
    """A fall where validation does not improve."""

    kind: Literal["plateau"] = Field("plateau", description="the rate falls where the validation score does not rise")
    factor: float = Field(0.5, gt=0, lt=1, description="by which the rate is multiplied")
    patience: int = Field(3, ge=0, description="validations without improvement that are forgiven")


def kind_of(options: Any) -> str:  # noqa: ANN401 - whatever stands in the recipe, valid or not
    """The word that tells options apart."""
    if isinstance(options, Mapping):
        return str(options.get("kind"))
    return options if isinstance(options, str) else str(getattr(options, "kind", None))


OptimiserOptions = Annotated[
    Annotated[AdamOptions, Tag("adam")] | Annotated[AdamWOptions, Tag("adamw")] | Annotated[SgdOptions, Tag("sgd")],
    Discriminator(kind_of),
]
"""The options of every optimiser."""
ScheduleOptions = Annotated[
    Annotated[ConstantOptions, Tag("constant")]
    | Annotated[CosineOptions, Tag("cosine")]
    | Annotated[OneCycleOptions, Tag("one-cycle")]
    | Annotated[PolynomialOptions, Tag("polynomial")]
    | Annotated[PlateauOptions, Tag("plateau")],
    Discriminator(kind_of),
]
"""The options of every schedule of the learning rate."""
OPTIMISERS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {"adam": AdamOptions, "adamw": AdamWOptions, "sgd": SgdOptions}
)
SCHEDULES: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "constant": ConstantOptions,
        "cosine": CosineOptions,
        "one-cycle": OneCycleOptions,
        "polynomial": PolynomialOptions,
        "plateau": PlateauOptions,
    }
)


class TrainOptions(Frozen):
    """Options of the training loop.

    Steps count optimiser updates; an epoch is one pass over the training part's slices (or patches).
    """

    start_from: str | None = Field(
        None,
        description="shipped network whose weights the training starts from, such as model:phantom; another one, of a "
        "run or bundle, is named by `--start-from`",
    )
    epochs: int = Field(50, ge=1, description="passes over the training part")
    batch_size: int = Field(16, ge=1, description="items of one optimiser update, over all processes")
    accumulate: int = Field(1, ge=1, description="parts in which a batch passes through the network, to save memory")

    optimiser: OptimiserOptions = Field(AdamWOptions(), description="what turns gradients into steps")
    lr: float = Field(1e-3, gt=0, description="learning rate; of a schedule its peak")
    weight_decay: float = Field(0.0, ge=0, description="pull of weights to 0; biases and normalisation are spared")

    schedule: ScheduleOptions = Field(ConstantOptions(), description="the learning rate over time")
    clip_norm: float | None = Field(None, gt=0, description="largest norm of the gradient")
    ema: float | None = Field(None, gt=0, lt=1, description="decay of the running mean of the weights")

    validate_every: int = Field(1, ge=1, description="epochs between validations")
    score: ScoreName = Field(
        "dice",
        description="case mean on validation that picks the best model; mean over regions; of a classifier one "
        f"of {', '.join(CLASS_SCORES)}",
    )
    keep: Literal["best", "last"] = Field(
        "best", description="which validated model is kept; last picks nothing by the validation part"
    )
    early_stopping: int | None = Field(None, ge=1, description="validations without improvement that end the training")
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints, besides one for each epoch")

    max_minutes: float | None = Field(
        None,
        gt=0,
        description="length of the training where its epochs take longer, resumes counted in; schedules fall over it",
    )
    max_steps: int | None = Field(None, ge=1, description="stop after that many steps, to be continued; validated then")

    tumour_share: float | None = Field(
        None, ge=0, le=1, description="share of slices with tumour in an epoch; None takes every slice once"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="number format of the network; auto takes bf16 where the device is faster in it"
    )
    recompute: bool = Field(
        False,
        description="make activations again in the backward pass rather than keep them: less memory, about a third "
        "more time, the same weights",
    )
    compile: Compile = Field(
        "no",
        description="PyTorch's compiler for the passes of the training: kernels, or those and CUDA graphs, which "
        "record their launches; the first steps take a minute, and digits are not those without",
    )
    patience_minutes: float = Field(
        10.0, gt=0, description="with several processes: how long one waits for the others before it gives up"
    )
    deterministic: bool = Field(True, description="on CUDA, use only kernels that repeat bit for bit")
    seed: int = Field(0, ge=0, description="of weights, order and augmentation")

    @field_validator("start_from")
    @classmethod
    def _is_shipped(cls, name: str | None) -> str | None:
        """A path would be another one elsewhere; whether there is such a network is asked where it is used."""
        if name is not None and not is_model_name(Path(name)):
            raise ValueError(
                f"start_from names a shipped network, such as {PREFIX}phantom; another is named by `--start-from`"
            )
        return name

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be taken in {self.accumulate} equal parts (accumulate)"
            )
        if self.compile != "no" and self.recompute:
            raise ValueError("compile and recompute exclude each other: the compiler decides itself what it keeps")
        if self.keep == "last" and self.early_stopping is not None:
            raise ValueError("early_stopping waits for a better model, and keep = last keeps none")
        return self
