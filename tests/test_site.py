"""The site: every page is led to, every link leads somewhere, and what the tutorials tell to type works."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.app.browser import CHROMIUM, PATIENCE_S, chromium
from tests.cli.command import glioseg
from tests.runs.conftest import _one_thread, plain_reports
from tests.test_documents import commands_of

__all__ = ["_one_thread"]

_ROOT = Path(__file__).parents[1]
_TUTORIALS = ("first-mask", "clinical-study", "published-work", "comparing", "strangers-log")
_WITHOUT_QUIET = ("models", "recipes", "compare", "app")
_SHORT = ("train.epochs=1", "model.width=4", "model.depth=2", "evaluate.n_resamples=50")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _maker() -> ModuleType:
    spec = spec_from_file_location("make_site_pages", _ROOT / "docs" / "make_site_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "pages"
    _maker().assemble(out)
    return out


def _led_to(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for below in nav.values():
            yield from _led_to(below)
    elif isinstance(nav, list):
        for entry in nav:
            yield from _led_to(entry)


def test_every_page_is_led_to_once(pages: Path) -> None:
    nav = list(_led_to(yaml.safe_load((_ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    assert sorted(nav) == sorted(page.relative_to(pages).as_posix() for page in pages.rglob("*.md"))


def test_every_link_within_the_site_leads_somewhere(pages: Path) -> None:
    dead = [
        (page.name, link)
        for page in pages.rglob("*.md")
        for link in _LINK.findall(re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert dead == []


def test_references_are_complete(pages: Path) -> None:
    commands = (pages / "reference" / "commands.md").read_text(encoding="utf-8")
    assert "## predict\n" in commands
    assert "--scheme NAME" in commands
    assert "| `hd95` | HD95 |" in (pages / "reference" / "metrics.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``make docs`` builds it, where a warning is an error."""
    pytest.importorskip("mkdocs", reason="the site needs the extra docs")
    folder = tmp_path_factory.mktemp("built")
    config = yaml.safe_load((_ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    here = folder / "mkdocs.yml"
    here.write_text(
        yaml.safe_dump(config | {"docs_dir": str(pages), "site_dir": str(folder / "site")}), encoding="utf-8"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(here)],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return folder / "site"


@pytest.mark.slow
def test_a_page_fetches_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', page) == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: make test-app says how")
def test_the_search_finds_a_page_in_a_folder_without_a_server(site: Path) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto((site / "tutorials" / "comparing.html").as_uri())
        page.locator(".md-search__input").click()
        page.locator(".md-search__input").press_sequentially("hausdorff", delay=50)
        hit = page.locator(".md-search-result__list a").first
        hit.wait_for(timeout=PATIENCE_S * 1000)
        assert "evaluation.html" in hit.get_attribute("href") or "metrics.html" in hit.get_attribute("href")


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", _TUTORIALS)
def test_a_tutorial_from_the_first_command_to_the_last(
    tutorial: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: None)  # the application would serve for ever
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    with plain_reports():
        for arguments in commands_of(_ROOT / "docs" / "tutorials" / f"{tutorial}.md"):
            trains = arguments[0] in ("train", "study")
            short = [part for change in _SHORT for part in ("--set", change)] if trains else []
            quiet = () if arguments[0] in _WITHOUT_QUIET else ("--quiet",)
            ran = glioseg(*arguments, *short, *quiet)
            assert ran.code == 0, (arguments, ran.err)
