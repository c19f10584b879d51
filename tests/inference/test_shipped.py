"""The networks that come with glioseg: complete, within bounds, refused where damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from glioseg.errors import FileError, OptionError
from glioseg.inference.bundle import WEIGHTS, load_bundle, read_info
from glioseg.inference.shipped import SHIPPED, is_model_name, located

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
    sizes = [(model.folder / WEIGHTS).stat().st_size for model in SHIPPED.values()]
    assert max(sizes) < 8 * _MEGABYTE
    assert sum(sizes) < 20 * _MEGABYTE


@pytest.mark.parametrize("name", SHIPPED)
def test_a_damaged_one_is_refused(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SHIPPED[name].folder, tmp_path / name))
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-100] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    with pytest.raises(FileError, match="the weights do not belong to this bundle"):
        load_bundle(folder)


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
    assert "glioseg models" in str(caught.value)
