"""What a message tells to do: as the command line has it, and as a call of Python, of one text."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import glioseg
from glioseg.api.models import Model
from glioseg.cli.app import app
from glioseg.console import CallbackReporter
from glioseg.errors import OptionError
from glioseg.faces import ARGUMENTS, FUNCTIONS, PAIRS, in_python, on_command_line, spans

_SOURCE = Path(glioseg.__file__).parent
_OPTION = re.compile(r"(?<!\w)--[a-z][a-z0-9-]*")


@pytest.mark.parametrize(
    ("text", "command", "call"),
    [
        ("nothing to do", "nothing to do", "nothing to do"),
        ("Leave `--part` out", "Leave --part out", "Leave part= out"),
        ("Did you mean `--part val`?", "Did you mean --part val?", 'Did you mean part="val"?'),
        ("begin anew with `--restart`", "begin anew with --restart", "begin anew with restart=True"),
        ("Say `--scheme`", "Say --scheme", "Say scheme= of glioseg.read"),
        (
            "with `--layout pairs --scheme binary`",
            "with --layout pairs --scheme binary",
            'with glioseg.read(…, layout="pairs", scheme="binary")',
        ),
        ("Try `--only t2f`", "Try --only t2f", 'Try only=["t2f"]'),
        ("`--modalities t1n,t2f`", "--modalities t1n,t2f", 'glioseg.read(…, modalities=["t1n", "t2f"])'),
        ("`--modalities NAMES`", "--modalities NAMES", "glioseg.read(…, modalities=NAMES)"),
        ("`--labels 1=a,2=b`", "--labels 1=a,2=b", "glioseg.read(…, scheme=glioseg.LabelScheme(…))"),
        ("`--spacing 0.9,0.9,5`", "--spacing 0.9,0.9,5", "spacing_mm=(0.9, 0.9, 5)"),
        (
            "`--set slices.choice=all --set slices.dark_below=none`",
            "--set slices.choice=all --set slices.dark_below=none",
            'changes={"slices.choice": "all", "slices.dark_below": None}',
        ),
        (
            "`--set 'data.modalities=[\"t2f\"]'`",
            "--set 'data.modalities=[\"t2f\"]'",
            'changes={"data.modalities": ["t2f"]}',
        ),
        (
            "`--modality t2f=FILE --modality t1c=FILE`",
            "--modality t2f=FILE --modality t1c=FILE",
            '{"t2f": FILE, "t1c": FILE}',
        ),
        ("`--on ray,cpus=1`", "--on ray,cpus=1", 'on="ray,cpus=1"'),
        ("`glioseg inspect` lists", "glioseg inspect lists", "glioseg.inspect lists"),
        (
            "`glioseg evaluate runs/a --part NAME`",
            "glioseg evaluate runs/a --part NAME",
            'glioseg.evaluate("runs/a", part=NAME)',
        ),
        (
            "`glioseg score … --scheme brats2023`",
            "glioseg score … --scheme brats2023",
            'glioseg.score(…, scheme="brats2023")',
        ),
        (
            "`glioseg predict RUN INPUT`",
            "glioseg predict RUN INPUT",
            "glioseg.load(RUN).predict_files(INPUT)",
        ),
        (
            "`glioseg evaluate it's/run`",
            "glioseg evaluate it's/run",
            'glioseg.evaluate("it\'s/run")',
        ),
        ("a file `x` and --its options", "a file `x` and --its options", "a file `x` and --its options"),
    ],
)
def test_one_text_for_both(text: str, command: str, call: str) -> None:
    assert on_command_line(text) == command
    assert in_python(text) == call


def test_an_error_is_told_in_python_and_keeps_its_text() -> None:
    error = OptionError("no part", found="`--part x`", remedy="Leave `--part` out")
    assert str(error) == 'no part; found part="x". Leave part= out.'
    assert on_command_line(error.text) == "no part; found --part x. Leave --part out."


def test_messages_are_logged_for_python(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="glioseg"):
        CallbackReporter().say("Again: `glioseg evaluate runs/a`")
    assert caplog.messages == ['Again: glioseg.evaluate("runs/a")']


def _options_of_commands() -> dict[str, set[str]]:
    root: Any = typer.main.get_command(app)
    return {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in root.commands.items()
    }


def _parameters_of_functions() -> dict[str, set[str]]:
    things = {name: getattr(glioseg, name) for name in glioseg.__all__}
    functions: dict[str, Any] = {name: thing for name, thing in things.items() if inspect.isfunction(thing)}
    functions["predict_files"] = Model.predict_files
    return {name: set(inspect.signature(thing).parameters) for name, thing in functions.items()}


def test_every_option_that_is_translated_is_there_on_both_sides() -> None:
    options = set().union(*_options_of_commands().values())
    assert {*ARGUMENTS, *PAIRS} <= options
    assert {argument.name for argument in ARGUMENTS.values()} <= set().union(*_parameters_of_functions().values())
    of_read = {argument.name for argument in ARGUMENTS.values() if argument.of_read}
    assert of_read <= set(inspect.signature(glioseg.read).parameters)


def _messages(path: Path) -> Iterator[str]:
    """Every text of a module that is no docstring; what is filled in is ``X``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    inner |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


_OWN_FACE = ("cli", "faces.py")
_ONE_OF_SEVERAL = "--modality X=X"  # put together between backquotes in ``inference.modalities``


def _all_messages() -> Iterator[str]:
    for path in sorted(_SOURCE.rglob("*.py")):
        if path.relative_to(_SOURCE).parts[0] not in _OWN_FACE:
            yield from (text for text in _messages(path) if text != _ONE_OF_SEVERAL)


def _what_to_do(path: Path) -> Iterator[str]:
    """Every text that a fault tells to do or expects."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg in ("remedy", "expected"):
            yield from (
                part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )


def test_no_remedy_names_a_command_that_python_does_not_have() -> None:
    command = re.compile(rf"\bglioseg ({'|'.join(_options_of_commands())})\b")
    texts = [text for path in sorted(_SOURCE.rglob("*.py")) if "cli" not in path.parts for text in _what_to_do(path)]
    assert [text for text in texts if command.search(re.sub(r"`[^`]*`?", "", text))] == []


def test_no_message_names_an_option_that_one_face_does_not_know() -> None:
    bare = [text for text in _all_messages() if _OPTION.search(re.sub(r"`[^`]*`", "", text))]
    assert bare == []
    commands, functions = _options_of_commands(), _parameters_of_functions()
    for words in (words for text in _all_messages() for words in spans(text)):
        assert set(_OPTION.findall(words)) <= {*ARGUMENTS, *PAIRS}, words
        if words.startswith("glioseg "):
            verb = words.split()[1]
            assert verb in commands, words
            assert set(_OPTION.findall(words)) <= commands[verb], words
            assert verb in FUNCTIONS or verb in functions, words
            taken = functions.get(verb, ())
            assert all(ARGUMENTS[option].name in taken for option in _OPTION.findall(words)), words
        assert "--" not in in_python(f"`{words}`"), words
