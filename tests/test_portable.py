"""macOS and Windows, as far as Linux can tell: names, paths, line ends, consoles, encodings, processes."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer.main

import glioseg as face
from glioseg.cli.app import app, main
from glioseg.cohorts.recognise import read_cohort
from glioseg.io import load_image
from glioseg.io.nifti import write_nifti
from glioseg.io.text import read_json, read_table, read_toml
from glioseg.tasks.members import stem_of_name
from tests.fakes.brats import write_2021
from tests.fakes.pictures import write_lgg

_ROOT = Path(__file__).parents[1]
_OURS = ("src", "weights-research/src", "docs", "release", "benchmarks", "examples")
_WINDOWS_LIMIT = 260
"""Characters of a path, unless long paths were switched on."""
_ROOM_FOR_THE_ENVIRONMENT = 120
r"""What stands before a file of ours: ``C:\Users\NAME\…\.venv\Lib\site-packages\``."""


def _modules() -> Iterator[tuple[Path, ast.Module]]:
    for folder in _OURS:
        for path in sorted((_ROOT / folder).rglob("*.py")):
            yield path.relative_to(_ROOT), ast.parse(path.read_text(encoding="utf-8"))


_CALLS = [(path, node) for path, module in _modules() for node in ast.walk(module) if isinstance(node, ast.Call)]


def _name(call: ast.Call) -> str:
    """``path.open`` of ``path.open(…)``; what is called in between is a bracket: ``().open``."""
    parts: list[str] = []
    node: ast.expr = call.func
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join((node.id if isinstance(node, ast.Name) else "()", *reversed(parts)))


def _given(call: ast.Call) -> dict[str, str]:
    return {each.arg: ast.unparse(each.value) for each in call.keywords if each.arg}


# -- names and paths ---------------------------------------------------------------------------------------------------


def _committed() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a clone of the repository")
    return [name for name in listed.stdout.split("\0") if name]


def test_no_two_files_differ_in_the_case_of_letters_alone() -> None:
    assert [name for name, n in Counter(map(str.casefold, _committed())).items() if n > 1] == []


def test_every_file_has_a_name_that_windows_takes_and_a_path_that_fits() -> None:
    names = _committed()
    assert [name for name in names if any(stem_of_name(part) != part for part in name.split("/"))] == []
    assert [name for name in names if len(name) > _WINDOWS_LIMIT - _ROOM_FOR_THE_ENVIRONMENT] == []


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("p1", "p1"),
        ("TCGA_CS_4941_19960909", "TCGA_CS_4941_19960909"),
        ("a/b\\c", "a_b_c"),
        ('1:2*3?"4"<5>|6', "1_2_3__4__5__6"),
        ("p1 . .", "p1____"),
        ("con", "_con"),
        ("NUL.left", "_NUL.left"),
        ("com1", "_com1"),
        ("console", "console"),
        ("Müller-Ω", "Müller-Ω"),
        ("a\tb\nc", "a_b_c"),
    ],
)
def test_a_case_gets_files_that_every_system_takes(name: str, stem: str) -> None:
    assert stem_of_name(name) == stem


def test_paths_may_be_longer_than_windows_is_used_to(tmp_path: Path) -> None:
    deep = tmp_path
    while len(str(deep)) < _WINDOWS_LIMIT + 40:
        deep = deep / "a-folder-whose-name-is-rather-long"
    cohort = read_cohort(write_2021(deep))
    source = next(iter(cohort.cases[0].images.values()))
    assert len(str(source.paths[0])) > _WINDOWS_LIMIT
    image = load_image(cohort.cases[0])
    write_nifti(deep / "again.nii.gz", image.array[0], image.grid)
    assert (deep / "again.nii.gz").stat().st_size > 0


# -- text --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("a.json", '{\n"a": 1,\n"b": "x"\n}\n', read_json),
        ("a.toml", '# a\na = 1\nb = "x"\n[c]\nd = """\nlong\n"""\n', read_toml),
        ("a.csv", "case,age\np1,61\np2,7\n", read_table),
    ],
)
def test_line_ends_of_windows_are_line_ends(
    tmp_path: Path, name: str, text: str, read: Callable[[Path], object]
) -> None:
    (tmp_path / "unix").mkdir()
    (tmp_path / "windows").mkdir()
    (tmp_path / "unix" / name).write_bytes(text.encode())
    (tmp_path / "windows" / name).write_bytes(text.replace("\n", "\r\n").encode())
    assert str(read(tmp_path / "windows" / name)) == str(read(tmp_path / "unix" / name))


def test_a_recipe_and_a_table_saved_on_windows_are_read(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_bytes(face.recipe_text("lgg").replace("\n", "\r\n").encode())
    assert face.recipe(recipe) == face.recipe("lgg")
    folder = write_lgg(tmp_path / "kaggle_3m", {"TCGA_CS_4941_19960909": (1, 2)})
    before = read_cohort(folder).cases[0].facts
    table = folder / "data.csv"
    table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))
    assert read_cohort(folder).cases[0].facts == before


def test_text_is_read_and_written_in_an_encoding_that_is_said() -> None:
    """What is not said is the system's: UTF-8 here, cp1252 on Windows."""
    wrong = []
    for path, call in _CALLS:
        function, given = _name(call).rpartition(".")[2], _given(call)
        if function in ("read_text", "write_text") and "encoding" not in given and not _is_ours(call):
            wrong.append(f"{path}:{call.lineno}")
        if function == "open" and not _is_binary(call) and "encoding" not in given and _opens_a_file(call):
            wrong.append(f"{path}:{call.lineno}")
    assert wrong == []


