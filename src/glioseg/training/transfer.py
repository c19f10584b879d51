"""Starting from the weights of another training: the rules by which they are taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from glioseg.core.modalities import shown_by
from glioseg.errors import OptionError, name_some
from glioseg.inference.bundle import Bundle
from glioseg.networks.classifier import PathClassifier

_HEAD = "head."


def take_weights(model: nn.Module, bundle: Bundle, modalities: Sequence[str]) -> tuple[str, ...]:
    """Give ``model`` the weights of a bundle's network.

    Every tensor of the one must be in the other, with the same shape, but those of the last layer (``head``): there
    classes or regions may be others, and what does not fit keeps the weights that it was made with. A
    ``classifier`` also takes the contracting path of a U-Net that segments. A network of fewer modalities takes those
    channels of the first layer that see them: it begins as the other does where the rest is 0.

    Args:
        model: changed in place.
        bundle: of a network with the same options, or of such a U-Net.
        modalities: of the images that ``model`` sees, in order.

    Returns:
        The names of the tensors that kept their own weights.

    Raises:
        OptionError: the networks differ in more than their last layer and some of the modalities.
    """
    own_weights, weights = model.state_dict(), bundle.model.state_dict()
    if isinstance(model, PathClassifier):
        weights = model.own_names(weights)
    weights = _seeing(modalities, weights, own_weights, bundle)
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
            found=f"{len(body)} tensors that differ: {name_some(body, 3)}; {first} has the shape {shapes[0]}; "
            f"it sees {', '.join(bundle.info.modalities)}",
            expected=f"the recipe's network, where it has {shapes[1]}; that sees {', '.join(modalities)}",
            remedy="Train both with the same model settings and slices, and the second with modalities of the first, "
            "or start from none (`--set train.start_from=none`)",
        )
    model.load_state_dict({name: own_weights[name] if name in differing else weights[name] for name in own_weights})
    return tuple(differing)


def _seeing(
    modalities: Sequence[str], weights: dict[str, Tensor], own_weights: Mapping[str, Tensor], bundle: Bundle
) -> dict[str, Tensor]:
    """The weights of a network that sees some of its modalities alone; of another number of others, as they are.

    Raises:
        OptionError: both networks see the same modalities, each in an order of its own.
    """
    shown, before = [shown_by(name) for name in modalities], [shown_by(name) for name in bundle.info.modalities]
    if len(shown) == len(before):
        if shown != before and set(shown) == set(before):
            raise OptionError(
                "the network to start from sees the modalities in another order",
                found=", ".join(modalities),
                expected=", ".join(bundle.info.modalities),
                remedy="Name them in that order (`data.modalities`)",
            )
        return weights
    if not set(shown) < set(before):
        return weights
    n_shown = bundle.info.slices.n_shown
    rows = [place * len(before) + before.index(name) for place in range(n_shown) for name in shown]
    return {
        name: tensor[:, rows] if _sees_all(tensor, own_weights.get(name), n_shown * len(before), len(rows)) else tensor
        for name, tensor in weights.items()
    }


def _sees_all(tensor: Tensor, own_tensor: Tensor | None, n_channels: int, n_own: int) -> bool:
    """Whether a tensor (C_out, C_in, …) is of a layer that sees the images: it alone is of another size in the own."""
    return own_tensor is not None and tensor.ndim > 1 and (tensor.shape[1], own_tensor.shape[1]) == (n_channels, n_own)
