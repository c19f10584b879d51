"""Runs the command as a user does, without the start of another process."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest

from glioseg.cli.app import main


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """stdout, which must be one JSON object and nothing else."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    def findings(self, severity: str) -> list[tuple[str, str | None]]:
        """(kind, case) of the findings of that severity in the JSON of ``inspect``."""
        return [(each["kind"], each["case"]) for each in self.json["findings"] if each["severity"] == severity]


def glioseg(*arguments: object) -> Ran:
    """Run ``glioseg ARGUMENTS``; an error that the command does not handle ends the test, as a traceback must."""
    out, err = StringIO(), StringIO()
    code: object = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["glioseg", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    return Ran(code, out.getvalue(), err.getvalue())


def look(*arguments: object) -> Ran:
    """``glioseg inspect --json`` without the report, which takes seconds to draw."""
    return glioseg("inspect", *arguments, "--json", "--no-report", "--quiet")
