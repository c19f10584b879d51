"""A place to work, by what the user calls it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from glioseg.errors import OptionError
from glioseg.workers.on_ray import OnRay
from glioseg.workers.where import HERE, Where


def where_of(text: str | None) -> Where:
    """What ``--on`` names: None is this process, ``ray`` starts one on this machine, ``ray://HOST:PORT`` joins one.

    Behind it, with commas, what each worker may use: ``ray,cpus=4,memory=8,gpus=1``.

    Raises:
        OptionError: neither.
    """
    if text is None:
        return HERE
    name, *bounds = (part.strip() for part in text.split(","))
    kind, separator, address = name.partition("://")
    if kind != "ray" or bool(separator) != bool(address):
        raise OptionError(
            "there is no such place to work",
            found=f"`--on {text}`",
            expected="ray, or ray://HOST:PORT of a cluster that runs, or ray://auto on one of its machines",
        )
    return OnRay(address or None, **_bounds(text, bounds))


_BOUNDS: Mapping[str, type[int] | type[float]] = {"cpus": int, "memory": float, "gpus": float}


def _bounds(text: str, given: Sequence[str]) -> dict[str, Any]:
    """``cpus=4`` -> {"cpus": 4}, of each."""
    bounds: dict[str, Any] = {}
    for each in given:
        name, _, value = each.partition("=")
        try:
            number = _BOUNDS[name](value)
            if not 0 < number < math.inf or (name == "gpus" and number > 1 and number % 1):
                raise ValueError(value)
        except (KeyError, ValueError) as error:
            raise OptionError(
                "what each worker may use is not understood",
                found=f"`--on {text}`",
                expected="cpus=N, memory=GB or gpus=N (a share of one GPU, or whole ones) behind the place, "
                "with commas: ray,cpus=4,memory=8",
            ) from error
        bounds[name] = number
    return bounds
