"""``glioseg doctor``: what this machine has, what of it is free, what is installed, and which backend is quickest."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glioseg.console import QUIET, Reporter
from glioseg.errors import GliosegError
from glioseg.faces import on_command_line
from glioseg.inference.activation import probabilities_of
from glioseg.inference.backends import BACKENDS, Backend, computed_by, on_backend
from glioseg.inference.bundle import Bundle, load_bundle
from glioseg.inference.shipped import PREFIX, SHIPPED
from glioseg.inference.slices import predict_slices
from glioseg.inference.tracing import images_of_noise
from glioseg.machine.device import on_free_processors, uses_bf16
from glioseg.machine.environment import environment
from glioseg.machine.processors import processors

_DISTRIBUTION = "glioseg"
_NOT_FOR_USERS = "dev"
_MEASURED = "phantom"
"""The shipped network that backends are measured with: it is always there."""
_N_SLICES, _SIZE, _ROUNDS = 16, 128, 5
_CLEARLY = 1.1
"""How many times as fast as PyTorch another backend must be to be worth its name."""


@dataclass(frozen=True)
class BackendFigures:
    """How a backend does on this machine.

    Args:
        backend: its name.
        computed_by: library and precision.
        ready_s: seconds until it has taken the network over.
        slice_ms: milliseconds for a slice, the least of some rounds; None where it cannot be used,
        difference: the largest difference of a probability from those of PyTorch in fp32; None likewise.
        why: it cannot be used; empty where it can.
    """

    backend: Backend
    computed_by: str = ""
    ready_s: float | None = None
    slice_ms: float | None = None
    difference: float | None = None
    why: str = ""


def doctor(device: str = "auto", *, backends: bool = False, reporter: Reporter = QUIET) -> dict[str, Any]:
    """Facts by name: the machine, free processors, libraries, extras, shipped networks and, if asked for, backends.

    Raises:
        OptionError: no such device.
    """
    facts: dict[str, Any] = dict(environment(device))
    counts = processors()
    facts["processors"] = asdict(counts) | {"predict_threads": min(counts.threads, torch.get_num_threads())}
    facts["extras"] = missing_by_extra(metadata.requires(_DISTRIBUTION) or ())
    facts["models"] = {name: "installed" if model.is_installed else model.how_to_get for name, model in SHIPPED.items()}
    if backends:
        figures = measured_backends(reporter)
        facts["backends"] = [asdict(each) for each in figures]
        facts["quickest_backend"] = quickest(figures)
    return facts


def missing_by_extra(requirements: Sequence[str]) -> dict[str, list[str]]:
    """Extra -> those of its libraries that are not installed, from lines such as ``onnx>=1.17; extra == "deploy"``."""
    missing: dict[str, list[str]] = {}
    for line in requirements:
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if name is None or extra is None or extra[1] == _NOT_FOR_USERS:
            continue
        lacking = missing.setdefault(extra[1], [])
        if not _is_installed(name[0]):
            lacking.append(name[0])
    return missing


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def measured_backends(reporter: Reporter = QUIET) -> list[BackendFigures]:
    """Every backend on the same slices of noise, taking turns within each round."""
    bundle = load_bundle(Path(f"{PREFIX}{_MEASURED}"))
    taken: dict[Backend, Bundle] = {}
    figures: dict[Backend, BackendFigures] = {}
    with on_free_processors():
        for backend in BACKENDS:
            started = time.perf_counter()
            try:
                taken[backend] = on_backend(bundle, backend, "cpu")
            except GliosegError as error:
                figures[backend] = BackendFigures(backend, why=" ".join(on_command_line(error.text).split()))
            else:
                figures[backend] = BackendFigures(backend, ready_s=round(time.perf_counter() - started, 2))
        for backend, timed in _timed(taken, reporter).items():
            figures[backend] = replace(timed, backend=backend, ready_s=figures[backend].ready_s)
    return [figures[backend] for backend in BACKENDS]


def _timed(taken: Mapping[Backend, Bundle], reporter: Reporter) -> dict[Backend, BackendFigures]:
    info, bf16 = taken["torch"].info, uses_bf16("auto", torch.device("cpu"))
    images = images_of_noise((_N_SLICES, info.slices.n_channels(len(info.modalities)), _SIZE, _SIZE))
    with torch.inference_mode():
        expected = probabilities_of(taken["torch"].model(images), info.activation).numpy()
    array, times, differences = images.numpy(), dict.fromkeys(taken, np.inf), dict.fromkeys(taken, 0.0)
    with reporter.progress("Measuring backends") as step:
        for number in range(_ROUNDS):
            for backend, bundle in taken.items():
                started = time.perf_counter()
                probabilities = predict_slices(
                    bundle.model, lambda z: array[z], np.arange(_N_SLICES), n_slices=_N_SLICES, bf16=bf16
                )
                times[backend] = min(times[backend], time.perf_counter() - started)
                differences[backend] = float(np.abs(np.moveaxis(probabilities, 0, 1) - expected).max())
            step(number + 1, _ROUNDS)
    return {
        backend: BackendFigures(
            backend,
            computed_by(bundle.model, bf16=bf16),
            slice_ms=round(times[backend] / _N_SLICES * 1e3, 2),
            difference=round(differences[backend], 6),
        )
        for backend, bundle in taken.items()
    }


def quickest(figures: Sequence[BackendFigures]) -> Backend:
    """The backend to take: the quickest, where it is clearly quicker than PyTorch."""
    times = {each.backend: each.slice_ms for each in figures if each.slice_ms is not None}
    best = min(times, key=lambda backend: times[backend])
    return best if times["torch"] >= _CLEARLY * times[best] else "torch"


def doctor_text(facts: Mapping[str, Any]) -> str:
    """The facts for people, a line each."""
    lines = {name: str(value) for name, value in facts.items() if isinstance(value, str | int)}
    counts = facts["processors"]
    lines["processors"] = ", ".join(
        [
            f"{counts['present']} in the machine",
            f"{counts['allowed']} allowed",
            *([] if counts["quota"] is None else [f"{counts['quota']:g} by the container's quota"]),
            *([] if counts["idle"] is None else [f"{counts['idle']:.1f} not in use by others now"]),
            f"predict takes {counts['predict_threads']}",
        ]
    )
    for extra, missing in facts["extras"].items():
        lines[f"extra {extra}"] = f"without {', '.join(missing)}" if missing else "installed"
    for name, words in facts["models"].items():
        lines[f"{PREFIX}{name}"] = words
    width = max(map(len, lines))
    text = [f"{name:<{width}}  {words}" for name, words in lines.items() if name != "quickest_backend"]
    return "\n".join([*text, *(_backend_lines(facts) if "backends" in facts else ())])


def _backend_lines(facts: Mapping[str, Any]) -> list[str]:
    lines = ["", f"{'backend':<10}{'computed by':<16}{'ready after':>11}{'a slice':>12}{'probabilities differ by':>26}"]
    for each in facts["backends"]:
        if each["why"]:
            lines.append(f"{each['backend']:<10}{each['why']}")
            continue
        lines.append(
            f"{each['backend']:<10}{each['computed_by']:<16}{each['ready_s']:>9.2f} s{each['slice_ms']:>9.2f} ms"
            f"{each['difference']:>26.6f}"
        )
    best = facts["quickest_backend"]
    advice = "PyTorch is as quick as any: leave `--backend` out" if best == "torch" else f"Take `--backend {best}`"
    return [*lines, on_command_line(advice)]
