"""Findings that several readers report in the same words."""

from __future__ import annotations

from glioseg.core import Finding
from glioseg.core.case import Severity

NO_MASKS = Finding("note", "missing-mask", "no case has a mask: usable for prediction only")


def read_once(severity: Severity, what: str, copies: str) -> Finding:
    """That ``what`` (files, slices) is in the folder twice; ``copies`` says which of them were left aside."""
    return Finding(severity, "repeated-file", f"{what} that are there twice are read once; left aside: {copies}")
