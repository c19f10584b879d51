"""A network of brains is not shown a head in silence, nor the other way round."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import glioseg as face
from glioseg.core import Case, Grid, Image, Source
from glioseg.inference.bundle import BundleInfo, read_info
from glioseg.io.nifti import write_nifti
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.preparation.ready.record import Extracted, ReadyRecord
from glioseg.tasks.skull import skull_of_cases, skull_warnings
from tests.fakes.heads import patient, with_skull

NAMES = ("t2f",)


@pytest.fixture(scope="module")
def brain() -> Image:
    """One modality of a brain, at 3 mm."""
    whole = patient(3.0)
    return Image(whole.array[:1], NAMES, whole.grid)


@pytest.fixture(scope="module")
def head(brain: Image) -> Image:
    return with_skull(brain)


def _info(skull: bool | None, name: str = "net") -> BundleInfo:
    return read_info(Path("model:phantom")).model_copy(update={"skull": skull, "name": name})


def _record(*, skull: float, removed: bool) -> ReadyRecord:
    brain = Extracted("t1n", 1300.0, "deepbet", 1.0, is_odd=False) if removed else None
    return ReadyRecord(ReadyOptions(brain_extract=True), "t1n", (1, 1, 1), (), {"t1n": skull}, brain, (), 1.0)


def test_a_head_is_not_what_a_network_of_brains_was_trained_on(head: Image, brain: Image) -> None:
    (words,) = skull_warnings(head, None, (_info(False),))
    assert words.startswith("t2f shows a skull (bone on ")
    assert words.endswith(
        "and net was trained on brains without skull: what it says here is worth little. "
        "Predict again with `--brain-extract`, which removes the skull"
    )
    assert skull_warnings(brain, None, (_info(False),)) == ()


def test_a_brain_is_not_what_a_network_of_heads_was_trained_on(head: Image, brain: Image) -> None:
    assert skull_warnings(brain, None, (_info(True),)) == (
        "No skull is seen, and net was trained on heads with their skull: its answer may be worse",
    )
    assert skull_warnings(head, None, (_info(True),)) == ()


def test_of_several_networks_those_are_named_that_it_concerns(head: Image) -> None:
    (words,) = skull_warnings(head, None, (_info(True, "a"), _info(False, "b"), _info(None, "c")))
    assert "and b was trained on brains" in words


def test_what_was_looked_for_already_is_not_looked_for_again(brain: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glioseg.tasks.skull.most_skull", lambda image: pytest.fail("looked again"))
    removed, absent = _record(skull=0.8, removed=True), _record(skull=0.1, removed=False)
    assert skull_warnings(brain, removed, (_info(False),)) == skull_warnings(brain, absent, (_info(False),)) == ()
    assert skull_warnings(brain, None, (_info(None),)) == ()
    (words,) = skull_warnings(brain, removed, (_info(True),))
    assert words.startswith("The skull was removed, and net was trained on heads")
    assert words.endswith("Leave `--brain-extract` out")


def test_what_shows_no_head_is_not_judged() -> None:
    pictures = Image(np.ones((1, 40, 40, 3), dtype=np.float32), NAMES, Grid.of_pictures((40, 40, 3)))
    ball = Image(np.ones((1, 8, 8, 8), dtype=np.float32), NAMES, Grid((8, 8, 8), np.eye(4)))
    for image in (pictures, ball):
        assert skull_warnings(image, None, (_info(False), _info(True))) == ()


def _case(image: Image, folder: Path, name: str) -> Case:
    path = folder / f"{name}.nii.gz"
    write_nifti(path, image.array[0], image.grid)
    return Case(name, name, {"t2f": Source((path,), "nifti")})


def test_a_bundle_knows_what_its_network_was_trained_on(head: Image, brain: Image, tmp_path: Path) -> None:
    with_it, without = _case(head, tmp_path, "a"), _case(brain, tmp_path, "b")
    assert skull_of_cases([with_it, with_it]) is True
    assert skull_of_cases([without]) is False
    assert skull_of_cases([with_it, without]) is None
    gone = dataclasses.replace(with_it, images={"t2f": Source((tmp_path / "gone.nii.gz",), "nifti")})
    assert skull_of_cases([gone]) is None
    assert skull_of_cases([gone, without]) is False
    assert skull_of_cases([]) is None


def test_the_warning_stands_beside_the_mask_in_the_words_of_who_reads_it(head: Image, tmp_path: Path) -> None:
    model = face.load("model:phantom", device="cpu")
    whole = dict.fromkeys(("t1n", "t1c", "t2w", "t2f"), (head.array[0], head.grid.affine))
    prediction = model.predict(whole)
    assert "Predict again with brain_extract=True, which removes the skull" in prediction.warnings[0]
    written = prediction.save(tmp_path)
    (facts,) = (json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.json"))
    assert "Predict again with --brain-extract, which removes the skull" in facts["warnings"][0]
    assert "`--brain-extract`" in written.warnings[0]  # which a console shows to its readers, and a log to its own
    (page,) = tmp_path.glob("*.html")
    assert "Predict again with --brain-extract, which removes the skull" in page.read_text(encoding="utf-8")
