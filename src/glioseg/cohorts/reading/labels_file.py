"""What the user tells in a ``labels.toml`` beside the data: what the integers of the masks mean.

[labels]
oedema = 1
core = 2

[regions]            # what is learnt and scored; each label is one where this is left out
WT = ["oedema", "core"]
TC = ["core"]
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from glioseg.core import SCHEMES, Finding, LabelScheme
from glioseg.core.schemes import own_scheme
from glioseg.errors import FileError, LabelError
from glioseg.io.text import read_toml

LABELS_FILE = "labels.toml"
_EXAMPLE = '[labels] with lines such as oedema = 1 and, if wanted, [regions] with WT = ["oedema", "core"]'


def unknown_scheme() -> Finding:
    """The warning where masks are there and nobody says what their integers mean."""
    names = ", ".join(SCHEMES)
    message = f"the files do not say what their labels mean: say it with `--labels`, or with `--scheme`, one of {names}"
    return Finding("warning", "unknown-scheme", message)


def read_labels_file(path: Path) -> LabelScheme:
    """The scheme that the file says.

    Raises:
        FileError: it cannot be read, or is no TOML.
        LabelError: it says no labels, or regions of labels that it does not say.
    """
    values = read_toml(path)
    unknown = sorted(set(values) - {"labels", "regions"})
    labels, regions = values.get("labels"), values.get("regions")
    if unknown or not _is_labels(labels) or not (regions is None or _is_regions(regions)):
        found = f"[{unknown[0]}]" if unknown else "no labels" if labels is None else "other values"
        raise FileError("does not say what labels mean", path=path, found=found, expected=_EXAMPLE)
    try:
        return own_scheme(labels, regions, source=path.name)
    except LabelError as error:
        raise LabelError(error.what, path=path, found=error.found, expected=error.expected) from error


def labels_toml(scheme: LabelScheme) -> str:
    """The text that says a scheme, its scored regions first: ``read_labels_file`` gives it back."""
    order = (*scheme.default_regions, *(name for name in scheme.regions if name not in scheme.default_regions))
    labels = [f"{json.dumps(name)} = {value}" for name, value in scheme.labels.items()]
    regions = [f"{json.dumps(name)} = {json.dumps(list(scheme.regions[name]))}" for name in order]
    return "\n".join(("[labels]", *labels, "", "[regions]", *regions, ""))


def _is_labels(values: Any) -> TypeGuard[Mapping[str, int]]:  # noqa: ANN401 - what the file holds
    return isinstance(values, Mapping) and bool(values) and all(_is_integer(value) for value in values.values())


def _is_regions(values: Any) -> bool:  # noqa: ANN401
    return (
        isinstance(values, Mapping)
        and bool(values)
        and all(
            isinstance(parts, list) and all(isinstance(part, str) or _is_integer(part) for part in parts)
            for parts in values.values()
        )
    )


def _is_integer(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int) and not isinstance(value, bool)
