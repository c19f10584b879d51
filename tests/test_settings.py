"""Every setting is listed with its meaning; the page in the documents is true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glioseg.cli.settings_text import settings_page, settings_text
from glioseg.config import Recipe, build_recipe, write_recipe
from glioseg.config.settings import list_settings
from glioseg.errors import OptionError
from glioseg.options import names_of
from tests.cli.command import glioseg

_PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
_NO_PARTS = {"format", "name", "about", "after", "notes", "published", "tune"}


def test_the_page_is_what_the_options_say() -> None:
    assert _PAGE.read_text(encoding="utf-8") == settings_page(list_settings()), "python docs/make_settings_page.py"


def test_every_setting_is_listed_with_a_meaning() -> None:
    listed = {setting.name for setting in list_settings()}
    names = {name for name in names_of(Recipe) if name.partition(".")[0] not in _NO_PARTS}
    parts = {name for name in names if any(other.startswith(f"{name}.") for other in names)}
    assert listed == names - parts
    assert [setting.name for setting in list_settings() if not setting.meaning] == []


def test_a_setting_says_what_it_may_be_and_who_sets_it() -> None:
    (rate,) = list_settings("train.lr")
    assert (rate.type, rate.default, rate.range) == ("number", 1e-3, "> 0")
    assert rate.recipes["tum-lgg"] == 1e-4
    (minutes,) = list_settings("train.max_minutes")
    assert (minutes.type, minutes.default, minutes.unit) == ("number or none", None, "minutes")
    (angle,) = list_settings("augment.rotation.range")
    assert (angle.type, angle.range, angle.unit) == ("2 numbers", "-180 to 180", "degrees")
    (over,) = list_settings("loss.dice.over")
    assert (over.type, over.range, over.default) == ("word", "batch, item", "item")
    assert over.recipes["lgg"] == "batch"


def test_settings_of_one_kind_say_of_which() -> None:
    kind, factor, patience = list_settings("train.schedule")
    assert (kind.name, kind.kinds, kind.default) == ("train.schedule.kind", (), "constant")
    assert kind.recipes["lgg"] == "one-cycle"
    assert factor.kinds == patience.kinds == ("plateau",)
    widths = {setting.kinds: setting for setting in list_settings("model.width")}
    assert set(widths["classifier",].recipes) == {"classifier"}
    assert "classifier" not in widths["unet", "attention-unet", "resunet"].recipes


def test_a_prefix_is_a_whole_name() -> None:
    assert {setting.name.partition(".")[0] for setting in list_settings("loss")} == {"loss"}
    assert list_settings("loss.") == list_settings("loss")
    with pytest.raises(OptionError, match="there is no setting tra; expected one of the parts data, split"):
        list_settings("tra")


def test_defaults_are_those_of_a_recipe() -> None:
    recipe = build_recipe({})
    for name in ("train.epochs", "predict.threshold", "augment.flip.axes", "loss.dice.smoothing"):
        (setting,) = list_settings(name)
        value: object = recipe
        for part in name.split("."):
            value = getattr(value, part)
        assert json.dumps(setting.default) == json.dumps(value)


# -- on the command line -----------------------------------------------------------------------------------------------


def test_settings_are_printed_as_text_and_as_json() -> None:
    listed = list_settings("loss.dice")
    assert glioseg("recipes", "--settings", "loss.dice").out == settings_text(listed) + "\n"
    ran = glioseg("recipes", "--settings", "loss.dice", "--json")
    assert ran.json == {"settings": [setting.to_json() for setting in listed]}
    assert ran.json["settings"][1]["name"] == "loss.dice.over"
    assert len(glioseg("recipes", "--settings", "--json").json["settings"]) == len(list_settings())


def test_a_recipe_is_printed_with_its_comments() -> None:
    shown = glioseg("recipes", "lgg").out
    assert shown.startswith("# Ours: the best that two CPU cores reach on LGG")
    assert "# one lesion to a patient" in shown
    changed = glioseg("recipes", "lgg", "--set", "train.epochs=3").out
    assert "#" not in changed
    assert "\n[loss.dice]\nweight = 1.0\n" in changed


def test_json_without_settings_is_refused() -> None:
    ran = glioseg("recipes", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "Add --settings" in ran.err


def test_a_recipe_of_format_1_is_shown_as_it_is_and_resolved_with_set(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("# mine\n[loss]\ndice_over = 'batch'\n", encoding="utf-8")
    assert glioseg("recipes", tmp_path / "mine.toml").out.startswith("# mine\n")
    changed = glioseg("recipes", tmp_path / "mine.toml", "--set", "train.epochs=3").out
    expected = build_recipe({"loss": {"kind": "bce+dice", "dice": {"over": "batch"}}, "train": {"epochs": 3}})
    assert changed == write_recipe(expected)
