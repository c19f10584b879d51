"""What the short names of labels and regions stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "NCR": "necrotic tumour core",
        "NET": "non-enhancing tumour",
        "NETC": "non-enhancing tumour core",
        "ED": "peritumoural oedema",
        "SNFH": "surrounding non-enhancing FLAIR hyperintensity",
        "ET": "enhancing tumour",
        "RC": "resection cavity",
        "CC": "cystic component",
        "WT": "whole tumour",
        "TC": "tumour core",
    }
)


def region_title(name: str) -> str:
    """``WT`` -> whole tumour; a name that is no abbreviation of this field stays as it is."""
    return _TITLES.get(name.upper(), name)


def region_meaning(name: str, labels: Sequence[str]) -> str:
    """``whole tumour: NCR + ED + ET``; of a region that is one label of its name the title alone, or nothing."""
    made_of = "" if [label.lower() for label in labels] == [name.lower()] else " + ".join(labels)
    title = "" if region_title(name) == name else region_title(name)
    return ": ".join(filter(None, (title, made_of)))
