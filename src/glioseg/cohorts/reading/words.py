"""The words by which names of files and folders say that something is a mask, or a picture."""

from __future__ import annotations

import re

_IMAGE_WORDS = "images?(?:tr|ts)?|imgs?|pictures?|scans?|inputs?|originals?|raw"
_MASK_WORDS = (
    "masks?|labels?(?:tr|ts)?|labelmaps?|segs?|dsegs?|segm|segmentations?|annotations?|gts?|ground[_\\- ]?truths?"
    "|truths?|targets?|rois?|vois?|contours?|delineations?|gtv[a-z0-9]?|glistrboost"
)
_EDGE = r"(?:^|(?<=[_\-. ]))"
_END = r"(?=$|[_\-. ])"
MASK_WORD = re.compile(f"{_EDGE}(?:{_MASK_WORDS}){_END}", re.IGNORECASE)
ROLE_WORD = re.compile(f"{_EDGE}(?:{_IMAGE_WORDS}|{_MASK_WORDS}){_END}", re.IGNORECASE)
SEPARATORS = "_-. "
QUALIFIERS = re.compile(
    r"tumou?rs?|lesions?|binary|manual|automated|expert|drawn|structural|anat|anatomical|stripped|unstripped"
    r"|png|jpe?g|tiff?|bmp|nii|nifti|files|tr|ts|all"
)
"""What may stand beside such a word in the name of a folder without saying anything else."""


def without_words(text: str) -> str:
    """``train_images`` -> ``train``, ``p1_mask_12`` -> ``p1_12``, ``mask`` -> nothing."""
    rest = ROLE_WORD.sub("", text)
    if rest == text:
        return text
    return re.sub(r"([_\-. ])[_\-. ]+", r"\1", rest).strip(SEPARATORS)
