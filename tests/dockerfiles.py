"""The steps of a Dockerfile, taken in a folder: where there is no Docker, what would be built is tried all the same.

``FROM`` becomes an empty virtual environment, ``/`` a folder, and every later step does in them what it would do in an
image: what is copied, what is installed, with which variables, what is started. Users, volumes and ports are read and
left alone. What no step here needs is refused, so that no line is passed over in silence.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_LEFT_ALONE = frozenset({"USER", "VOLUME", "EXPOSE", "LABEL"})
_STARTS = frozenset({"ENTRYPOINT", "CMD", "HEALTHCHECK"})
_PATIENCE_S = 1800.0


@dataclass(frozen=True)
class Step:
    """A step: ``RUN`` and what stands after it, continued lines joined."""

    instruction: str
    text: str


@dataclass
class Built:
    """What the steps have made.

    Args:
        root: stands for ``/``.
        variables: of the environment.
        folder: ``WORKDIR``.
        starts: ``ENTRYPOINT``, ``CMD`` and ``HEALTHCHECK``, as they are written.
        said: all that the others say, by instruction.
    """

    root: Path
    variables: dict[str, str]
    folder: Path
    starts: dict[str, list[str]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def at(self, path: str) -> Path:
        """Where a path of the image lies; relative ones are below ``WORKDIR``."""
        return self.root / path.lstrip("/") if path.startswith("/") else self.folder / path

    def command(self, instruction: str, replaced: Mapping[str, str] | None = None) -> list[str]:
        """What an instruction starts, with the paths as they are here and some words replaced, such as a port."""
        words = [str(self.at(word)) if word.startswith("/") else word for word in self.starts[instruction]]
        for old, new in (replaced or {}).items():
            words = [word.replace(old, new) for word in words]
        return [shutil.which(words[0], path=self.variables["PATH"]) or words[0], *words[1:]]


def steps_in(file: Path) -> tuple[Step, ...]:
    """The steps of a Dockerfile, in order."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    steps = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, text = line.partition(" ")
        steps.append(Step(instruction.upper(), text.strip()))
    return tuple(steps)


def build(file: Path, context: Path, root: Path, arguments: Mapping[str, str | None] | None = None) -> Built:
    """Take the steps.

    Args:
        file: the Dockerfile.
        context: the folder that is copied from.
        root: an empty folder, which becomes ``/``.
        arguments: in the place of what ``ARG`` says; None leaves one out.

    Raises:
        ValueError: a step that is not known here.
        AssertionError: a step that fails, with what it printed.
    """
    first, *others = steps_in(file)
    if first.instruction != "FROM" or not first.text.startswith("python:"):
        raise ValueError(f"FROM {first.text}: only images of Python are stood in for")
    venv.create(root / "venv", with_pip=True)
    path = os.pathsep.join((str(root / "venv" / "bin"), "/usr/local/bin", "/usr/bin", "/bin"))
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    built = Built(root, {**kept, "PATH": path, "HOME": str(root / "root"), "LANG": "C.UTF-8"}, root)
    given: dict[str, str] = {}
    for step in others:
        _take(step, built, context, given, arguments or {})
    return built


def _take(step: Step, built: Built, context: Path, given: dict[str, str], arguments: Mapping[str, str | None]) -> None:
    if step.instruction == "ARG":
        name, _, value = step.text.partition("=")
        chosen = arguments.get(name, value)
        given.update({name: chosen} if chosen is not None else {})
    elif step.instruction == "ENV":
        for word in shlex.split(step.text):
            name, _, value = word.partition("=")
            built.variables[name] = str(built.at(value)) if value.startswith("/") else value
    elif step.instruction == "WORKDIR":
        built.folder = built.at(step.text)
        built.folder.mkdir(parents=True, exist_ok=True)
    elif step.instruction == "COPY":
        _copy(shlex.split(step.text), built, context)
    elif step.instruction == "RUN":
        _run(step.text, built, given)
    elif step.instruction in _STARTS:
        built.starts[step.instruction] = json.loads(step.text[step.text.index("[") :])
    elif step.instruction in _LEFT_ALONE:
        built.said[step.instruction] = step.text
    else:
        raise ValueError(f"{step.instruction} is not known here")


def _copy(words: Sequence[str], built: Built, context: Path) -> None:
    """The content of folders, and files by their names, as Docker does it."""
    *sources, target = words
    if any(word.startswith("--") for word in sources):
        raise ValueError(f"COPY {' '.join(words)}: its options are not known here")
    place = built.at(target)
    for source in sources:
        origin = context / source
        if origin.is_dir():
            shutil.copytree(origin, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".git"))
        else:
            is_folder = target.endswith(("/", ".")) or len(sources) > 1
            goal = place / origin.name if is_folder else place
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, goal)


def _run(command: str, built: Built, given: Mapping[str, str]) -> None:
    absolute = [word for word in shlex.split(command) if word.startswith("/")]
    if absolute:
        raise ValueError(f"RUN {command}: write {absolute[0]} relative to WORKDIR, which is a folder here")
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=built.folder,
        env={**built.variables, **given},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"RUN {command}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
