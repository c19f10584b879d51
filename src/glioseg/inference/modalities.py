"""Which modalities of a case a network is shown: all that it was trained on, or a set that it can do with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from glioseg.core import Case, Image
from glioseg.core.modalities import named_among
from glioseg.errors import GeometryError, listed
from glioseg.io.raster import COLOURS

ModalitySets = tuple[tuple[str, ...], ...]
"""Sets of modalities that a network was trained to do with alone; the others are shown to it as zeros."""

_CHANNEL = re.compile(r"\d{4}")
"""What stands in the place of a modality where files are named as nnU-Net names them without its dataset.json."""


def said_by_files(names: Iterable[str]) -> str:
    """How files of modalities are named, for messages."""
    return _said_by("FILE", names)


def _said_by(shown_in: str, names: Iterable[str]) -> str:
    return f"`{' '.join(f'--modality {name}={shown_in}' for name in names)}`"


def shown_modalities(
    needed: Sequence[str],
    present: Sequence[str],
    stand_in: str,
    sets: ModalitySets = (),
    case: Case | None = None,
) -> tuple[str, ...]:
    """Those of a case's modalities that a network is shown, in the network's order.

    All that it needs, if they are there. Otherwise those that are there, where the modality that stands in for others
    is one of them; otherwise the largest set that the network can do with, the first of several.

    Args:
        needed: channels of the network.
        present: what the case has.
        stand_in: ``prepare.missing``: a modality that is shown in the place of others, or ``zero``.
        sets: see ``ModalitySets``.
        case: for the message.

    Raises:
        GeometryError: the case lacks a modality that the network cannot do without.
    """
    shown = tuple(name for name in needed if name in present)
    if len(shown) == len(needed) or named_among(stand_in, tuple(needed)) in shown:
        return shown
    possible = [names for names in sets if set(names) <= set(shown)]
    if not possible:
        raise missing_modality_error(needed, present, sets, case)
    chosen = max(possible, key=len)
    return tuple(name for name in needed if name in chosen)


def only_shown(image: Image, modalities: Sequence[str]) -> Image:
    """Without the modalities that the network does not see: they must not decide what is brain."""
    rows = [row for row, name in enumerate(image.modalities) if name in modalities]
    if len(rows) == len(image.modalities):
        return image
    return Image(image.array[rows], tuple(image.modalities[row] for row in rows), image.grid)


def blank_words(image: Image) -> tuple[str, ...]:
    """A sentence for each modality that is the same everywhere: a scan that shows nothing gives a mask all the same."""
    return tuple(
        f"{name} is {'black' if channel.flat[0] == 0 else f'{channel.flat[0]:g}'} everywhere: it shows nothing, "
        "and what is said of this case is worth little"
        for name, channel in zip(image.modalities, image.array, strict=True)
        if channel.min() == channel.max()
    )


def missing_modality_error(
    needed: Sequence[str], present: Sequence[str], sets: ModalitySets = (), case: Case | None = None
) -> GeometryError:
    """The error for an input without a modality that the network needs."""
    missing = [name for name in needed if name not in present]
    fewest = [names for names in sets if not any(set(others) < set(names) for others in sets)]
    enough = "".join(f", or {listed(names)} alone" for names in fewest)
    return GeometryError(
        f"{'the input' if case is None else f'case {case.id}'} lacks {', '.join(missing)}",
        path=None if case is None or not case.images or _is_study(case) else next(iter(case.images.values())).shown,
        found=", ".join(present) or "none",
        expected=f"{', '.join(needed)}{enough}",
        remedy=_remedy(needed, present, missing, of_study=case is not None and _is_study(case)),
    )


def _is_study(case: Case) -> bool:
    """Whether a case is a DICOM study, whose series have numbers."""
    return any(source.kind == "dicom" for source in case.images.values())


def _remedy(needed: Sequence[str], present: Sequence[str], missing: Sequence[str], *, of_study: bool) -> str:
    if of_study:
        return (
            f"Where a series shows it, name it by its number: {_said_by('SERIES', missing)}; `glioseg inspect` lists "
            "all series and says why one cannot be used. Or use a network trained without it"
        )
    if present and all(_CHANNEL.fullmatch(name) for name in present):
        return (
            "These are numbers of channels, as nnU-Net names files: say in their order what they show, such as "
            f"`--modalities {','.join(needed)}`"
        )
    if set(needed) <= {*COLOURS, "grey"}:
        return "Give it a picture: its colours are taken from it, of a grey one three times the same"
    return f"Give it with {said_by_files(missing)}, or use a network trained without it"
