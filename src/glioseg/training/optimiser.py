"""The optimisers of the recipes: torch's own."""

from __future__ import annotations

from torch import nn, optim

from glioseg.training.options import AdamOptions, AdamWOptions, SgdOptions, TrainOptions


def build_optimiser(model: nn.Module, options: TrainOptions) -> optim.Optimizer:
    """Adam (Kingma 2015), AdamW (Loshchilov 2019) or SGD with Nesterov momentum over all weights.

    Weight decay spares biases and the weights of normalisation layers, as is usual. On CUDA a step of Adam is one fused
    kernel; elsewhere, one operation for all weights at a time.
    """
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    spared = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    is_fused = next((weight.device.type for weight in model.parameters()), "cpu") == "cuda"
    foreach, fused = (None, True) if is_fused else (True, None)
    match options.optimiser:
        case AdamOptions():
            return optim.Adam(groups, lr=options.lr, foreach=foreach, fused=fused)
        case AdamWOptions():
            return optim.AdamW(groups, lr=options.lr, foreach=foreach, fused=fused)
        case SgdOptions(momentum=momentum):
            return optim.SGD(groups, lr=options.lr, momentum=momentum, nesterov=momentum > 0, foreach=True)
