"""Where a classifier looked: Grad-CAM.

Source: Selvaraju RR et al. Grad-CAM: visual explanations from deep networks via gradient-based localization. ICCV 2017.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from glioseg.errors import OptionError


def grad_cam(model: nn.Module, image: npt.NDArray[np.float32], target: int) -> npt.NDArray[np.float32]:
    """How much each place of a picture spoke for a class.

    The last feature maps are summed, each weighted by the mean over its pixels of the gradient of the class's logit;
    what speaks against the class is cut off; the map is enlarged linearly to the picture's size and divided by its
    largest value. It tells what a decision rested on, not where a tumour ends.

    Args:
        model: a classifier (``features`` and ``head``) in evaluation mode, on its device; its weights are not touched.
        image: (C, Y, X) as the network sees it.
        target: index of the class.

    Returns:
        (Y, X) in 0..1; 0 everywhere where nothing speaks for the class.

    Raises:
        OptionError: a network without these two parts.
    """
    features, head = getattr(model, "features", None), getattr(model, "head", None)
    if not isinstance(features, nn.Module) or not isinstance(head, nn.Module):
        raise OptionError("Grad-CAM explains classifiers", found=type(model).__name__)
    device = next(model.parameters()).device
    with torch.no_grad():
        maps = features(torch.from_numpy(np.ascontiguousarray(image[None])).to(device))
    maps = maps.float().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(head(maps)[0, target], maps)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    spoken = F.relu((weights * maps.detach()).sum(dim=1, keepdim=True))
    large = F.interpolate(spoken, size=image.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    largest = large.max()
    shares = large / largest if largest > 0 else large
    return np.asarray(shares.cpu().numpy(), dtype=np.float32)
