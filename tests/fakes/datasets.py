"""Miniatures of data sets with a ``dataset.json``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glioseg.cohorts.write import write_cohort
from tests.fakes.cases import toy_case, toy_cases


def write_msd(root: Path) -> Path:
    """Two training cases and a test case, the latter without labels."""
    write_cohort([*toy_cases(2), toy_case(3, scheme=None)], root, "msd")
    return root


def write_nnunet(root: Path) -> Path:
    """The same as nnU-Net's Dataset137 is laid out: regions, and cases toy-1, toy-2, toy-3."""
    write_cohort([*toy_cases(2), toy_case(3, scheme=None)], root, "nnunet")
    return root


def change_table(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit ``dataset.json`` in place."""
    content = json.loads((root / "dataset.json").read_text())
    change(content)
    (root / "dataset.json").write_text(json.dumps(content))