def _is_ours(call: ast.Call) -> bool:
    """``io.text.read_text`` and ``io.files.write_text`` see to it themselves; a distribution's metadata is no file."""
    return isinstance(call.func, ast.Name) or "distribution" in _name(call)


def _is_binary(call: ast.Call) -> bool:
    return any("b" in ast.unparse(each) for each in call.args if isinstance(each, ast.Constant | ast.IfExp))


def _opens_a_file(call: ast.Call) -> bool:
    """Not ``Image.open``, ``archive.open``, ``tarfile.open``, …, whose files are bytes."""
    owner = _name(call).rpartition(".")[0]
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
        return _name(call.func.value) == "Path"
    return owner in ("", "io") or owner.rpartition(".")[2] in ("path", "file")


class _Console(io.TextIOWrapper):
    """A console of Windows in Western Europe, which knows 256 characters."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="cp1252", errors="strict")

    def shown(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode("cp1252")


def _run_on_a_console(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[str, str]:
    stdout, stderr = _Console(), _Console()
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "argv", ["glioseg", *arguments])
    with pytest.raises(SystemExit):
        main()
    return stdout.shown(), stderr.shown()


@pytest.mark.parametrize("command", sorted(typer.main.get_command(app).commands))  # type: ignore[attr-defined]
def test_every_help_can_be_shown_on_a_console_of_windows(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = _run_on_a_console(monkeypatch, command, "--help")
    assert "Usage:" in out
    assert err == ""


def test_a_name_that_such_a_console_lacks_is_spelt_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, err = _run_on_a_console(monkeypatch, "inspect", str(tmp_path / "患者"))
    assert r"\u60a3\u8005: " in err


# -- processes ---------------------------------------------------------------------------------------------------------


def test_no_command_goes_through_a_shell() -> None:
    """Whose language differs from one system to the next."""
    shells = [
        f"{path}:{call.lineno}"
        for path, call in _CALLS
        if _name(call) in ("os.system", "os.popen", "subprocess.getoutput")
        or _given(call).get("shell", "False") != "False"
    ]
    assert shells == []


def test_processes_are_spawned_as_windows_and_macos_do() -> None:
    """A forked one would have what its parent holds, which works on Linux alone."""
    forked = [
        f"{path}:{call.lineno}"
        for path, call in _CALLS
        if path.parts[0] == "src"
        and (
            _name(call) in ("os.fork", "multiprocessing.Pool", "multiprocessing.Process", "Pool")
            or (_name(call).endswith("ProcessPoolExecutor") and "mp_context" not in _given(call))
            or any(isinstance(each, ast.Constant) and each.value in ("fork", "forkserver") for each in call.args)
        )
    ]
    assert forked == []
