"""One text for two faces: what a reader can do is written as on the command line, and shown as he takes it.

    Say it with `--scheme` or `--labels`               as it is written, between backquotes
    Say it with `--scheme` or `--labels`                   on the command line, in files and on pages
    Say it with glioseg.read(…, scheme=…) or …         from Python

Only what stands between backquotes and begins with an option, or with the name of the program, is touched.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType

_SPAN = re.compile(r"""`(?P<words>(?:--|glioseg )(?:'[^']*'|"[^"]*"|[^`])+?)`""")
"""What stands between backquotes; one between quotation marks, in the name of a file, ends nothing."""
_PLAIN = re.compile(r"[\w@%+=:,./…-]+")
"""What no shell takes for anything else, letters of any language among it."""
_OMITTED = "…"
_STANDS_FOR = re.compile(r"[A-Z][A-Z0-9_]*")
"""What a reader puts something in the place of: ``RUN``, ``RUN_OR_BUNDLE``."""


@dataclass(frozen=True)
class Argument:
    """What an option of the command line is from Python.

    Args:
        name: of the argument.
        value: what stands behind it; None for the option's own value.
        of_read: whether it is said to ``glioseg.read``, whose cohort the other functions then take.
        is_list: whether it takes a list, be it of one.
        is_text: whether commas part nothing in its value.
    """

    name: str
    value: str | None = None
    of_read: bool = False
    is_list: bool = False
    is_text: bool = False


ARGUMENTS: Mapping[str, Argument] = MappingProxyType(
    {
        "--at-once": Argument("at_once"),
        "--atlas": Argument("atlas"),
        "--backend": Argument("backend"),
        "--brain-extract": Argument("brain_extract", "True"),
        "--check": Argument("check"),
        "--convention": Argument("convention"),
        "--data": Argument("data"),
        "--deidentify": Argument("deidentify", "True"),
        "--contributions": Argument("contributions", "True"),
        "--detect": Argument("detect", "True"),
        "--cache": Argument("cache"),
        "--device": Argument("device"),
        "--devices": Argument("devices"),
        "--explain": Argument("explain", "True"),
        "--fold": Argument("fold"),
        "--folds": Argument("folds"),
        "--format": Argument("form"),
        "--host": Argument("host"),
        "--keep-ids": Argument("keep_ids", "True", of_read=True),
        "--labels": Argument("scheme", "glioseg.LabelScheme(…)", of_read=True),
        "--layout": Argument("layout", of_read=True),
        "--level": Argument("level"),
        "--mask-pattern": Argument("masks", of_read=True),
        "--mask-on": Argument("mask_on"),
        "--max-voxels": Argument("max_voxels", of_read=True),
        "--minutes": Argument("minutes"),
        "--modalities": Argument("modalities", of_read=True, is_list=True),
        "--n4": Argument("n4", "True"),
        "--on": Argument("on", is_text=True),
        "--only": Argument("only", is_list=True),
        "--out": Argument("out"),
        "--part": Argument("part"),
        "--password-file": Argument("password_file"),
        "--port": Argument("port"),
        "--prediction-scheme": Argument("prediction_scheme"),
        "--public": Argument("public"),
        "--regions": Argument("regions", is_list=True),
        "--register": Argument("register", "True"),
        "--resample": Argument("resample", "True"),
        "--restart": Argument("restart", "True"),
        "--risk": Argument("risk"),
        "--scans": Argument("scans", is_list=True),
        "--scheme": Argument("scheme", of_read=True),
        "--seeds": Argument("seeds", is_list=True),
        "--start-from": Argument("start_from"),
        "--size": Argument("size"),
        "--spacing": Argument("spacing_mm"),
        "--split": Argument("split"),
        "--tensorboard": Argument("tensorboard", "True"),
        "--to": Argument("layout"),
        "--with": Argument("others"),
        "--write": Argument("write", is_list=True),
    }
)
"""The options that messages name, but those that are written as a dictionary: ``--set`` and ``--modality``."""
PAIRS: Mapping[str, str] = MappingProxyType({"--set": "changes=", "--modality": ""})
"""The options of which several make one dictionary, and what stands before that."""
FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {"app": "serve", "predict": "load({}).predict_files", "report": "Run({}).write_report"}
)
"""The commands whose function has not their name; in the braces is the first argument."""


def command(*words: str | PurePath) -> str:
    """``glioseg WORD …`` as it can be copied into a shell, whatever is in the names of files and folders."""
    return " ".join(("glioseg", *(text if _PLAIN.fullmatch(text) else shlex.quote(text) for text in map(str, words))))


def on_command_line(text: str) -> str:
    """A message as the command line, files and pages say it."""
    return _SPAN.sub(lambda span: span["words"], text)


def in_python(text: str) -> str:
    """The same for whoever called a function."""
    return _SPAN.sub(lambda span: _call(span["words"]), text)


def spans(text: str) -> Iterator[str]:
    """What of a message is written as on the command line."""
    return (span["words"] for span in _SPAN.finditer(text))


def _call(words: str) -> str:
    """Options as arguments, a command as the call of a function."""
    tokens = _tokens(words)
    if tokens[0] != "glioseg":
        return ", ".join(_arguments(tokens))
    verb, rest = tokens[1], tokens[2:]
    n_inputs = next((number for number, token in enumerate(rest) if token.startswith("--")), len(rest))
    inputs, options = [_literal(token) for token in rest[:n_inputs]], rest[n_inputs:]
    name = FUNCTIONS.get(verb, verb)
    if "{}" in name:
        name, inputs = name.format(inputs[0] if inputs else _OMITTED), inputs[1:]
    arguments = [*inputs, *_arguments(options, of_this=True)]
    return f"glioseg.{name}({', '.join(arguments)})" if arguments else f"glioseg.{name}"


def _tokens(words: str) -> list[str]:
    try:
        return shlex.split(words)
    except ValueError:  # a path with a quotation mark
        return words.split()


def _arguments(tokens: Sequence[str], *, of_this: bool = False) -> list[str]:
    """``name=value`` of each option; those of ``glioseg.read`` as one call of it, pairs as one dictionary.

    With ``of_this`` they stand in the call of a function that takes them itself.
    """
    given = _options(tokens)
    known_options = [(ARGUMENTS[option], value) for option, value in given if option in ARGUMENTS]
    read = [(argument, value) for argument, value in known_options if argument.of_read and not of_this]
    arguments = [] if not read else [_of_read(read)]
    arguments += [_argument(argument, value) for argument, value in known_options if of_this or not argument.of_read]
    for option, before in PAIRS.items():
        pairs = [_pair(value or f"NAME={_OMITTED}") for name, value in given if name == option]
        arguments += [f"{before}{{{', '.join(pairs)}}}"] if pairs else []
    return arguments


def _options(tokens: Sequence[str]) -> list[tuple[str, str | None]]:
    """Each option with its value, where it has one."""
    given: list[tuple[str, str | None]] = []
    for token in tokens:
        if token.startswith("--"):
            given.append((token, None))
        elif given:
            given[-1] = (given[-1][0], token)
    return given


def _of_read(given: Sequence[tuple[Argument, str | None]]) -> str:
    """What is said to ``glioseg.read``."""
    arguments = [_argument(argument, value) for argument, value in given]
    if arguments[0].endswith("="):
        return f"{arguments[0]} of glioseg.read"
    return f"glioseg.read({', '.join((_OMITTED, *arguments))})"


def _argument(argument: Argument, value: str | None) -> str:
    if argument.value is not None or value is None:
        return f"{argument.name}={argument.value or ''}"
    if argument.is_text:
        return f"{argument.name}={_literal(value)}"
    is_list = argument.is_list and not value.isupper()
    return f"{argument.name}={f'[{_joined(value)}]' if is_list else _values(value)}"


def _values(value: str) -> str:
    """A value, or those that commas part."""
    return _literal(value) if "," not in value or value.startswith("[") else f"({_joined(value)})"


def _joined(value: str) -> str:
    return ", ".join(_literal(part) for part in value.split(","))


def _pair(text: str) -> str:
    name, _, value = text.partition("=")
    return f"{name if name.isupper() else json.dumps(name)}: {_literal(value)}"


def _literal(value: str) -> str:
    """A value as Python has it; what stands for one (``RUN``, ``…``) as it is."""
    if value == "none":
        return "None"
    if _STANDS_FOR.fullmatch(value) or value == _OMITTED:
        return value
    try:
        return repr(json.loads(value)).replace("'", '"')
    except ValueError:
        return json.dumps(value, ensure_ascii=False)
