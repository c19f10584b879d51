"""Assemble what the site is built from: python docs/make_site_pages.py OUT.

The pages of ``docs/`` as they are, those that lie at the top of the repository under names of their own, and the
references that are made from the code at that moment: every command's help, every metric, every public set.
``mkdocs.yml`` has them all.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import typer
from typer.core import TyperGroup

from glioseg.cli.app import app
from glioseg.cohorts.catalogue import PUBLIC_SETS, PublicSet
from glioseg.evaluation.metric import Metric
from glioseg.evaluation.metrics import CLASS_METRICS, REGION_METRICS

ROOT = Path(__file__).parents[1]
FROM_THE_TOP: Mapping[str, str] = MappingProxyType({"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md"})
"""Pages at the top of the repository -> what they are called on the site."""
_WIDTH = 88


def assemble(out: Path) -> None:
    """Write all pages and pictures into ``out``, which is emptied first."""
    shutil.rmtree(out, ignore_errors=True)
    kept = shutil.ignore_patterns("*.py", "*.toml", "*.json", "*.csv", "__pycache__", "models")
    shutil.copytree(ROOT / "docs", out, ignore=kept)
    for source, name in FROM_THE_TOP.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        (out / name).write_text(_without_docs_folder(text), encoding="utf-8")
    for page in out.rglob("*.md"):
        page.write_text(
            _to_the_site(page.read_text(encoding="utf-8"), len(page.relative_to(out).parts)), encoding="utf-8"
        )
    reference = out / "reference"
    reference.mkdir(exist_ok=True)
    (reference / "commands.md").write_text(commands_page(), encoding="utf-8")
    (reference / "metrics.md").write_text(metrics_page(), encoding="utf-8")
    (reference / "public-sets.md").write_text(public_sets_page(), encoding="utf-8")


def _without_docs_folder(text: str) -> str:
    """Links of a page at the top, as they are once it lies among the others."""
    return re.sub(r"\]\(docs/", "](", text)


def _to_the_site(text: str, depth: int) -> str:
    """Links of a page of ``docs/`` to pages at the top, which lie beside it on the site."""
    for source, name in FROM_THE_TOP.items():
        text = text.replace(f"]({'../' * depth}{source}", f"]({'../' * (depth - 1)}{name}")
    return text


def commands_page() -> str:
    """What ``--help`` says of every command, in its order."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    parts = ["# The command line", "What `glioseg COMMAND --help` says, of every command."]
    for name, command in group.commands.items():
        context = command.make_context(
            name, [], resilient_parsing=True, terminal_width=_WIDTH, max_content_width=_WIDTH
        )
        context.info_name = f"glioseg {name}"
        parts += [f"## {name}", f"```text\n{command.get_help(context).rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def metrics_page() -> str:
    """Every metric by its entry in the tables."""
    about = (
        "Each is one entry in `glioseg.evaluation.metrics`; names are those of JSON and CSV. How each is made, and why "
        "other programs differ, is told in [figures and their conventions](../evaluation.md)."
    )
    groups = (("Of a region", REGION_METRICS.values()), ("Of classes", CLASS_METRICS.values()))
    sources = list(dict.fromkeys(m.source for _, metrics in groups for m in metrics if m.source))
    tables = [f"## {title}\n\n{_metric_table(metrics, sources)}" for title, metrics in groups]
    lines = [f"{number}. {source}" for number, source in enumerate(sources, start=1)]
    note = "Numbers stand for the publications below; what has none is a count."
    return "\n\n".join(["# Metrics", about, *tables, "## Sources", note, "\n".join(lines)]) + "\n"


def _metric_table(metrics: Iterable[Metric], sources: Sequence[str]) -> str:
    head = ["| name | in words | what it is | unit | better | source |", "|---|---|---|---|---|---|"]
    return "\n".join(
        head
        + [
            f"| `{m.name}` | {m.words} | {m.about.replace('|', '&#124;')} | {m.unit} | {m.better} | "
            f"{sources.index(m.source) + 1 if m.source else ''} |"
            for m in metrics
        ]
    )


def public_sets_page() -> str:
    """Every public set that ``glioseg download`` knows, by its entry in the table."""
    about = (
        "`glioseg download NAME` brings what can be had without an account, resumed where it broke off, held to size "
        "and checksum, all of it or none. Of the others it tells the steps, and `glioseg download NAME --check FOLDER` "
        "whether all of it is there. Who uses a set keeps its terms and cites it."
    )
    head = ["| name | what | licence | fetched |", "|---|---|---|---|"]
    rows = [
        f"| [{each.name}](#{each.name}) | {each.about} | {each.licence} | {_size(each)} |"
        for each in PUBLIC_SETS.values()
    ]
    sections = map(_about_set, PUBLIC_SETS.values())
    return "\n\n".join(["# Public data", about, "\n".join(head + rows), *sections]) + "\n"


def _size(each: PublicSet) -> str:
    return "by hand" if each.n_bytes is None else f"{each.n_bytes / 1e9:.2f} GB"


def _about_set(each: PublicSet) -> str:
    held = each.contents
    patients = "" if held.n_patients is None else f" of {held.n_patients:,} patients"
    facts = [
        f"- {held.n_cases:,} cases{patients}, {held.n_files:,} files of scans and masks, as layout `{held.layout}`",
        f"- Checked by {each.checked_by}.",
        f"- To be cited: {each.cite}. [Its page]({each.page}).",
    ]
    steps = [f"{number}. {step}" for number, step in enumerate(each.steps, start=1)]
    return "\n\n".join([f"## {each.name}", f"{each.about}.", "\n".join(facts), *(["\n".join(steps)] if steps else [])])


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
