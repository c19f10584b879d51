"""Imports go one way, and importing the package costs nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import glioseg

_SOURCE = Path(glioseg.__file__).parent
_LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"faces", "__init__", "recipes", "weights"}),
    frozenset({"errors"}),
    frozenset({"frozen"}),
    frozenset({"options"}),
    frozenset({"core", "console", "machine"}),
    frozenset({"io"}),
    frozenset({"cohorts", "preparation", "evaluation"}),
    frozenset({"networks", "planning"}),
    frozenset({"inference"}),
    frozenset({"training"}),
    frozenset({"workers"}),
    frozenset({"report"}),
    frozenset({"config"}),
    frozenset({"tasks"}),
    frozenset({"runs"}),
    frozenset({"studies"}),
    frozenset({"api"}),
    frozenset({"app"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
_LEVEL = {room: level for level, rooms in enumerate(_LAYERS) for room in rooms}
_ALLOWED_SIBLINGS = {("preparation", "cohorts"), ("planning", "networks")}
_WITHOUT_TORCH = (
    "glioseg.core",
    "glioseg.io",
    "glioseg.cohorts",
    "glioseg.preparation",
    "glioseg.evaluation",
    "glioseg.report",
    "glioseg.runs.inspect",
    "glioseg.runs.score",
    "glioseg.api.masks",
    "glioseg.cli.score",
)


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(_SOURCE.rglob("*.py")):
        parts = path.relative_to(_SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(path: Path, known: set[str]) -> Iterator[str]:
    """Every glioseg module that a file imports, at its top or inside functions; `TYPE_CHECKING` blocks count too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "glioseg")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide where things come from"
            if node.module and node.module.split(".")[0] == "glioseg":
                for alias in node.names:
                    deeper = f"{node.module}.{alias.name}"
                    yield deeper if deeper in known else node.module


def _room(module: str) -> str:
    parts = module.split(".")
    name = parts[1] if len(parts) > 1 else "__init__"
    return name


def test_every_room_has_its_place_in_the_order() -> None:
    assert {_room(module) for module in _modules()} <= set(_LEVEL)


def test_imports_go_one_way() -> None:
    modules = _modules()
    wrong = []
    for module, path in modules.items():
        for imported in _imports(path, set(modules)):
            own, other = _room(module), _room(imported)
            if own != other and (own, other) not in _ALLOWED_SIBLINGS and _LEVEL[other] >= _LEVEL[own]:
                wrong.append(f"{module} imports {imported}")
    assert not wrong


def test_no_import_cycles() -> None:
    modules = _modules()
    graph = {module: set(_imports(path, set(modules))) - {module} for module, path in modules.items()}
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join([*above[above.index(module) :], module])
        if module in done:
            return
        for imported in sorted(graph.get(module, ())):
            visit(imported, (*above, module))
        done.add(module)

    for module in graph:
        visit(module, ())


_IMPORT_ROOMS = """
import importlib, json, sys, traceback
sys.modules["torch"] = None
errors = {}
for room, modules in json.load(sys.stdin).items():
    for name in [name for name in sys.modules if name.partition(".")[0] == "glioseg"]:
        del sys.modules[name]
    try:
        for module in modules:
            importlib.import_module(module)
    except Exception:
        errors[room] = traceback.format_exc()
print(json.dumps(errors))
"""


@pytest.fixture(scope="module")
def without_torch() -> dict[str, str]:
    """Room -> why it could not be imported, from an interpreter that has no torch and meets each room afresh.

    One interpreter for all rooms, since what takes the time is the libraries that they share.
    """
    rooms = {
        room: [module for module in _modules() if module == room or module.startswith(f"{room}.")]
        for room in _WITHOUT_TORCH
    }
    command = [sys.executable, "-c", _IMPORT_ROOMS]
    ran = subprocess.run(command, input=json.dumps(rooms), capture_output=True, text=True, check=True)
    errors: dict[str, str] = json.loads(ran.stdout)
    assert all(rooms.values())
    return errors


@pytest.mark.parametrize("room", _WITHOUT_TORCH)
def test_rooms_that_work_without_torch(room: str, without_torch: dict[str, str]) -> None:
    assert room not in without_torch, without_torch[room]


def test_importing_the_package_loads_no_library() -> None:
    code = "import sys, glioseg, glioseg.cli.app; heavy = {'numpy', 'torch', 'scipy', 'pandas', 'matplotlib', 'monai'}"
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit(', '.join(heavy & set(sys.modules)) or 0)"], check=True)
