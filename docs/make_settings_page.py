"""Write docs/settings.md from the options themselves: python docs/make_settings_page.py."""

from __future__ import annotations

from pathlib import Path

from glioseg.cli.settings_text import settings_page
from glioseg.config.settings import list_settings

if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(settings_page(list_settings()), encoding="utf-8")
