"""The network of a bundle that segments, on a device."""

from __future__ import annotations

from glioseg.inference.backends import in_boxes
from glioseg.inference.bundle import Bundle
from glioseg.inference.predictor import Predictor
from glioseg.machine.device import pick_device, uses_bf16


def predictor_of(bundle: Bundle, device: str = "auto") -> Predictor:
    """The bundle's network on a device; it computes only where a case shows something, if it can."""
    torch_device = pick_device(device)
    info = bundle.info
    return Predictor(
        model=(in_boxes(bundle) or bundle.model).to(torch_device),
        modalities=info.modalities,
        regions=info.regions,
        scheme=bundle.scheme,
        prepare=info.prepare,
        slices=info.slices,
        options=info.predict,
        bf16=uses_bf16("auto", torch_device),
        patches=info.patches,
        shape=info.shape,
        modality_sets=info.modality_sets,
    )
