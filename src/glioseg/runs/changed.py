"""What has changed since a training began, in words: its scans, and who is in which part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from glioseg.cohorts.splits.split import Split
from glioseg.core import PARTS
from glioseg.errors import FileError, name_some
from glioseg.io.text import read_json

_SHOWN_DIGITS = 16


def shortened(files: Mapping[str, str]) -> dict[str, str]:
    """Digests as a run folder keeps them: enough to tell files apart."""
    return {name: digest[:_SHOWN_DIGITS] for name, digest in files.items()}


def data_digest(files: Mapping[str, str]) -> str:
    """One digest of a cohort: SHA-256 of its files' names and digests, as ``scans.json`` holds them, sorted by name.

    Args:
        files: source file, relative to the cohort -> digest of what it holds, at full length or ``shortened``.
    """
    return hashlib.sha256(json.dumps(shortened(files), sort_keys=True).encode()).hexdigest()


def scan_changes(kept: Path, files: Mapping[str, str]) -> str:
    """Which scans differ from those that a file of the run folder names.

    Args:
        kept: the file, as ``shortened`` gave it; older runs have none.
        files: of today, source file -> digest.
    """
    before, after = _mapping(kept), shortened(files)
    words = {
        "changed": [name for name in after if name in before and before[name] != after[name]],
        "new": [name for name in after if name not in before],
        "gone": [name for name in before if name not in after],
    }
    listed = "; ".join(f"{word}: {name_some(names)}" for word, names in words.items() if names)
    if not before:
        return "other scans, or prepared by another version of glioseg"
    return f"the scans {listed}" if listed else "the same scans, read or prepared in another way"


def split_changes(kept: Path, split: Split) -> str:
    """Which patients are in another part than the run's own ``split.json`` says."""
    before = _parts(_mapping(kept))
    after = _parts(split.parts)
    moved = sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
    words = (f"{name} from {before.get(name, 'no part')} to {after.get(name, 'no part')}" for name in moved)
    return f"the split: {name_some(words)}" if moved else "the split"


def _parts(parts: Mapping[str, object]) -> dict[str, str]:
    return dict(_placed(parts))


def _placed(parts: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for part in PARTS:
        names = parts.get(part)
        if isinstance(names, list | tuple):
            yield from ((str(name), part) for name in names)


def _mapping(path: Path) -> dict[str, object]:
    try:
        value = read_json(path)
    except FileError:
        return {}
    return value if isinstance(value, dict) else {}
