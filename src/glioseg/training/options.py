"""What decides a training, apart from data, network, loss and augmentation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from glioseg.evaluation.metrics import CLASS_SCORES, ScoreName


class TrainOptions(BaseModel):
    """Options of the training loop.

    Steps count optimiser updates; an epoch is one pass over the training part's slices (or patches).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(16, ge=1, description="items of one optimiser update, over all processes")
    accumulate: int = Field(1, ge=1, description="parts in which a batch passes through the network, to save memory")

    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD, with Nesterov's form")

    schedule: Literal["constant", "cosine", "one-cycle", "polynomial", "plateau"] = "constant"
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    plateau_patience: int = Field(3, ge=0, description="validations without improvement that are forgiven")
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

    max_minutes: float | None = Field(None, gt=0, description="stop as Ctrl-C does after that time, resumes counted in")
    max_steps: int | None = Field(None, ge=1, description="stop as Ctrl-C does after that many steps")

    tumour_share: float | None = Field(
        None, ge=0, le=1, description="share of slices with tumour in an epoch; None takes every slice once"
    )
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    deterministic: bool = Field(True, description="on CUDA, use only kernels that repeat bit for bit")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be taken in {self.accumulate} equal parts (accumulate)"
            )
        if self.keep == "last" and self.early_stopping is not None:
            raise ValueError("early_stopping waits for a better model, and keep = last keeps none")
        return self
