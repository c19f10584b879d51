"""Starting from the weights of another training: the rules by which they are taken over."""

from __future__ import annotations

from torch import nn

from glioseg.errors import OptionError, name_some
from glioseg.inference.bundle import Bundle
from glioseg.networks.classifier import PathClassifier

_HEAD = "head."


def take_weights(model: nn.Module, bundle: Bundle) -> tuple[str, ...]:
    """Give ``model`` the weights of a bundle's network.

    Every tensor of the one must be in the other, with the same shape, but those of the last layer (``head``): there
    classes or regions may be others, and what does not fit keeps the weights that it was made with. A
    ``classifier`` also takes the contracting path of a U-Net that segments.

    Args:
        model: changed in place.
        bundle: of a network with the same options, or of such a U-Net.

    Returns:
        The names of the tensors that kept their own weights.

    Raises:
        OptionError: the networks differ in more than their last layer.
    """
    own_weights, weights = model.state_dict(), bundle.model.state_dict()
    if isinstance(model, PathClassifier):
        weights = model.own_names(weights)
    differing = [
        name
        for name in own_weights | weights
        if name not in own_weights or name not in weights or own_weights[name].shape != weights[name].shape
    ]
    body = [name for name in differing if not name.startswith(_HEAD)]
    if body:
        first = body[0]
        shapes = [tuple(state[first].shape) if first in state else "none" for state in (weights, own_weights)]
        raise OptionError(
            "the weights to start from are of another network",
            found=f"{len(body)} tensors that differ: {name_some(body, 3)}; {first} has the shape {shapes[0]}",
            expected=f"the recipe's network, where it has {shapes[1]}",
            remedy="Train both with the same model settings, channels and slices",
        )
    model.load_state_dict({name: own_weights[name] if name in differing else weights[name] for name in own_weights})
    return tuple(differing)
