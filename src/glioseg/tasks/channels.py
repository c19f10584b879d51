"""How modalities and neighbouring slices lie in the channels of an item."""

from __future__ import annotations

from collections.abc import Sequence

from glioseg.preparation.slices import SliceOptions
from glioseg.training.augment import ChannelLayout


def channel_layout(modalities: Sequence[str], slices: SliceOptions) -> ChannelLayout:
    """The layout that augmentation goes by; FLAIR is told apart, since a missing modality is replaced by it."""
    flair = next((row for row, name in enumerate(modalities) if name in ("flair", "t2f")), None)
    return ChannelLayout(len(modalities), slices.n_shown, flair)
