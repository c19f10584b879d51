"""The page that describes all calls: plain HTML of the OpenAPI description, which asks no other host for anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>glioseg: calls of the application</title>
<link rel="stylesheet" href="/page/docs.css">
</head>
<body>
<main>
"""


def manual(openapi: Mapping[str, Any]) -> str:
    """The page as HTML."""
    info = openapi["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}: calls of the application</h1>",
        f"<p>{escape(info['description'])}</p>",
        "<p>A program sends <code>Authorization: Bearer TOKEN</code> with each call; a page has a cookie, and sends "
        "<code>X-Glioseg-CSRF</code> with each change. <a href='/openapi.json'>openapi.json</a> says the same to "
        "programs.</p>",
    ]
    for path, methods in openapi["paths"].items():
        parts += [_call(path, method, call, openapi) for method, call in methods.items()]
    return f"{_HEAD}{''.join(parts)}</main>\n</body>\n</html>\n"


def _call(path: str, method: str, call: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    name = f"{method.upper()} {path}"
    lines = [f"<section><h2><code>{escape(name)}</code></h2><p>{escape(call.get('description', ''))}</p>"]
    parameters = call.get("parameters", [])
    if parameters:
        rows = "".join(
            f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
            f"<td>{escape(_kind(each['schema']))}</td><td>{escape(each.get('description', ''))}</td></tr>"
            for each in parameters
        )
        lines.append(f"<table><thead><tr><th>name</th><th>in</th><th>type</th><th></th></tr></thead>{rows}</table>")
    for kind, content in call.get("requestBody", {}).get("content", {}).items():
        lines.append(f"<h3>Takes <code>{escape(kind)}</code></h3>{_fields(content['schema'], openapi)}")
    for status, answer in call["responses"].items():
        if status.startswith("2"):
            for kind, content in answer.get("content", {}).items():
                lines.append(
                    f"<h3>Answers <code>{escape(kind)}</code></h3>{_fields(content.get('schema', {}), openapi)}"
                )
    return "".join((*lines, "</section>"))


def _fields(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    """The fields of a description, and of those that it is made of."""
    parts = [f"<p><code>{escape(_kind(schema))}</code></p>"] if not schema.get("properties") else []
    for name, described in _described(schema, openapi):
        rows = "".join(
            f"<tr><td><code>{escape(field)}</code></td><td>{escape(_kind(value))}</td></tr>"
            for field, value in described.get("properties", {}).items()
        )
        words = escape(described.get("description", ""))
        parts.append(f"<details open><summary>{escape(name)} {words}</summary><table>{rows}</table></details>")
    return "".join(parts)


def _described(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object that a schema refers to, each once, the outermost first."""
    if schema.get("properties"):
        yield "", schema
    seen: set[str] = set()
    waiting = _references(schema)
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            described = openapi["components"]["schemas"][name]
            yield name, described
            waiting += _references(described)


def _references(schema: object) -> list[str]:
    if isinstance(schema, Mapping):
        referred = [str(schema["$ref"]).rpartition("/")[2]] if "$ref" in schema else []
        return referred + [name for value in schema.values() for name in _references(value)]
    return [name for value in schema for name in _references(value)] if isinstance(schema, list) else []


def _kind(schema: Mapping[str, Any]) -> str:
    """The type of a value in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"name: {_kind(schema['additionalProperties'])}"
    if schema.get("format") == "binary":
        return "file"
    return str(schema.get("type", "anything")).replace("null", "none")
