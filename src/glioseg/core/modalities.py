"""The names of modalities, ours and the older ones; the one table of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

MODALITY_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("t1n", "t1", "t1w", "t1pre"), "t1n"),
        **dict.fromkeys(("t1c", "t1ce", "t1gd", "t1post", "t1wce", "t1km"), "t1c"),
        **dict.fromkeys(("t2w", "t2"), "t2w"),
        **dict.fromkeys(("t2f", "flair", "fla", "t2flair"), "t2f"),
    }
)
"""Names of modalities, lower case -> our names."""

MODALITY_ORDER = ("t1n", "t1c", "t2w", "t2f")
_OF_LGG = frozenset({"pre", "post"})
"""Names of LGG's other channels, beside which its FLAIR is called flair."""


def modality_of(word: str) -> str | None:
    """Our name of a modality, whatever case and older name is used (T1Gd, FLAIR); None where it is none."""
    return MODALITY_ALIASES.get(re.sub(r"[_\-. ]+", "", word).lower())


def our_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names as somebody says them, with ours for those that are aliases; those of LGG (pre, flair, post) stay."""
    if _OF_LGG & set(names):
        return tuple(names)
    return tuple(modality_of(name) or name for name in names)


def named_among(name: str, known: Collection[str]) -> str:
    """Which of the ``known`` modalities a name means: itself, or the one that it is an alias of; else itself."""
    ours = modality_of(name)
    return ours if name not in known and ours is not None and ours in known else name
