"""The optimisers of the recipes: torch's own."""

from __future__ import annotations

from torch import nn, optim

from glioseg.training.options import TrainOptions


def build_optimiser(model: nn.Module, options: TrainOptions) -> optim.Optimizer:
    """Adam (Kingma 2015), AdamW (Loshchilov 2019) or SGD with Nesterov momentum over all weights.

    Weight decay spares biases and the weights of normalisation layers, as is usual.
    """
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    spared = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    match options.optimiser:
        case "adam":
            return optim.Adam(groups, lr=options.lr, foreach=True)
        case "adamw":
            return optim.AdamW(groups, lr=options.lr, foreach=True)
        case "sgd":
            nesterov = options.momentum > 0
            return optim.SGD(groups, lr=options.lr, momentum=options.momentum, nesterov=nesterov, foreach=True)
