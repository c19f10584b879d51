"""What a folder is told to be a run by; known without loading torch, as reading and comparing runs need no more."""

from __future__ import annotations

from pathlib import Path

from glioseg.errors import FileError, name_some

RECIPE = "recipe.toml"
REPORT = "report.html"


def require_run(path: Path) -> None:
    """Make sure that a folder holds a run.

    Raises:
        FileError: it is not there, or holds something else.
    """
    if not path.is_dir():
        raise FileError("there is no such run folder", path=path, remedy="Check the path for a typing error")
    if not (path / RECIPE).exists():
        raise not_a_run(path, RECIPE)


def not_a_run(path: Path, missing: str) -> FileError:
    """What is said of a folder that holds no run, and what it lacks of one."""
    names = sorted(entry.name for entry in path.iterdir())
    return FileError(
        f"not a run folder: it has no {missing}",
        path=path,
        found=name_some(names, 3) or "an empty folder",
        expected="a folder that `glioseg train` has written",
    )
