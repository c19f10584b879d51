"""Single words and captions of pages: what a part is called, shares, what a table leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from glioseg.core import LabelScheme
from glioseg.report import style
from glioseg.report.figures import charts, scans
from glioseg.report.figures.scans import Exhibit
from glioseg.report.html import Picture
from glioseg.report.parts import class_sections, predicted
from glioseg.report.parts.charts import diagnoses
from glioseg.report.parts.plan import plan
from glioseg.report.parts.run_words import part_phrase, part_title
from glioseg.report.parts.scans import anatomy, dark
from glioseg.report.pixels import read_slices
from glioseg.report.run_facts import ClassificationFacts, CohortFacts, RecipeFacts, SplitFacts
from glioseg.training.log import LogRow
from tests.report.made import description, tumour, volume_cohort


@pytest.mark.parametrize(
    ("name", "phrase", "title"),
    [
        ("val", "the validation part", "Validation part"),
        ("test", "the test part", "Test part"),
        ("all", "all cases", "All cases"),
        ("on-brats29", "brats29", "brats29"),
    ],
)
def test_what_a_part_is_called(name: str, phrase: str, title: str) -> None:
    assert (part_phrase(name), part_title(name)) == (phrase, title)


def test_pictures_beside_the_page_are_counted() -> None:
    assert predicted.beside_the_page(13, 12, "further case") == "The pictures of 1 further case lie beside this page."
    words = predicted.beside_the_page(6, 4, "surer case", what="maps", named="CASE.png")
    assert words == "The maps of 2 surer cases lie beside this page, as CASE.png."
    assert predicted.beside_the_page(12, 12, "further case") == ""


def test_a_share_of_all_is_written_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In two digits, 100 % was written 1e+02 %."""
    cohort = volume_cohort(tmp_path, ("one",))
    about = description(cohort, tumour(1))
    case = replace(about.cases[0], slices=replace(about.cases[0].slices, non_black=np.ones(6, dtype=np.float32)))
    about = replace(about, cases=(case,), dark_threshold=1.0)
    chosen = plan(about)
    shaded = read_slices(cohort, chosen.gallery["dark"])
    written: list[str] = []

    def noted(exhibits: Sequence[Exhibit], **_: object) -> Figure:
        written.extend(exhibit.note for exhibit in exhibits)
        return Figure(figsize=(1, 1))

    monkeypatch.setattr(scans, "side_by_side", noted)
    dark(about, chosen, shaded, tmp_path, ())
    assert written == ["slice 1, 100 %"]


def test_of_very_many_regions_the_first_are_shown(tmp_path: Path) -> None:
    """Forty regions side by side were panels of thirty pixels, under captions that were all the same."""
    names = tuple(f"structure {number}" for number in range(1, 41))
    own = LabelScheme(
        "own", {name: number for number, name in enumerate(names, 1)}, {name: (name,) for name in names}, names
    )
    cohort = replace(volume_cohort(tmp_path, ("one",)), scheme=own)
    about = description(cohort, tumour(1, 2, 4))
    chosen = plan(about)
    section = anatomy(about, chosen, read_slices(cohort, chosen.requests), tmp_path / "figures")
    shown = next(block for block in section.blocks if isinstance(block, Picture) and block.name == "regions")
    assert "the first 8 of 40 regions" in shown.caption


def test_a_label_named_after_the_brain_has_its_own_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brainstem was as grey as brain without a label."""
    about = description(volume_cohort(tmp_path, ("one",)), tumour(1, 2))
    names = ("brainstem", "ET")
    scheme = LabelScheme("own", {"brainstem": 1, "ET": 2}, {name: (name,) for name in names}, names)
    about = replace(about, labels={"brainstem": 40, "ET": 20}, scheme=scheme)
    colours: list[str] = []

    def noted(*_: object, **options: Any) -> Figure:
        colours.extend(options["colours"])
        return Figure(figsize=(1, 1))

    monkeypatch.setattr(charts, "bars", noted)
    diagnoses(about, tmp_path)
    background, brain, brainstem, _ = colours
    assert (background, brain) == (style.LINE, style.NEUTRAL)
    assert brainstem == style.region_colour("brainstem", 0)


def test_the_longest_training_says_which_epochs_are_listed() -> None:
    facts = ClassificationFacts(
        recipe=RecipeFacts("sharma-cnn", ""),
        data=CohortFacts("pictures", "class-folders", ("grey",), {}),
        split=SplitFacts({}),
        log=tuple(LogRow(epoch=number, train_loss=1.0, learning_rate=1e-3, elapsed_s=1.0) for number in range(3001)),
        names=("no", "yes"),
        counts={},
        temperatures=(1.0,),
    )
    (table,) = class_sections.epochs(facts).blocks
    assert "The last 3,000 of 3,001 are listed; log.jsonl has all of them." in table.caption  # type: ignore[union-attr]
