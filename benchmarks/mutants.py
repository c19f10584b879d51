"""What no test would miss if it broke: small faults put into a room's code at random, and its tests asked.

python benchmarks/mutants.py ROOM OUT [--sample 150] [--seed 0]

A mutant is one file with one operator, constant or condition exchanged. Which tests run a line is measured first
(coverage, a context for each test); a mutant is shown to those alone, in a process of its own that ends with the first
failure. What no test ran counts as survived. OUT gets ``ROOM.jsonl``, a line for each mutant, and goes on where it was
stopped. At the end stands the share that was noticed, with a 95 % interval (Wilson), and every survivor. Linux, macOS.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.util
import json
import math
import os
import random
import resource
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import coverage
import pytest

_ROOT = Path(__file__).parents[1]
_SOURCE = _ROOT / "src"
_MOST_CPU_S = 40
_MOST_TESTS = 60
_BROKEN = 99
_LIBRARIES = (
    *("numpy", "scipy.ndimage", "scipy.stats", "scipy.spatial", "pandas", "pydantic", "nibabel", "PIL.Image"),
    *("tifffile", "h5py", "hypothesis", "skimage.measure", "torch", "matplotlib.figure", "typer"),
)
"""Imported once, before processes are made of this one; nothing of glioseg."""
_SWAPS: Mapping[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Mutant:
    """A file of the room, the node (by its number in ``ast.walk``; 0 is no fault at all) and which of its changes."""

    file: str
    node: int
    change: int
    line: int
    end_line: int
    before: str
    after: str


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All mutants of a file, but those of types, names of exports and what is read by people."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    spared = _spared(tree)
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in spared or not hasattr(node, "lineno"):
            continue
        for change in range(_n_changes(node)):
            mutated = copy.deepcopy(node)
            _apply(mutated, change)
            before, after = ast.unparse(node), ast.unparse(mutated)
            file = path.relative_to(_ROOT).as_posix()
            yield Mutant(file, number, change, node.lineno, node.end_lineno or node.lineno, before, after)


def _spared(tree: ast.AST) -> set[int]:
    """Annotations, decorators' arguments, messages of exceptions and text: changing them is no fault of behaviour."""
    spared: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.arg | ast.AnnAssign):
            parts.append(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts += [node.returns, *node.decorator_list]
        if isinstance(node, ast.ClassDef):
            parts += [*node.bases, *node.decorator_list]
        if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
            parts.append(node)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            parts.append(node)
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_type(node.value):
            parts.append(node)
        for part in parts:
            spared.update(id(each) for each in ast.walk(part)) if part is not None else None
    return spared


def _is_type(value: ast.AST | None) -> bool:
    """Whether what is assigned is an alias of types, ``A | B``."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        return all(isinstance(part, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp | ast.Constant)
                   for part in (value.left, value.right)) and not isinstance(value.left, ast.Constant)  # fmt: skip
    return False


def _n_changes(node: ast.AST) -> int:
    match node:
        case ast.Compare(ops=ops):
            return sum(type(op) in _SWAPS for op in ops)
        case ast.BinOp(op=op) | ast.AugAssign(op=op):
            text = isinstance(node, ast.BinOp) and any(_is_text(part) for part in (node.left, node.right))
            return int(type(op) in _SWAPS and not text)
        case ast.BoolOp() | ast.IfExp() | ast.If() | ast.UnaryOp(op=ast.Not() | ast.USub()):
            return 1
        case ast.Constant(value=bool() | int() | float()):
            return 1
        case ast.Return(value=value) if value is not None and not _is_none(value):
            return 1
        case ast.Break() | ast.Continue():
            return 1
        case ast.Call(keywords=[_, *_]) if not _raises(node):
            return 1
    return 0


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _raises(node: ast.Call) -> bool:
    name = ast.unparse(node.func)
    return name.endswith(("Error", "Finding", "Field", "dataclass", "replace"))


def _apply(node: ast.AST, change: int) -> None:
    """Make the node's change in place."""
    match node:
        case ast.Compare(ops=ops):
            places = [i for i, op in enumerate(ops) if type(op) in _SWAPS]
            ops[places[change]] = _SWAPS[type(ops[places[change]])]()  # type: ignore[call-overload]
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp():
            node.op = _SWAPS[type(node.op)]()  # type: ignore[assignment]
        case ast.IfExp() | ast.If():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.UnaryOp(op=ast.Not()):
            node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
        case ast.UnaryOp():
            node.op = ast.UAdd()
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant(value=int() | float()):
            node.value = node.value + 1
        case ast.Return():
            node.value = ast.Constant(None)
        case ast.Break():
            node.__class__ = ast.Continue
        case ast.Continue():
            node.__class__ = ast.Break
        case ast.Call():
            node.keywords = node.keywords[:-1]


def mutated_source(mutant: Mutant) -> str:
    """The file with its fault."""
    tree = ast.parse((_ROOT / mutant.file).read_text(encoding="utf-8"))
    node = next(node for number, node in enumerate(ast.walk(tree)) if number == mutant.node)
    _apply(node, mutant.change)
    return ast.unparse(ast.fix_missing_locations(tree))


# -- which tests run a line --------------------------------------------------------------------------------------------


def tests_by_line(room: str, out: Path) -> Mapping[str, Mapping[int, Sequence[str]]]:
    """File -> line -> the room's tests that run it, measured once. Raises SystemExit where they fail as it is."""
    kept = out / f"{room}-coverage.json"
    if kept.exists():
        read = json.loads(kept.read_text(encoding="utf-8"))
        return {file: {int(line): tests for line, tests in lines.items()} for file, lines in read.items()}
    data_file = out / f"{room}.coverage"
    command = [sys.executable, "-m", "pytest", f"tests/{room}", "-q", "-m", "not slow", "-p", "no:cacheprovider",
               f"--cov=glioseg.{room}", "--cov-context=test", "--cov-report="]  # fmt: skip
    environment = {**os.environ, "COVERAGE_FILE": str(data_file), "PYTHONPATH": str(_SOURCE)}
    if subprocess.run(command, cwd=_ROOT, env=environment).returncode:
        raise SystemExit(f"the tests of {room} fail without any fault put in")
    data = coverage.CoverageData(str(data_file))
    data.read()
    found = {
        Path(file).relative_to(_ROOT).as_posix(): {
            line: sorted({context.rpartition("|")[0] for context in contexts if context})
            for line, contexts in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    kept.write_text(json.dumps(found), encoding="utf-8")
    return found


def tests_for(mutant: Mutant, by_line: Mapping[str, Mapping[int, Sequence[str]]], room: str) -> Sequence[str]:
    """The tests that run the mutant's lines; of a line that importing runs, those of its file or all of the room."""
    lines = by_line.get(mutant.file, {})
    found = sorted({test for line in range(mutant.line, mutant.end_line + 1) for test in lines.get(line, ())})
    if found:
        apart = random.Random(0).sample(found, len(found))  # of many tests of one file, not the first alone
        return apart[:_MOST_TESTS]
    if any(line in lines for line in range(mutant.line, mutant.end_line + 1)):
        own = _ROOT / "tests" / room / f"test_{Path(mutant.file).stem}.py"
        return [own.relative_to(_ROOT).as_posix() if own.exists() else f"tests/{room}"]
    return []


# -- a mutant before its tests -----------------------------------------------------------------------------------------


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from another text."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        places = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(name, self.path, loader=self, submodule_search_locations=places)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def outcome_of(mutant: Mutant, tests: Sequence[str], log: Path) -> str:
    """``killed``, ``survived`` or, past the limit of processor time, ``timeout``."""
    child = os.fork()
    if child == 0:
        code = _BROKEN
        try:
            code = _in_child(mutant, tests, log)
        except BaseException:  # noqa: BLE001 - nothing of the child may go on in here
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "timeout"
    code = os.WEXITSTATUS(status)
    if code == pytest.ExitCode.OK:
        return "survived"
    if code in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):  # interrupted: it cannot even be imported
        return "killed"
    hidden = code == pytest.ExitCode.USAGE_ERROR and mutant.node  # no tests by those names: for want of an import?
    if hidden and outcome_of(replace(mutant, node=0), tests, log) == "survived":
        return "killed"
    raise SystemExit(f"{mutant}: its tests were not asked (code {code}); see {log}")


def _in_child(mutant: Mutant, tests: Sequence[str], log: Path) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_S, _MOST_CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (8 * 10**9, 8 * 10**9))
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    path = _ROOT / mutant.file
    parts = path.relative_to(_SOURCE).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    source = mutated_source(mutant) if mutant.node else path.read_text(encoding="utf-8")
    sys.meta_path.insert(0, _Finder(name, path, source))
    quiet = ["-q", "--tb=line", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main(["-x", "-m", "not slow", *quiet, *tests]))


def wilson(n_killed: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, n_killed / n
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def main() -> None:
    """Draw, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("room", help="such as core, io or evaluation")
    parser.add_argument("out", type=Path)
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    out = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.chdir(_ROOT)
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(out / "bytecode")  # compiled once, not for each mutant
    sys.path[:0] = [str(_SOURCE), str(_ROOT)]
    by_line = tests_by_line(asked.room, out)
    every = [m for path in sorted((_SOURCE / "glioseg" / asked.room).rglob("*.py")) for m in mutants_of(path)]
    some = sorted({test for lines in by_line.values() for tests in lines.values() for test in tests})
    drawn = random.Random(asked.seed).sample(every, min(asked.sample, len(every)))
    for library in _LIBRARIES:
        importlib.import_module(library)
    if (
        outcome_of(replace(drawn[0], node=0), random.Random(0).sample(some, _MOST_TESTS), out / "last.log")
        != "survived"
    ):
        raise SystemExit(f"the tests fail without any fault put in; see {out / 'last.log'}")
    kept = out / f"{asked.room}.jsonl"
    known = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()] if kept.exists() else []
    done = {(each["file"], each["node"], each["change"]): each["outcome"] for each in known}
    for mutant in drawn:
        key = (mutant.file, mutant.node, mutant.change)
        if key not in done:
            tests = tests_for(mutant, by_line, asked.room)
            done[key] = outcome_of(mutant, tests, out / "last.log") if tests else "survived"
            with kept.open("a", encoding="utf-8") as stream:
                row = {**asdict(mutant), "n_tests": len(tests), "outcome": done[key]}
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    survived = [m for m in drawn if done[(m.file, m.node, m.change)] == "survived"]
    n_killed = len(drawn) - len(survived)
    low, high = wilson(n_killed, len(drawn))
    print(f"{asked.room}: {n_killed} of {len(drawn)} noticed, {n_killed / len(drawn):.1%} ({low:.1%} to {high:.1%})")
    for mutant in survived:
        print(f"  {mutant.file}:{mutant.line}: {mutant.before!r} -> {mutant.after!r}")


if __name__ == "__main__":
    main()
