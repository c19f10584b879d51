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
    own, other = model.state_dict(), bundle.model.state_dict()
    if isinstance(model, PathClassifier):
        other = model.own_names(other)
    differing = [
        name for name in own | other if name not in own or name not in other or own[name].shape != other[name].shape
    ]
    body = [name for name in differing if not name.startswith(_HEAD)]
    if body:
        shapes = [tuple(found[name].shape) if name in found else "none" for found in (other, own) for name in body[:1]]
        raise OptionError(
            "the weights to start from are of another network",
            found=f"{len(body)} tensors that differ: {name_some(body, 3)}; {body[0]} has the shape {shapes[0]}",
            expected=f"the recipe's network, where it has {shapes[1]}",
            remedy="Train both with the same model settings, channels and slices",
        )
    model.load_state_dict({name: own[name] if name in differing else other[name] for name in own})
    return tuple(differing)
