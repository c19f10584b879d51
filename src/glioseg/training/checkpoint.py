"""Checkpoints: everything that a training needs to go on as if it had never stopped; tensors and plain values only."""

from __future__ import annotations

import difflib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from glioseg.errors import FileError, GliosegError, name_some
from glioseg.io.files import cannot_read, replacing
from glioseg.io.text import file_size

LATEST = "latest_checkpoint.pth"
BEST = "best_model.pth"
_REGULAR_BEST = "best_before_limit.pth"
"""The best model of the regular validations, while the best one may be of a validation at a limit."""


@dataclass(frozen=True)
class Identity:
    """What must not change between the parts of a training.

    Args:
        recipe: the settings that decide the weights, as plain values.
        split: hash of who is in which part.
        data: key of the prepared data.
        task: name of a task that is not the recipe's own.
        started_from: id of the model whose weights the training began with.
        own: what identifies a network or a loss that was given as an object.
    """

    recipe: Mapping[str, Any]
    split: str
    data: str
    task: str | None = None
    started_from: str | None = None
    own: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, as checkpoints hold them; what a training lacks is left out, as it was before it existed."""
        extras = {"task": self.task, "started_from": self.started_from, "own": self.own}
        identity = {"recipe": dict(self.recipe), "split": self.split, "data": self.data}
        return identity | {name: value for name, value in extras.items() if value is not None}


FORMAT = 1
"""Of the checkpoints that this version writes and reads; those of earlier versions do not say it."""
_HOLDS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = MappingProxyType(
    {
        LATEST: {"identity": dict, "progress": dict, "model": dict, "optimiser": dict},
        BEST: {"identity": dict, "model": dict, "epoch": int, "score": (int, float)},
    }
)
"""File -> what stands in it."""


class ResumeError(GliosegError):
    """A checkpoint that belongs to another recipe, split or data set."""


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` so that a reader meets the old file or the new one, never half of one.

    Raises:
        FileError: the disk is full or the folder cannot be written to; the old file is untouched.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save({"format": FORMAT, **state}, file)
        except RuntimeError as error:  # torch's zip writer says of a full disk that it stands at another place in it
            cause = error.__context__
            raise cause if isinstance(cause, OSError) else OSError(str(error).splitlines()[0]) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a checkpoint, on the CPU; nothing pickled is executed.

    Raises:
        FileError: missing, damaged, of a newer version, or not a checkpoint.
    """
    file_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the checksums that it writes
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        cause = cannot_read(path, error)
        details = None if cause.found is None else cause.found.partition(". ")[0]
        remedy = "Restore it from a copy, or begin anew with `--restart`"
        raise FileError(cause.what, path=path, found=details, remedy=remedy) from error
    _require_checkpoint(path, state)
    return dict(state)


def _require_checkpoint(path: Path, state: object) -> None:
    """Refuse what other programs, or newer versions, have written."""
    remedy = "Restore it from a copy, or begin anew with `--restart`"
    if not isinstance(state, dict):
        found = type(state).__name__
        raise FileError("not a checkpoint of glioseg", path=path, found=found, expected="a dictionary", remedy=remedy)
    if state.get("format", FORMAT) != FORMAT:
        raise FileError(
            "the checkpoint is of another version of glioseg",
            path=path,
            found=f"format {state['format']}",
            expected=f"format {FORMAT}",
            remedy="Use the version that wrote it, or begin anew with `--restart`",
        )
    holds = _HOLDS.get(path.name, {})
    wrong = [name for name, kind in holds.items() if not isinstance(state.get(name), kind)]
    if wrong:
        raise FileError(
            "not a checkpoint of glioseg",
            path=path,
            found=f"no {', '.join(wrong)}, among {name_some(state)}",
            expected=", ".join(holds),
            remedy=remedy,
        )


@contextmanager
def taking(path: Path) -> Iterator[None]:
    """Whatever does not fit while the state of a checkpoint is taken over is the checkpoint's fault.

    Raises:
        FileError: a part is missing, or of another network or optimiser.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise FileError(
            "the checkpoint does not fit this training",
            path=path,
            found=str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
            remedy="Restore it from a copy, or begin anew with `--restart`",
        ) from error


def set_best_aside(run: Path) -> None:
    """Keep the best model of the regular validations, before one at a limit may take its place.

    Raises:
        FileError: it cannot be copied.
    """
    best, aside = run / BEST, run / _REGULAR_BEST
    if best.exists() and not aside.exists():
        with replacing(aside) as temporary:
            shutil.copyfile(best, temporary)


def take_best_back(run: Path) -> None:
    """Undo ``set_best_aside``: the training goes on as if it had met no limit."""
    aside = run / _REGULAR_BEST
    if aside.exists():
        aside.replace(run / BEST)


def _settings_lines(changed: Sequence[str]) -> list[str]:
    return ["(-) kept and (+) given:\n  " + "\n  ".join(changed)] if changed else []


def require_same(
    path: Path,
    stored: Mapping[str, Any],
    identity: Identity,
    explain: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Refuse to continue where what decides the training has changed; the message shows the difference.

    Args:
        path: the checkpoint, for the message.
        stored: the identity in the checkpoint, as plain values.
        identity: of the training that is about to go on.
        explain: field of the identity -> what has changed in it, in words, where its values are hashes.

    Raises:
        ResumeError: they differ.
    """
    current = identity.to_json()
    if stored == current:
        return
    formats = [settings.get("format", 1) for settings in (stored.get("recipe", {}), current["recipe"])]
    if formats[0] != formats[1]:
        raise ResumeError(
            "a training is continued only by the version that began it",
            path=path,
            found=f"settings of format {formats[0]}",
            expected=f"format {formats[1]}",
            remedy="Use that version of glioseg, use another `--out`, or begin anew with `--restart`",
        )
    words = {name: text for name, text in explain().items() if stored.get(name) != current.get(name)}
    shown = ({name: value for name, value in values.items() if name not in words} for values in (stored, current))
    before, after = (json.dumps(values, indent=1, sort_keys=True).splitlines() for values in shown)
    changed = [
        line.rstrip(",")
        for line in difflib.unified_diff(before, after, lineterm="", n=0)
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    raise ResumeError(
        "the checkpoint belongs to another training",
        path=path,
        found="; ".join([*words.values(), *_settings_lines(changed)]),
        remedy=f"Go on with what it began with ({', '.join([*words, *(['settings'] if changed else [])])}), "
        "use another `--out`, or begin anew with `--restart`",
    )
