"""The slice of a case on which its class was decided, with where the networks looked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glioseg.core import Image
from glioseg.inference.backends import own_network
from glioseg.inference.classifier import Classification, Classifier
from glioseg.inference.explain import grad_cam
from glioseg.inference.predictor import to_native
from glioseg.preparation.slices import with_neighbours
from glioseg.report.classified import ClassifiedPicture, native_pixels
from glioseg.report.figures.views import shade


def picture_of(
    classifiers: Sequence[Classifier], case: str, image: Image, classification: Classification, z: int | None = None
) -> ClassifiedPicture:
    """A case's telling slice, or ``z`` of those shown, with what is said of it and where the networks looked.

    A picture is shown as it came; a slice of a scan as the network saw it, turned as on a radiologist's screen.
    """
    place = classification.telling_slice if z is None else z
    decided = int(classification.probabilities[place].argmax())
    arrays = classification.arrays
    network_image = with_neighbours(arrays.images, np.array([place]), classifiers[0].slices.n_neighbours)[0]
    maps = [grad_cam(own_network(classifier.model), network_image, decided) for classifier in classifiers]
    looked_at = np.asarray(np.mean(maps, axis=0), dtype=np.float32)
    if image.grid.has_mm or image.grid.shape[2] > 1:
        channel = arrays.images[place, 0].astype(np.float32)
        pixels = shade(channel, (float(channel.min()), float(max(channel.max(), channel.min() + 1e-6))))
    else:
        pixels = native_pixels(image, 0)
        looked_at = _on_picture(looked_at, classification)
    note = f"slice {classification.numbers[place]}" if len(classification.probabilities) > 1 else ""
    confidence = float(classification.probabilities[place, decided])
    return ClassifiedPicture(case, pixels, classification.classes[decided], confidence, None, looked_at, note)


def _on_picture(looked_at: npt.NDArray[np.float32], classification: Classification) -> npt.NDArray[np.float32]:
    """(Y, X) on the network's grid -> (rows, columns) of the picture; 0 where the network did not look."""
    native = to_native(looked_at[None, None], classification.arrays.working, classification.arrays.native)
    return np.asarray(native[0, :, :, 0].T.clip(0, 1), dtype=np.float32)
