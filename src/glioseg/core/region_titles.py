"""What the short names of labels and regions stand for."""

from __future__ import annotations

from collections.abc import Mapping
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
