"""The network of a bundle that classifies, on a device."""

from __future__ import annotations

from glioseg.inference.bundle import Bundle
from glioseg.inference.classifier import Classifier
from glioseg.machine.device import pick_device, uses_bf16


def classifier_of(bundle: Bundle, device: str = "auto") -> Classifier:
    """The bundle's network on a device."""
    torch_device = pick_device(device)
    info = bundle.info
    return Classifier(
        model=bundle.model.to(torch_device),
        modalities=info.modalities,
        classes=info.classes,
        prepare=info.prepare,
        slices=info.slices,
        temperature=info.temperature,
        flips=info.predict.flips,
        batch_size=info.predict.batch_size,
        bf16=uses_bf16("auto", torch_device),
        modality_sets=info.modality_sets,
    )
