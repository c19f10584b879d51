"""What a message tells to do: as the command line has it, and as a call of Python, of one text."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
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
from glioseg.faces import ARGUMENTS, FUNCTIONS, PAIRS, command, in_python, on_command_line, spans

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
        ("`glioseg evaluate /DATA/RUNS`", "glioseg evaluate /DATA/RUNS", 'glioseg.evaluate("/DATA/RUNS")'),
        ("a file `x` and --its options", "a file `x` and --its options", "a file `x` and --its options"),
    ],
)
def test_one_text_for_both(text: str, command: str, call: str) -> None:
    assert on_command_line(text) == command
    assert in_python(text) == call


@pytest.mark.parametrize(
    "name", ["runs/a", "my runs/a", "it's", 'say "a"', "a`b", "$HOME", "a;b&c", "~x", "*", "", "Läufe/ä", "a\\b"]
)
def test_a_command_can_be_copied_whatever_a_folder_is_called(name: str) -> None:
    """By a shell, which takes it apart again, out of a message, and as a call of Python."""
    typed = command("evaluate", Path(name) if name else name, "--part", "test")
    assert shlex.split(typed) == ["glioseg", "evaluate", name, "--part", "test"]
    message = f"Run `{typed}`, or `--restart`"
    assert on_command_line(message) == f"Run {typed}, or --restart"
    call = f'glioseg.evaluate({json.dumps(name, ensure_ascii=False)}, part="test")'
    assert in_python(message) == f"Run {call}, or restart=True"


def test_what_needs_no_quotation_marks_has_none() -> None:
    """Names of models, URLs, what stands for something, and letters of any language."""
    words = ("model:phantom", "s3://bucket/a.b", "SCANS", "…", "Läufe/ä", "--set", "a.b=1,2")
    assert command("predict", *words) == " ".join(("glioseg", "predict", *words))


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
        name: {option for parameter in verb.params for option in parameter.opts} for name, verb in root.commands.items()
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
    inner |= {id(part) for node in ast.walk(tree) if _is_command(node) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


def _is_command(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == command.__name__


def test_no_command_is_put_together_by_hand() -> None:
    """What is filled in might be a path with a space: ``faces.command`` puts it between quotation marks."""
    by_hand = re.compile(rf"\bglioseg ({'|'.join(_options_of_commands())})( --?\S+| [A-Z]+)* X\b")
    texts = [text for path in sorted(_SOURCE.rglob("*.py")) for text in _messages(path)]
    assert [text for text in texts if by_hand.search(text)] == []


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
    named = re.compile(rf"\bglioseg ({'|'.join(_options_of_commands())})\b")
    texts = [text for path in sorted(_SOURCE.rglob("*.py")) if "cli" not in path.parts for text in _what_to_do(path)]
    assert [text for text in texts if named.search(re.sub(r"`[^`]*`?", "", text))] == []


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
