"""Studies: what is shipped, held to its publication; how rows are made; what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from glioseg.config import changes_to_shipped, shipped_recipes
from glioseg.errors import FileError, OptionError
from glioseg.evaluation.metrics import CLASS_METRICS, REGION_METRICS
from glioseg.evaluation.published import PublishedProtocol, protocol_of
from glioseg.networks.build import OPTIONS
from glioseg.studies.options import StudyRow, folder_of, read_study, run_recipe, shipped_studies, study_rows
from glioseg.training.options import SgdOptions

NAMES = tuple(shipped_studies())


def _write(path: Path, text: str) -> str:
    file = path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def _rows(name: str, *changes: str) -> Mapping[str, StudyRow]:
    return {row.name: row for row in study_rows(read_study(name), changes)}


def _published(row: StudyRow, part: str) -> dict[str, float]:
    assert row.recipe is not None
    assert isinstance(row.recipe.published, PublishedProtocol)
    protocol, reasons = protocol_of(row.recipe.published, part)
    assert reasons == ()
    return {
        figure.metric: value for figure in protocol.figures if figure.part == part for value in figure.values.values()
    }


def test_a_study_takes_every_metric_of_the_table_and_no_other(tmp_path: Path) -> None:
    for name in (*REGION_METRICS, *CLASS_METRICS):
        assert read_study(_write(tmp_path, f'recipe = "lgg"\nmetrics = ["{name}"]')).metrics == (name,)
    with pytest.raises(OptionError, match=r"metrics\.0: there is no metric dise here: one of dice, iou"):
        read_study(_write(tmp_path, 'recipe = "lgg"\nmetrics = ["dise"]'))


# -- shipped studies ---------------------------------------------------------------------------------------------------


def test_these_studies_are_shipped() -> None:
    tum = {"tum-losses", "tum-learning-rates"}
    assert set(NAMES) == tum | {"rc9-v1-v2", "architectures", "published", "five-folds"}


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_a_shipped_study_can_be_trained(name: str) -> None:
    """But for networks and recipes that this version does not have."""
    study = read_study(name)
    assert study.about
    assert study.name == name
    for given, row in zip(study.listed_rows(), study_rows(study), strict=True):
        kind = given.set.get("model.kind", "unet")
        known = (given.recipe or study.recipe) in shipped_recipes() and kind in OPTIONS
        assert (row.fault is None) is known, row.fault


@pytest.mark.parametrize(
    ("study", "figures"),
    [
        ("tum-losses", {"weighted BCE": (0.80, 0.77), "Dice": (0.75, 0.73), "combined": (0.83, 0.85)}),
        (
            "tum-learning-rates",
            {"0.5e-4, 70 epochs": (0.83, 0.84), "1e-4, 50 epochs": (0.83, 0.85), "0.5e-3, 50 epochs": (0.82, 0.79)},
        ),
    ],
)
def test_the_tables_of_tum(study: str, figures: dict[str, tuple[float, float]]) -> None:
    rows = _rows(study)
    assert list(rows) == list(figures)
    for name, (train, test) in figures.items():
        assert _published(rows[name], "train") == {"dice": train}
        assert _published(rows[name], "test") == {"dice": test, "accuracy": 0.97}


def test_the_rates_of_tum_have_their_epochs() -> None:
    found = [row.recipe.train for row in _rows("tum-learning-rates").values() if row.recipe is not None]
    assert [(train.lr, train.epochs) for train in found] == [(0.5e-4, 70), (1e-4, 50), (0.5e-3, 50)]


def test_what_a_publication_varied_is_no_change_but_what_the_user_changes_is() -> None:
    for row in _rows("tum-losses").values():
        assert row.recipe is not None
        assert changes_to_shipped(row.recipe) == ()
    changed = _rows("tum-losses", "model.width=16")["weighted BCE"].recipe
    assert changed is not None
    assert changes_to_shipped(changed) == ("model.width",)
    overridden = _rows("tum-losses", "loss.kind=bce")["weighted BCE"].recipe
    assert overridden is not None
    assert changes_to_shipped(overridden) == ("loss.kind",)


def test_architectures_have_an_equal_budget_and_differ_in_nothing_else() -> None:
    rows = [row.recipe for row in _rows("architectures", "train.max_minutes=4").values() if row.recipe is not None]
    assert len(rows) >= 3
    assert {row.train.max_minutes for row in rows} == {4.0}
    assert len({row.model.kind for row in rows}) == len(rows)
    assert len({row.model_copy(update={"model": rows[0].model}).model_dump_json() for row in rows}) == 1


def test_five_folds_are_over_every_patient() -> None:
    study = read_study("five-folds", {"recipe": "brats-2d"})
    (row,) = study_rows(study)
    assert row.recipe is not None
    assert (row.name, row.recipe.name, row.recipe.split.test) == ("brats-2d", "brats-2d", 0.0)
    drawn = [run_recipe(row, study, fold, 0).split for fold in range(5)]
    assert [(one.n_folds, one.fold) for one in drawn] == [(5, fold) for fold in range(5)]


# -- how rows are made -------------------------------------------------------------------------------------------------


def test_settings_of_an_axis_go_together_and_axes_are_crossed(tmp_path: Path) -> None:
    text = """
    recipe = "demo"
    [[axes]]
    set.loss.kind = ["bce", "dice"]
    [[axes]]
    names = ["slow", "fast"]
    set."train.lr" = [1e-4, 1e-2]
    set.train.epochs = [20, 5]
    """
    rows = study_rows(read_study(_write(tmp_path, text)))
    assert [row.name for row in rows] == ["bce, slow", "bce, fast", "dice, slow", "dice, fast"]
    assert [row.folder for row in rows] == ["bce-slow", "bce-fast", "dice-slow", "dice-fast"]
    found = [row.recipe for row in rows if row.recipe is not None]
    assert [(one.loss.kind, one.train.lr, one.train.epochs) for one in found] == [
        ("bce", 1e-4, 20),
        ("bce", 1e-2, 5),
        ("dice", 1e-4, 20),
        ("dice", 1e-2, 5),
    ]


def test_the_command_line_is_above_the_row_the_row_above_the_study_the_study_above_the_recipe(tmp_path: Path) -> None:
    text = """
    recipe = "demo"
    set.train = { epochs = 7, lr = 0.5, batch_size = 8 }
    [[rows]]
    name = "one"
    set.train = { lr = 0.25, batch_size = 4 }
    """
    (row,) = study_rows(read_study(_write(tmp_path, text)), ["train.batch_size=2"])
    assert row.recipe is not None
    train = row.recipe.train
    assert (train.optimiser.kind, train.epochs, train.lr, train.batch_size) == ("adamw", 7, 0.25, 2)


def test_a_row_may_have_no_value_where_the_recipe_has_one(tmp_path: Path) -> None:
    """TOML has no word for it; that of --set stands for it, but where none is a value like others (normalise)."""
    text = """recipe = "lgg"
