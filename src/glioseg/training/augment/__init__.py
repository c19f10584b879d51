"""Augmentation: random parameters are drawn first, one table for each batch, and applied without any chance afterwards.

``draw`` makes the table from the options and the place in the training, ``apply`` changes a batch by it, on the device
where the batch is; ``augment`` does both.
"""

from glioseg.training.augment.batch import apply, augment
from glioseg.training.augment.options import AugmentOptions
from glioseg.training.augment.table import AugmentTable, ChannelLayout, draw

__all__ = ["AugmentOptions", "AugmentTable", "ChannelLayout", "apply", "augment", "draw"]
