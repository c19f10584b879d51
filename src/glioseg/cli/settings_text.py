"""Every setting of a recipe as text for a terminal, and as the page ``docs/settings.md``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from glioseg.config.settings import Setting

_WIDTH = 100


def settings_text(settings: Sequence[Setting]) -> str:
    """A paragraph for each setting."""
    return "\n\n".join("\n".join(_paragraph(setting)) for setting in settings)


def settings_page(settings: Sequence[Setting]) -> str:
    """The page: a table for each part of a recipe."""
    lines = [
        "# Settings",
        "",
        "Every setting of a recipe that decides a training or its scores, as `glioseg recipes --settings` lists them;",
        "made from the options themselves by `docs/make_settings_page.py`. Behind a name stand the kinds of network,",
        "optimiser or schedule that have it; numbers in brackets are references in the sources. A setting that would",
        "act on nothing is refused, with what would let it act.",
        "",
        "A loss is a sum of terms: a recipe has those that it names (`[loss.dice]`), each with a weight of its own.",
        "`--set loss.kind=bce+dice` names several at once, `--set loss.dice.weight=0.5` weighs or adds one, and",
        "`--set loss.bce=none` takes one away; `combined` is `dice+weighted-bce`.",
    ]
    for part, of_part in groupby(settings, key=lambda setting: setting.name.partition(".")[0]):
        lines += ["", f"## {part}", "", "| setting | values | default | meaning | recipes |", "|---|---|---|---|---|"]
        lines += [_row(setting) for setting in of_part]
    return "\n".join(lines) + "\n"


def _paragraph(setting: Setting) -> Iterator[str]:
    kinds = f" ({', '.join(setting.kinds)})" if setting.kinds else ""
    yield f"{setting.name}{kinds}"
    yield f"    {_values(setting)}; default {_value(setting.default)}"
    yield from textwrap.wrap(
        setting.meaning, _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )
    if setting.recipes:
        recipes = ", ".join(f"{name} {_value(value)}" for name, value in setting.recipes.items())
        yield from textwrap.wrap(
            recipes, _WIDTH, initial_indent="    in: ", subsequent_indent="        ", break_on_hyphens=False
        )


def _row(setting: Setting) -> str:
    kinds = f" ({', '.join(setting.kinds)})" if setting.kinds else ""
    recipes = ", ".join(f"{name} `{_value(value)}`" for name, value in setting.recipes.items())
    cells = (f"`{setting.name}`{kinds}", _values(setting), f"`{_value(setting.default)}`", setting.meaning, recipes)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _values(setting: Setting) -> str:
    """Type, range and unit."""
    unit = f" ({setting.unit})" if setting.unit else ""
    return setting.type + unit + (f": {setting.range}" if setting.range else "")


def _value(value: object) -> str:
    """As a recipe's file has it."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
