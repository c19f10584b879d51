"""The page of a classifier: what it says, and how pictures are captioned."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.errors import GeometryError
from glioseg.evaluation.class_protocol import (
    CLASSIFIER_WORDS,
    CaseClasses,
    ClassEvaluation,
    class_rows,
    evaluate_classes,
)
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.report.classification import classification_page
from glioseg.report.classified import ClassifiedPicture, captioned, percent
from glioseg.report.figures.classes import scores
from glioseg.report.figures.overlay import heat
from glioseg.report.html import FIGURES
from glioseg.report.run import write_run_report
from glioseg.report.run_facts import (
    ClassificationFacts,
    CohortFacts,
    PartCounts,
    PartScores,
    RecipeFacts,
    SplitFacts,
)
from glioseg.training.log import LogRow

_NAMES = ("no", "yes")
_RECALLS = {"no": 1.0, "yes": 0.0}


def _part(n: int) -> PartScores[ClassEvaluation]:
    """Every third picture is said wrongly."""
    cases = []
    for number in range(n):
        yes = 0.9 if (number % 2 == 0) != (number % 3 == 0) else 0.2
        reference, decided = np.array([int(number % 2 == 0)]), np.array([int(yes > 0.5)])
        name = f"picture {number}"
        cases.append(CaseClasses(name, name, name, reference, np.array([[1 - yes, yes]]), decided))
    evaluation = evaluate_classes(cases, _NAMES, EvaluateOptions(n_resamples=50), CLASSIFIER_WORDS)
    return PartScores(evaluation, class_rows(cases, _NAMES))


def _shown(name: str) -> ClassifiedPicture:
    looked_at = np.linspace(0, 1, 20 * 30, dtype=np.float32).reshape(20, 30)
    return ClassifiedPicture(name, np.full((20, 30), 90, dtype=np.uint8), "yes", 0.973, "no", looked_at)


def test_the_page(tmp_path: Path) -> None:
    counts = PartCounts(12, 12, 12)
    facts = ClassificationFacts(
        recipe=RecipeFacts("classifier", 'name = "classifier"'),
        data=CohortFacts("pictures", "classes", ("red", "green", "blue"), {}, has_mm=False),
        split=SplitFacts({"train": counts, "test": counts}, "picture", 0),
        log=[
            LogRow.from_json(row)
            for row in (
                {
                    "epoch": 0,
                    "train_loss": 0.7,
                    "val_loss": 0.6,
                    "val_score": 0.5,
                    "learning_rate": 1e-3,
                    "elapsed_s": 3.0,
                    "classes": {"accuracy": 0.5, "balanced_accuracy": 0.5, "auc": None, "recall": _RECALLS},
                },
                {"epoch": 1, "train_loss": 0.5, "learning_rate": 1e-3, "elapsed_s": 5.0},
            )
        ],
        best_epoch=0,
        n_epochs=2,
        parts={"test": _part(12)},
        names=_NAMES,
        counts={"train": {"no": 5, "yes": 7}, "test": {"no": 6, "yes": 6}},
        wrong=[_shown("wrong one")],
        right=[_shown("right one")],
        temperatures=(1.7,),
    )
    page = write_run_report(
        facts, classification_page(facts, tmp_path / FIGURES), tmp_path, written_on=date(2026, 1, 2)
    ).read_text()
    for words in (
        "Balanced accuracy, test",
        "Wrong answers, the surest first",
        "divided by 1.7, a temperature",
        "12 pictures",
    ):
        assert words in page
    for name in ("confusion", "roc", "precision-recall", "reliability", "pictures-wrong", "pictures-right", "losses"):
        assert (tmp_path / "figures" / f"{name}.png").exists(), name
    assert "Dice" not in page.partition("<main")[2].partition("recipe.toml of the run")[0]


def test_few_patients_are_counted(tmp_path: Path) -> None:
    facts = ClassificationFacts(
        recipe=RecipeFacts("classifier", ""),
        data=CohortFacts("scans", "brats", ("t1c",), {}),
        split=SplitFacts({"test": PartCounts(12, 12, 12)}, "patient", 0),
        parts={"test": _part(12)},
        names=_NAMES,
    )
    page = write_run_report(facts, classification_page(facts, tmp_path / FIGURES), tmp_path).read_text()
    assert "The test part has 12 patients: one patient more or less" in page


def test_a_caption_never_rounds_to_certainty() -> None:
    assert [percent(one) for one in (0.5, 0.9731, 0.9997, 0.99999, 1.0)] == [
        "50.0 %",
        "97.3 %",
        "99.97 %",
        "99.99 %",
        "100.00 %",
    ]
    assert _shown("a").words == "yes, 97.3 %"


def test_the_captioned_picture_is_a_png_with_both_panels() -> None:
    with Pillow.open(BytesIO(captioned(_shown("a")))) as picture:
        assert picture.format == "PNG"
        assert picture.size[0] > 2 * picture.size[1] * 20 / 30


def test_a_map_of_zeros_leaves_the_picture_as_it_is() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    shown = heat(pixels, np.zeros((3, 4), dtype=np.float32))
    assert (shown == pixels[..., None]).all()
    with pytest.raises(GeometryError, match="differ in size"):
        ClassifiedPicture("a", pixels, "yes", 0.9, None, np.zeros((3, 5), dtype=np.float32))


def test_a_score_that_no_epoch_has_is_not_in_the_legend() -> None:
    """AUC is undefined where the validation part has one class."""
    row = LogRow(0, 0.5, 0.1, 1.0, figures={"classes": {"accuracy": 0.5, "balanced_accuracy": 0.5, "auc": None}})
    legend = scores([row], None).axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["accuracy", "balanced accuracy"]
