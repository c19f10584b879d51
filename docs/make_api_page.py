"""Write docs/api.md from the docstrings: python docs/make_api_page.py."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import glioseg
import glioseg.api

_PARTS = {
    "Data": "glioseg.api.data",
    "Public sets": "glioseg.api.public",
    "Recipes": "glioseg.api.recipes",
    "Runs": "glioseg.api.runs",
    "Models": "glioseg.api.models",
    "Masks": "glioseg.api.masks",
    "Studies and searches": "glioseg.api.studies",
    "The application": "glioseg.app.serve",
    "This machine": "glioseg.api.tools",
}
COMMANDS = {
    "app": "serve",
    "cache": "cache",
    "calibrate": "calibrate",
    "compare": "compare",
    "convert": "convert",
    "demo": "demo",
    "doctor": "doctor",
    "download": "download, public_sets",
    "evaluate": "evaluate, verify",
    "export": "export",
    "inspect": "inspect",
    "models": "models",
    "phantom": "phantom",
    "plan": "plan",
    "predict": "load(…).predict, load(…).classify, load(…).predict_files, make_ready",
    "recipes": "recipe_names, recipe, recipe_text, settings",
    "report": "Run(…).write_report",
    "score": "score",
    "split": "split, split_folds",
    "study": "study, plan_study, study_names",
    "timeline": "timeline",
    "train": "train",
    "tune": "tune",
}
"""Command -> what does the same from Python."""
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|References):$", re.MULTILINE)
_TITLES = {"Args": "Arguments", "Attributes": "Attributes", "Returns": "Returns", "Raises": "Errors"}


def api_page() -> str:
    """The page as Markdown."""
    lines = ["# Python", "", "<!-- Written by docs/make_api_page.py from the docstrings. -->", ""]
    lines += [inspect.cleandoc(glioseg.api.__doc__ or "").replace("``", "`"), ""]
    lines += ["| command | from Python |", "|---|---|"]
    lines += [f"| `glioseg {command}` | {_linked(names)} |" for command, names in COMMANDS.items()]
    placed = set()
    for title, module in _PARTS.items():
        names = [name for name in glioseg.__all__ if getattr(glioseg, name).__module__ == module]
        placed |= set(names)
        lines += ["", f"## {title}", "", *_things(names)]
    others = [name for name in glioseg.__all__ if name not in placed]
    lines += ["", "## What goes in and comes out", "", *_things(others)]
    return "\n".join(lines).rstrip() + "\n"


def _linked(names: str) -> str:
    """``load(…).predict, recipe`` -> links to the entries of ``load`` and ``recipe``."""
    return ", ".join(f"[`{name}`](#{re.split(r'[^A-Za-z_]', name)[0].lower()})" for name in names.split(", "))


def _things(names: list[str]) -> Iterator[str]:
    functions = sorted((name for name in names if inspect.isfunction(getattr(glioseg, name))), key=str.lower)
    classes = sorted((name for name in names if name not in functions), key=str.lower)
    for name in (*functions, *classes):
        thing = getattr(glioseg, name)
        yield from (f"### {name}", "")
        if name in functions:
            yield from ("```python", _signature(f"glioseg.{name}", thing), "```", "")
        yield from _docstring(thing)
        yield from ([] if name in functions else _members(thing))


def _members(cls: type) -> Iterator[str]:
    """Properties and methods that the class itself has."""
    for name, member in vars(cls).items():
        called = member.__func__ if isinstance(member, classmethod) else member
        if name.startswith("_") or not (inspect.isfunction(called) or isinstance(called, property)):
            continue
        yield from (f"#### {cls.__name__}.{name}", "")
        if inspect.isfunction(called):
            yield from ("```python", _signature(f"{cls.__name__}.{name}", called), "```", "")
        yield from _docstring(called)


def _signature(name: str, function: Callable[..., Any]) -> str:
    """``name(a: Path, *, b: int = 3) -> Run``, a line for each argument where they are many."""
    signature = inspect.signature(function)
    shown = [one.replace(annotation=_Plain(one.annotation)) for one in signature.parameters.values()]
    shown = [one for one in shown if one.name not in ("self", "cls")]
    result = _Plain(signature.return_annotation)
    line = f"{name}{signature.replace(parameters=shown, return_annotation=result)}"
    if len(line) <= 110:
        return line
    marks = [str(one) for one in shown]
    first = next((place for place, one in enumerate(shown) if one.kind is one.KEYWORD_ONLY), None)
    if first is not None and not any(one.kind is one.VAR_POSITIONAL for one in shown):
        marks.insert(first, "*")
    inner = "".join(f"    {mark},\n" for mark in marks)
    return f"{name}(\n{inner}) -> {result!r}"


class _Plain:
    """An annotation as it stands in the source, without quotes."""

    def __init__(self, annotation: object) -> None:
        self._text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))

    def __repr__(self) -> str:
        return self._text


def _docstring(thing: object) -> Iterator[str]:
    """The text, then its sections as lists."""
    parts = _SECTION.split(inspect.getdoc(thing) or "")
    yield from (_text(parts[0]), "")
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if title == "Returns":
            yield from (f"{_TITLES[title]}: {_text(body)}", "")
        elif title == "References":
            yield from (_text(body), "")
        else:
            yield from (f"{_TITLES[title]}:", "", *_items(body), "")


def _items(body: str) -> Iterator[str]:
    for entry in re.split(r"\n(?=\S)", inspect.cleandoc(body)):
        name, colon, words = entry.partition(": ")
        yield f"- `{name}`: {_text(words)}" if colon else f"- {_text(entry)}"


def _text(words: str) -> str:
    """Paragraphs on lines of their own, marks of code as Markdown has them."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(words).strip())
    return "\n\n".join(re.sub(r"\s+", " ", paragraph) for paragraph in paragraphs).replace("``", "`")


if __name__ == "__main__":
    Path(__file__).with_name("api.md").write_text(api_page(), encoding="utf-8")
