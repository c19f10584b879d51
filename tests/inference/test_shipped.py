"""The networks that come with glioseg: complete, within bounds, refused where damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from glioseg.errors import FileError, OptionError
from glioseg.inference.bundle import WEIGHTS, load_bundle, read_info
from glioseg.inference.shipped import SHIPPED, ShippedModel, installed_models, is_model_name, located

_MEGABYTE = 1_000_000


@pytest.mark.parametrize("name", SHIPPED)
def test_each_says_what_it_is(name: str) -> None:
    info, card = read_info(Path(f"model:{name}")), SHIPPED[name].card()
    assert card == info.card
    assert card.name == name
    assert all((card.about, card.intended_use, card.licence, card.protocol, card.limits, card.references))
    assert any(data.role == "training" for data in card.data)
    assert all(data.licence for data in card.data)
    assert all(figure.n_cases for figure in card.figures)
    assert sum(figure.ci95 is not None for figure in card.figures) >= len(info.regions or info.classes)


def test_they_are_small() -> None:
    sizes = {name: (model.folder / WEIGHTS).stat().st_size for name, model in SHIPPED.items()}
    assert max(sizes.values()) < 8 * _MEGABYTE
    assert sum(size for name, size in sizes.items() if SHIPPED[name].distribution == "glioseg") < 20 * _MEGABYTE


def test_the_wheel_of_glioseg_carries_what_its_licence_covers() -> None:
    inside = [model for model in SHIPPED.values() if model.distribution == "glioseg"]
    assert [model.name for model in inside] == ["phantom", "t1c-pictures"]
    assert all(model.card().licence.startswith("Apache-2.0") for model in inside)
    for model in SHIPPED.values():
        if model not in inside:
            assert (model.folder / "LICENSE.md").read_text(encoding="utf-8").count("research")


def test_what_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = ShippedModel("brats", "no_such_package", "glioseg-weights-research")
    monkeypatch.setattr("glioseg.inference.shipped.SHIPPED", {"brats": absent})
    assert not absent.is_installed
    assert installed_models() == ()
    with pytest.raises(FileError, match="model:brats is not installed") as caught:
        load_bundle(Path("model:brats"))
    assert (
        "pip install ./weights-research in a clone of glioseg, or where it is published pip install glioseg-w"
        in str(caught.value)
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_a_damaged_one_is_refused(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SHIPPED[name].folder, tmp_path / name))
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-100] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    with pytest.raises(FileError, match="the weights do not belong to this bundle"):
        load_bundle(folder)


@pytest.mark.parametrize("described", ['{"card": null}', "{}", "[]", '{"card": {"name": 3}}'])
def test_one_without_its_card_is_installed_again(
    described: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle.json").write_text(described)
    monkeypatch.setattr(ShippedModel, "folder", tmp_path)
    with pytest.raises(FileError, match=r"without its card\. Install glioseg again\."):
        SHIPPED["phantom"].card()


def test_names_and_paths() -> None:
    name = next(iter(SHIPPED))
    assert is_model_name(Path(f"model:{name}"))
    assert not is_model_name(Path("runs/model"))
    assert located(Path("runs/model")) == Path("runs/model")
    assert located(Path(f"model:{name}")) == SHIPPED[name].folder


@pytest.mark.parametrize("name", ["model:phantm", "model:", "model:../phantom"])
def test_an_unknown_one_names_those_there_are(name: str) -> None:
    with pytest.raises(OptionError, match="there is no shipped network") as caught:
        load_bundle(Path(name))
    assert "model:phantom" in str(caught.value)
    assert "glioseg.models" in str(caught.value)