set.train.max_minutes = 5
[[rows]]
name = "without limit"
set.train = { max_minutes = "none" }
set.prepare = { normalise = "none" }
[[rows]]
name = "with limit"
"""
    first, second = study_rows(read_study(_write(tmp_path, text)))
    assert first.recipe is not None
    assert second.recipe is not None
    assert (first.recipe.train.max_minutes, second.recipe.train.max_minutes) == (None, 5)
    assert first.recipe.prepare.normalise == "none"


def test_a_row_whose_settings_have_a_fault_carries_it_alone(tmp_path: Path) -> None:
    text = """
    recipe = "demo"
    [[axes]]
    set.model.kind = ["unet", "perceptron"]
    """
    good, bad = study_rows(read_study(_write(tmp_path, text)))
    assert (good.fault, bad.recipe) == (None, None)
    assert bad.fault is not None
    assert "there is no network perceptron" in bad.fault


def test_a_setting_that_one_network_lacks_is_left_out_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the residual U-Net had no width."""

    class Narrow(BaseModel):
        kind: str = "resunet"

    monkeypatch.setattr("glioseg.studies.options.OPTIONS", {"unet": OPTIONS["unet"], "resunet": Narrow})
    text = """
    recipe = "demo"
    [[axes]]
    set.model.kind = ["unet", "resunet"]
    """
    plain, residual = study_rows(read_study(_write(tmp_path, text)), ["model.width=40"])
    assert plain.recipe is not None
    assert residual.recipe is not None
    assert (plain.ignored, getattr(plain.recipe.model, "width", None)) == ((), 40)
    assert (residual.ignored, getattr(residual.recipe.model, "width", None)) == (("model.width",), 16)
    only = _write(tmp_path, 'recipe = "demo"\nset.model.kind = "resunet"')
    with pytest.raises(OptionError, match=r"no row of the study mine has a setting model\.width"):
        study_rows(read_study(only), ["model.width=40"])


