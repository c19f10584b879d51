"""Heads with their skull and brains without: which of the two a network was trained on, and which it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from glioseg.core import Case, Image
from glioseg.errors import GliosegError
from glioseg.inference.bundle import BundleInfo
from glioseg.io import load_image
from glioseg.preparation.ready.record import ReadyRecord
from glioseg.preparation.ready.skull import WITH_SKULL, has_skull, most_skull

TRAINING_HEADS: Mapping[bool, str] = MappingProxyType({True: "heads with their skull", False: "brains without skull"})
"""What a network was trained on, by ``BundleInfo.skull``."""
_LOOKED_AT = 5
"""Cases of a training: data sets are of one kind, as a rule."""


def skull_of_cases(cases: Sequence[Case]) -> bool | None:
    """Whether heads have their skull, by a few of them.

    None where some have and others have not, where nothing tells (pictures, no section of a head), and where the scans
    are no longer there.
    """
    step = max(1, len(cases) // _LOOKED_AT)
    answers = {_skull_of(case) for case in cases[::step][:_LOOKED_AT]} - {None}
    return answers.pop() if len(answers) == 1 else None


def _skull_of(case: Case) -> bool | None:
    try:
        return has_skull(load_image(case, tuple(case.images)))
    except GliosegError:
        return None


def skull_warnings(image: Image, ready: ReadyRecord | None, infos: Sequence[BundleInfo]) -> tuple[str, ...]:
    """A sentence for each network that was trained on the other kind; nothing of one whose kind is not known.

    Args:
        image: what the networks were shown, on its own grid.
        ready: what was done to it; None where nothing was.
        infos: of their bundles.
    """
    if all(info.skull is None for info in infos):
        return ()
    if ready is not None and ready.options.brain_extract:
        return tuple(_without(infos, was_removed=ready.brain is not None)) if ready.skull else ()
    seen = most_skull(image)
    if seen is None:
        return ()
    return tuple(_without(infos) if seen[1] < WITH_SKULL else _having(*seen, infos))


def _having(modality: str, share: float, infos: Sequence[BundleInfo]) -> Iterator[str]:
    for info in infos:
        if info.skull is False:
            remedy = "" if info.classes else ". Predict again with `--brain-extract`, which removes the skull"
            yield (
                f"{modality} shows a skull (bone on {share:.0%} of the ways from the outline inwards), and {info.name} "
                f"was trained on {TRAINING_HEADS[False]}: what it says here is worth little{remedy}"
            )


def _without(infos: Sequence[BundleInfo], *, was_removed: bool = False) -> Iterator[str]:
    for info in infos:
        if info.skull is True:
            said = "The skull was removed" if was_removed else "No skull is seen"
            remedy = ". Leave `--brain-extract` out" if was_removed else ""
            yield f"{said}, and {info.name} was trained on {TRAINING_HEADS[True]}: its answer may be worse{remedy}"
