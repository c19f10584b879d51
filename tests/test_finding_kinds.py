"""The kinds of findings are a closed list, and docs/findings.md says what each of them means."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import glioseg
from glioseg.core import FindingKind, Severity

SOURCE = Path(glioseg.__file__).parent
PAGE = SOURCE.parents[1] / "docs" / "findings.md"
ROW = re.compile(r"\| `(?P<kind>[a-z-]+)` \| (?P<severities>[a-z, ]+) \| (?P<meaning>.+) \|")


def documented() -> dict[str, tuple[str, ...]]:
    """Kind -> severities."""
    if not PAGE.is_file():
        pytest.skip("the documentation is not beside this source")
    rows = [ROW.fullmatch(line) for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return {row["kind"]: tuple(row["severities"].split(", ")) for row in rows if row is not None}


def constants(node: ast.expr) -> list[str]:
    """The string constants in an expression: both branches of a choice, nothing of a variable."""
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node


def test_every_kind_has_a_meaning_and_nothing_else_has() -> None:
    assert sorted(documented()) == sorted(get_args(FindingKind))


def test_severities_are_those_of_the_type() -> None:
    assert {severity for each in documented().values() for severity in each} <= set(get_args(Severity))


def test_findings_have_the_kinds_and_severities_of_the_page() -> None:
    """As far as the source writes them out; mypy sees to the kinds that are variables."""
    table = documented()
    wrong = []
    seen = 0
    for place, call in calls():
        severity, kind = call.args[0], call.args[1]
        for name in constants(kind) if isinstance(kind, ast.Constant | ast.IfExp) else []:
            seen += 1
            said = constants(severity) if isinstance(severity, ast.Constant) else []
            wrong += [f"{place}: {name} is {each}" for each in said if each not in table.get(name, ())]
            wrong += [f"{place}: {name} is not on the page"] if name not in table else []
    assert not wrong
    assert seen > 30


def test_every_kind_occurs() -> None:
    """A kind that no reader and no check uses has no place in the list."""
    listed = SOURCE / "core" / "case.py"
    used = {
        node.value
        for path in SOURCE.rglob("*.py")
        if path != listed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(get_args(FindingKind)) <= used