@pytest.mark.parametrize(
    ("name", "folder"), [("weighted BCE", "weighted-bce"), ("0.5e-4, 70 epochs", "0.5e-4-70-epochs"), ("α/../β", "")]
)
def test_folders_of_rows(name: str, folder: str) -> None:
    assert folder_of(name) == folder


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('recipe = "demo"\nfold = 3', "no setting fold; did you mean folds?"),
        ('recipe = "demo"\n[[rows]]\nname = "a"\nsets = {}', "no setting rows.0.sets; did you mean rows.set?"),
        ('recipe = "demo"\nfolds = 1', "folds: "),
        ('recipe = "demo"\nseeds = [1, 1]', "seeds are different whole numbers from 0: [1, 1]"),
        ('recipe = "demo"\n[[rows]]\nname = "Cache"', "'Cache' of a row is that of a file or folder of the study"),
        ('recipe = "demo"\n[[rows]]\nname = "study.html"', "is that of a file or folder of the study"),
        (f'recipe = "demo"\n[[rows]]\nname = "{"a" * 201}"', "has more than 200 characters"),
        ('[[rows]]\nname = "a"', "recipe: the study names none, nor does its row a"),
        (
            'recipe = "demo"\n[[rows]]\nname = "a b"\n[[rows]]\nname = "A-b"',
            "'a b' of a row cannot be told from others",
        ),
        ('recipe = "demo"\nset.split.fold = 2', "split.fold is not a setting of rows: say folds of the study"),
        ('recipe = "demo"\n[[rows]]\nname = "a"\nset.train.seed = 2', "train.seed is not a setting of rows: say seeds"),
        (
            'recipe = "demo"\n[[axes]]\nset.train = { lr = [1.0, 2.0], epochs = [1] }',
            "train.lr has 2, train.epochs has 1",
        ),
        ('recipe = "demo"\n[[axes]]\nset.train.lr = []', "need as many values each"),
        ('recipe = "demo"\n[[rows]]\nname = "a"\n[[axes]]\nset.train.lr = [1.0]', "rows, or axes"),
    ],
)
def test_a_study_without_meaning_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_study(_write(tmp_path, text))
    assert message in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_an_unknown_study_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no study tum-loses; expected one of .*Did you mean tum-losses\?"):
        read_study("tum-loses")
    with pytest.raises(FileError, match="no such file"):
        read_study(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("set.train.epoch = 3", "no setting train.epoch; did you mean train.epochs?"),
        ('recipe = "tum-lg"', "there is no recipe tum-lg"),
        ("set.split = { train = 0.8, val = 0.2, test = 0.0 }", "the split has no test part"),
        ("published.test.dice = { WT = 0.5 }", "does not say how published figures were scored"),
    ],
)
def test_faults_of_rows(tmp_path: Path, row: str, message: str) -> None:
    text = f'recipe = "demo"\n[[rows]]\nname = "good"\n[[rows]]\nname = "bad"\n{row}'
    good, bad = study_rows(read_study(_write(tmp_path, text)))
    assert good.fault is None
    assert message in str(bad.fault)


def test_a_metric_that_was_not_published_is_a_fault(tmp_path: Path) -> None:
    text = 'recipe = "tum-lgg"\n[[rows]]\nname = "a"\n[[rows]]\nname = "b"\npublished.test.recall = { tumour = 0.5 }'
    assert "does not say how recall was scored" in str(study_rows(read_study(_write(tmp_path, text)))[1].fault)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["train.epoch=3"], "no row of the study demo-study can be trained: .*did you mean train.epochs"),
        (["train.seed=3"], "train.seed is decided by the study. Use seeds="),
        (["split.fold=1"], "split.fold is decided by the study"),
        (["model.kind=perceptron"], "there is no network perceptron"),
    ],
)
def test_changes_that_fit_no_row(tmp_path: Path, changes: list[str], message: str) -> None:
    study: Any = read_study(_write(tmp_path, 'name = "demo-study"\nrecipe = "demo"'))
    with pytest.raises(OptionError, match=message):
        study_rows(study, changes)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("set.train.optimiser.momentum = [0.5, 0.9]", "it acts with train.optimiser.kind=sgd"),
        ("set.loss.focal.gamma = [1, 2]", "without the term focal. Set loss.focal.weight=1 first"),
        ("set.loss.focal_gamma = [1, 2]", "no setting loss.focal_gamma any more. Set loss.focal.gamma"),
        ("set.augment.noise.range = [[0.1, 0.2], [0.02, 0.15]]", "the change is never made"),
    ],
)
def test_a_study_that_would_vary_nothing_is_refused(tmp_path: Path, settings: str, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        study_rows(read_study(_write(tmp_path, f'recipe = "demo"\n[[axes]]\n{settings}')))
    assert said in str(caught.value)


def test_terms_and_options_of_a_kind_are_axes(tmp_path: Path) -> None:
    text = """
    recipe = "demo"
    set.train.optimiser = "sgd"
    [[axes]]
    set.loss.dice.weight = [0.5, 2]
    set.train.optimiser.momentum = [0.5, 0.9]
    """
    first, second = (row.recipe for row in study_rows(read_study(_write(tmp_path, text))))
    assert first is not None
    assert second is not None
    assert (first.loss.terms["dice"].weight, second.loss.terms["dice"].weight) == (0.5, 2.0)
    assert (first.train.optimiser, second.train.optimiser) == (SgdOptions(momentum=0.5), SgdOptions(momentum=0.9))
    assert first.loss.terms.keys() == {"bce", "dice"}


def test_what_a_row_switches_off_needs_no_other_change(tmp_path: Path) -> None:
    text = 'recipe = "lgg"\n[[axes]]\nset.augment.rotation.probability = [0.5, 0.0]'
    assert [row.fault for row in study_rows(read_study(_write(tmp_path, text)))] == [None, None]
