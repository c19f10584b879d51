"""Recipes: what is shipped, held to its publication line by line; what is written out; what is refused."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from glioseg.config import Recipe, build_recipe, changes_to_shipped, read_recipe, shipped_recipes, write_recipe
from glioseg.config.migration import migrated
from glioseg.errors import FileError, OptionError
from glioseg.evaluation.published import PublishedProtocol
from glioseg.evaluation.published_classes import PublishedClasses
from glioseg.training.augment import AugmentOptions
from glioseg.training.options import PlateauOptions, SgdOptions
from glioseg.training.terms import DiceOptions, loss_of

NAMES = tuple(shipped_recipes())
PAPER = {"width": 64, "depth": 4, "normalisation": "batch", "padding": "zero", "attention": False, "residual": False}


def _refusal(*changes: str) -> str:
    with pytest.raises(OptionError) as caught:
        build_recipe({}, changes)
    return str(caught.value)


def _has(options: BaseModel, **expected: Any) -> None:
    assert {name: getattr(options, name) for name in expected} == expected


def _figures(recipe: Recipe) -> dict[tuple[str, str, str], dict[str, float]]:
    assert isinstance(recipe.published, PublishedProtocol)
    return {(one.metric, one.unit, one.empty): dict(one.values) for one in recipe.published.figures}


# -- shipped recipes ---------------------------------------------------------------------------------------------------


def test_these_recipes_are_shipped() -> None:
    ours = {"lgg", "lgg-any-contrast", "lgg-best", "brats", "brats-2d", "brats-3d", "phantom", "demo", "tissue"}
    ours |= {"classifier", "t1c-pictures"}
    followed = {
        "sharma-cnn",
        "nazir-unet",
        "egwaoje-brats-flair",
        "tum-lgg",
        "rc9-brats-multimodal",
        "rc9-brats-attention",
    }
    assert set(NAMES) == ours | followed


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_the_same_after_it_was_written_out(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    assert recipe.name == name
    assert recipe.about
    (tmp_path / "recipe.toml").write_text(write_recipe(recipe), encoding="utf-8")
    assert read_recipe(str(tmp_path / "recipe.toml")) == recipe
    assert changes_to_shipped(recipe) == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_of_a_split_are_all_given(name: str) -> None:
    split = read_recipe(name).split
    assert split.protocol == "patient"
    assert min(split.train, split.val) > 0
    assert split.test > 0 or split.n_folds is not None  # cross-validation scores each patient once without a test part


def _fields(model: type[BaseModel]) -> Iterator[tuple[type[BaseModel], str]]:
    for name, field in model.model_fields.items():
        yield model, name
        for part in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _fields(part)


def test_whatever_may_be_none_is_none_unless_it_is_given() -> None:
    """TOML has no null: a setting of None is left out when a recipe is written, and must come back as None."""
    for model, name in _fields(Recipe):
        field = model.model_fields[name]
        if type(None) in typing.get_args(field.annotation) and not field.is_required():
            assert field.default is None, f"{model.__name__}.{name}"


def test_egwaoje() -> None:
    recipe = read_recipe("egwaoje-brats-flair")
    assert recipe.data.modalities == ("t2f",)
    _has(recipe.split, train=0.7, val=0.15, test=0.15)
    _has(recipe.prepare, size=96, normalise="min-max", regions=("WT",), crop_to_brain=False)
    _has(recipe.slices, choice="tumour", n_neighbours=0)
    _has(recipe.model, upsampling="bilinear", **PAPER)
    assert recipe.loss.kind == "bce"
    assert recipe.augment.flip.probability > 0
    assert recipe.augment.turn.probability > 0
    _has(recipe.train, lr=1e-3, batch_size=4, epochs=10, clip_norm=1.0)
    assert (recipe.train.optimiser.kind, recipe.train.schedule.kind) == ("adam", "constant")
    assert recipe.published is not None
    _has(recipe.published, grid="working", slices="tumour-bearing", split="patient", n_patients=1251)
    figures = _figures(recipe)
    published = {"dice": 0.9147, "f1": 0.9147, "recall": 0.8993, "specificity": 0.9981, "accuracy": 0.9954}
    assert {metric: values["WT"] for (metric, _, _), values in figures.items() if values} == published
    assert {unit for _, unit, _ in figures} == {"pooled"}


def test_tum() -> None:
    recipe = read_recipe("tum-lgg")
    assert recipe.data.modalities is None
    _has(recipe.split, train=0.72, val=0.08, test=0.20)
    _has(recipe.prepare, size=128, normalise="z-score", brain_only=False, regions=("tumour",), missing="flair")
    _has(recipe.slices, choice="all", dark_below=75_000 / (256 * 256 * 3))
    _has(recipe.model, upsampling="transposed", **PAPER)
    assert recipe.loss.kind == "combined"
    assert recipe.loss.weighted_bce is not None
    _has(recipe.loss.weighted_bce, weight=1.0, class_weights="balanced")
    _has(recipe.loss.weighted_bce.border, w0=10.0, sigma=5.0, form="tum")
    assert recipe.loss.dice is not None
    _has(recipe.loss.dice, weight=1.0, over="batch", denominator="sums")
    assert recipe.augment.flip.probability == recipe.augment.turn.probability == 0.5
    _has(recipe.train, lr=1e-4, batch_size=10, epochs=50, clip_norm=None)
    assert (recipe.train.optimiser.kind, recipe.train.schedule.kind) == ("adam", "constant")
    _has(recipe.predict, threshold=0.3, tune=False, flips="none")
    assert recipe.published is not None
    _has(recipe.published, grid="working", slices="recipe", split="slice", n_patients=110)
    assert _figures(recipe)["dice", "slice", "both_empty_1"] == {"tumour": 0.85}


def test_rc9_multimodal() -> None:
    recipe = read_recipe("rc9-brats-multimodal")
    assert recipe.data.modalities == ("t1c", "t2f")
    _has(recipe.prepare, normalise="z-score", normalise_over="slice", regions=("NCR", "ED", "ET"))
    _has(recipe.model, width=16, depth=3, attention=False)
    assert recipe.loss.kind == "dice"
    _has(recipe.train, lr=1e-3, batch_size=4, epochs=50, score="dice", validate_every=1)
    assert recipe.train.optimiser.kind == "adam"
    _has(recipe.train.schedule, kind="plateau", factor=0.5, patience=3)
    assert _figures(recipe) == {
        ("dice", "slice", "both_empty_1"): {"NCR": 0.576, "ED": 0.453, "ET": 0.715, "mean": 0.581},
        ("precision", "batch", "zero"): {"NCR": 0.131, "ED": 0.342, "ET": 0.285},
        ("recall", "batch", "zero"): {"NCR": 0.208, "ED": 0.367, "ET": 0.371},
    }
    assert isinstance(recipe.published, PublishedProtocol)
    assert recipe.published.batch == recipe.train.batch_size
    assert recipe.loss.dice is not None
    _has(recipe.loss.dice, over="item", denominator="sums", smoothing=1e-6)


def test_regions_that_the_publication_has_not_are_refused_before_the_training() -> None:
    with pytest.raises(OptionError, match=r"published figures are of ED, NCR too.*set published=none"):
        build_recipe(read_recipe("rc9-brats-multimodal").model_dump(exclude_none=True), ["prepare.regions=['ET','WT']"])
    changes = ["prepare.regions=['ET','WT']", "published=none"]
    assert build_recipe(read_recipe("rc9-brats-multimodal").model_dump(exclude_none=True), changes).published is None


def test_rc9_attention() -> None:
    recipe = read_recipe("rc9-brats-attention")
    assert set(_figures(recipe)) == set(_figures(read_recipe("rc9-brats-multimodal")))  # the same rules, no figures
    assert not any(_figures(recipe).values())
    _has(recipe.model, width=16, depth=3, attention=True)
    assert recipe.augment.flip.probability > 0
    assert recipe.augment.rotation.range == (-15.0, 15.0)
    _has(recipe.train, batch_size=8, epochs=15)
    assert build_recipe(recipe.model_dump(exclude_none=True), ["loss.kind=bce+dice"]).loss.kind == "bce+dice"


def test_nazir() -> None:
    recipe = read_recipe("nazir-unet")
    _has(recipe.prepare, normalise="min-max", clip_percentiles=None)
    _has(recipe.model, **PAPER)
    assert recipe.augment.flip.probability > 0


def test_sharma_cnn() -> None:
    """Conv 3x3 with 80 filters twice; pictures in colours, 0 to 1, one size; 70/15/15; validation picks the epoch."""
    recipe = read_recipe("sharma-cnn")
    _has(recipe.split, protocol="patient", train=0.7, val=0.15, test=0.15)
    _has(recipe.data, modalities=("red", "green", "blue"))
    _has(recipe.prepare, size=128, normalise="min-max", brain_only=False, crop_to_brain=False)
    _has(recipe.model, kind="sharma-cnn", filters=80, hidden=128)
    _has(recipe.train, keep="best", score="accuracy", validate_every=1)
    assert recipe.augment == AugmentOptions()
    assert isinstance(recipe.published, PublishedClasses)
    assert [(one.metric, one.value) for one in recipe.published.figures] == [
        ("accuracy", 0.7605),
        ("accuracy", 0.95),
        ("accuracy", 0.96),
        ("confidence", 0.9997),
        ("confidence", 1.0),
    ]


def test_classifier() -> None:
    recipe = read_recipe("classifier")
    _has(recipe.train, keep="last", early_stopping=None)
    assert recipe.loss.kind == "cross-entropy"
    assert recipe.loss.cross_entropy is not None
    _has(recipe.loss.cross_entropy, class_weights="balanced", label_smoothing=0.05)
    assert recipe.published is None


def test_a_classifier_is_shown_slices_without_tumour_too() -> None:
    with pytest.raises(OptionError, match="slices with tumour are all of one class; set"):
        read_recipe("classifier", ["slices.choice=tumour"])


@pytest.mark.parametrize("name", ["lgg", "brats-2d"])
def test_ours_stop_after_twenty_minutes(name: str) -> None:
    recipe = read_recipe(name)
    _has(recipe.train, max_minutes=20.0)
    assert recipe.train.schedule.kind == "one-cycle"
    _has(recipe.predict, flips="lr", tune=name == "brats-2d")
    assert recipe.predict.largest_component == (("tumour",) if name == "lgg" else ())


def test_what_a_classifier_starts_from_fits_it() -> None:
    outlines, says = read_recipe("lgg-any-contrast"), read_recipe("classifier")
    assert outlines.augment.one_modality.probability == 1.0
    assert (outlines.prepare.size, outlines.prepare.brain_only) == (says.prepare.size, says.prepare.brain_only)
    assert outlines.prepare.normalise == says.prepare.normalise
    shared = ("width", "depth", "normalisation")
    assert [getattr(outlines.model, name) for name in shared] == [getattr(says.model, name) for name in shared]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_prepared_as_black_is_predicted_as_background(name: str) -> None:
    """Where the brain alone is seen, and 0 is nothing but black; the tissues' min-max puts their darkest at 0 too."""
    recipe = read_recipe(name)
    brain_alone = recipe.task == "segment" and recipe.prepare.brain_only and recipe.prepare.normalise == "z-score"
    assert recipe.predict.black_is_background is brain_alone


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["prepare.normalise=min-max"], "the darkest of the brain is 0 as well"),
        (["prepare.brain_only=false"], "predict.black_is_background has no effect: black is not 0 in the input"),
    ],
)
def test_black_is_background_where_black_is_0_alone(changes: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build_recipe({"prepare": {"brain_only": True}}, ["predict.black_is_background=true", *changes])


def test_a_modality_is_named_once() -> None:
    assert "t2f, flair: a modality is named twice" in _refusal('data.modalities=["t2f", "flair"]')


def test_a_change_to_a_shipped_recipe_is_named() -> None:
    recipe = read_recipe("tum-lgg", ["train.epochs=3", "predict.thresholds.tumour=0.4", "train.seed=4"])
    assert changes_to_shipped(recipe) == ("train.epochs", "predict.thresholds.tumour")
    assert changes_to_shipped(build_recipe({"name": "my own", "train": {"epochs": 3}})) == ()


# -- changes with --set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("train.epochs=20", 20),
        ("train.lr=0.5e-4", 0.5e-4),
        ("train.optimiser=sgd", SgdOptions(momentum=0.9)),
        ('train.optimiser="sgd"', SgdOptions(momentum=0.9)),
        ("train.optimiser.kind=sgd", "sgd"),
        ("train.schedule=plateau", PlateauOptions(factor=0.5, patience=3)),
        (" train.clip_norm = 2 ", 2.0),
        ("prepare.crop_to_brain=true", True),
        ("prepare.size=96", 96),
        ("prepare.size=none", None),
        ("prepare.size=None", None),
        ("train.ema=none", None),
        ("predict.flips=none", "none"),  # a word there
        ("prepare.normalise=none", "none"),
        ('data.modalities=["t1n","t2f"]', ("t1n", "t2f")),
        ("augment.rotation.probability=0.25", 0.25),
        ("loss.kind=bce+dice", "bce+dice"),
        ("loss.kind=tversky+focal", "focal+tversky"),
        ("loss.dice.weight=0.5", 0.5),
        ("loss.focal.weight=0.5", 0.5),
        ("loss.bce=none", None),
        ("predict.thresholds={WT = 0.4}", {"WT": 0.4}),
    ],
)
def test_a_setting_is_changed(change: str, value: object) -> None:
    found: Any = build_recipe({"prepare": {"size": 64}}, [change])
    for name in change.partition("=")[0].strip().split("."):
        found = getattr(found, name)
    assert found == value


def test_changes_leave_the_values_that_they_are_applied_to() -> None:
    values: dict[str, Any] = {"train": {"epochs": 3}}
    assert build_recipe(values, ["train.epochs=4", "train.epochs=5"]).train.epochs == 5
    assert values == {"train": {"epochs": 3}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.epoch=3", "no setting train.epoch; did you mean train.epochs?"),
        ("loss.dice.ovr=batch", "no setting loss.dice.ovr; did you mean loss.dice.over?"),
        ("augment.flip.probabilty=0.5", "did you mean augment.flip.probability?"),
        ("trian.epochs=3", "no setting trian; did you mean train?"),
        ("qqq=1", "no setting qqq."),
        ("train.epochs", "a setting is changed by NAME=VALUE"),
        ("=3", "a setting is changed by NAME=VALUE"),
        ("train.epochs=many", "train.epochs: "),
        ("train.epochs=0", "train.epochs: "),
        ("split.train=0.9", "they sum to 1.2, not to 1"),
        ("name.of=x", "name: "),
    ],
)
def test_a_change_without_meaning_is_refused(change: str, message: str) -> None:
    assert message in _refusal(change)


def test_a_part_that_is_a_value_has_no_settings() -> None:
    with pytest.raises(OptionError, match="epochs is not a part of a recipe"):
        build_recipe({"train": {"epochs": 3}}, ["train.epochs.first=3"])


# -- names and files ---------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"no recipe tum-lg; expected one of .*brats-2d.*\. Did you mean tum-lgg\?"):
        read_recipe("tum-lg")
    with pytest.raises(FileError, match="there is no such file"):
        read_recipe("tum-lg.toml")


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("train = [", encoding="utf-8")
    with pytest.raises(FileError, match=r"mine\.toml"):
        read_recipe(str(tmp_path / "mine.toml"))
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match=r"mine\.toml"):
        read_recipe(str(tmp_path / "mine.toml"))


def test_a_fault_in_a_file_names_the_file_and_all_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[train]\nepoch = 3\nlr = -1\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"mine\.toml: .*train\.lr.*train\.epoch; did you mean train\.epochs"):
        read_recipe(str(tmp_path / "mine.toml"))


def test_what_is_written_is_toml_with_every_setting() -> None:
    written = tomllib.loads(write_recipe(build_recipe({})))
    assert written["train"]["epochs"] == 50
    assert written["format"] == 2
    dice = {"weight": 1.0, "over": "item", "denominator": "squares", "smoothing": 1.0}
    assert written["loss"] == {"bce": {"weight": 1.0}, "dice": dice}
    assert written["train"]["optimiser"] == {"kind": "adamw"}
    assert "size" not in written["prepare"]


# -- another network in a recipe ---------------------------------------------------------------------------------------


def test_a_network_takes_over_the_settings_that_it_has_too() -> None:
    options = read_recipe("lgg", ("model.kind=resunet", "model.dropout=0.1")).model
    _has(options, kind="resunet", width=16, depth=4, residual=True, dropout=0.1)


def test_a_network_that_is_not_there_is_refused() -> None:
    assert "one of unet, attention-unet, resunet" in _refusal("model.kind=vnet")
    assert "model" in _refusal("model=3")


def test_settings_of_the_network_are_named_without_its_kind() -> None:
    assert "there is no setting model.widht; did you mean model.width?" in _refusal("model.widht=8")
    assert "model.width: found 0, expected a number of at least 1" in _refusal("model.kind=resunet", "model.width=0")


# -- regions that exclude each other -----------------------------------------------------------------------------------


def test_softmax_needs_its_loss_and_its_loss_needs_softmax() -> None:
    for kind in ("ce", "ce+dice"):
        recipe = build_recipe({}, [f"loss.kind={kind}", "predict.activation=softmax"])
        assert recipe.loss.activation == recipe.predict.activation == "softmax"
    assert "set loss.kind=ce or ce+dice, or predict.activation=sigmoid" in _refusal("predict.activation=softmax")
    assert "set loss.kind=bce+dice, or predict.activation=softmax" in _refusal("loss.kind=ce")


@pytest.mark.parametrize("change", ["predict.tune=true", "predict.threshold=0.3", "predict.thresholds={csf=0.4}"])
def test_softmax_has_no_thresholds(change: str) -> None:
    said = _refusal("loss.kind=ce", "predict.activation=softmax", change)
    assert said.startswith(f"{change.partition('=')[0]} has no effect: softmax paints the most probable")
    assert "set predict.activation=sigmoid, and loss.kind=bce+dice" in said


def test_what_softmax_leaves_without_effect_goes_back_to_its_default() -> None:
    recipe = build_recipe({"predict": {"threshold": 0.3}}, ["loss.kind=ce", "predict.activation=softmax"])
    assert recipe.predict.threshold == 0.5


def test_weights_of_classes_belong_to_softmax() -> None:
    assert "without the term ce" in _refusal("loss.ce.weights=[1, 2]")
    assert "above 0" in _refusal("loss.kind=ce", "predict.activation=softmax", "loss.ce.weights=[1, 0]")


def test_tissue() -> None:
    recipe = read_recipe("tissue")
    _has(recipe.predict, activation="softmax")
    assert recipe.loss.kind == "ce+dice"
    _has(recipe.prepare, regions=("csf", "gm", "wm"))
    _has(recipe.split, n_folds=3, test=0.0)
    assert recipe.train.keep == "last"  # no epoch is chosen on the fold that is scored


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('predict.largest_component=["WT"]', "predict.largest_component names WT, which is none of them"),
        ("predict.thresholds.ET=0.4", "predict.thresholds names ET, which is none of them"),
        ("predict.min_voxels.ET=4", "predict.min_voxels names ET, which is none of them"),
        ("predict.min_ml.ET=0.1", "predict.min_ml names ET, which is none of them"),
        ("predict.min_ml.tumour=inf", "predict.min_ml.tumour"),
        ("predict.tune=true", "tune chooses thresholds without largest_component"),
        ('predict.kinds=["glioma"]', "predict.kinds names glioma, which is none of them"),
    ],
)
def test_what_decides_on_regions_names_those_of_the_network(change: str, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_recipe("lgg", [change])
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["train.lr", "train.max_minutes", "train.clip_norm", "train.weight_decay"])
def test_settings_are_finite(name: str) -> None:
    with pytest.raises(OptionError, match=name):
        read_recipe("lgg", [f"{name}=inf"])


# -- modalities that a network shall do without ------------------------------------------------------------------------


def test_sets_of_modalities_are_some_of_the_networks() -> None:
    four = 'data.modalities=["t1n","t1ce","t2w","flair"]'
    promised, shown = 'data.modality_sets=[["t2f"],["t1c","t2f"]]', "augment.missing.zero=0.3"
    recipe = build_recipe({}, [four, promised, shown])
    known = ("t1n", "t1c", "t2w", "t2f")
    assert recipe.data.sets_of(known) == (("t2f",), ("t1c", "t2f"))
    assert "set augment.missing.zero=0.3" in _refusal(four, promised)
    assert "set augment.missing.zero=0.3" in _refusal(four, promised, shown, "prepare.missing=t2f")
    for unfit in ('[["t2f","flair"]]', "[[]]", '[["pre"]]', '[["t1n","t1c","t2w","t2f"]]'):
        assert "is not a set of some of modalities" in _refusal(four, f"data.modality_sets={unfit}", shown)
    assert "name those in data.modalities" in _refusal(promised, shown)


# -- kinds: of losses, optimisers, schedules ---------------------------------------------------------------------------


@pytest.mark.parametrize("beginning", ["format = 2\n", ""])
@pytest.mark.parametrize("changes", [[], ["train.epochs=3"]])
def test_a_date_in_a_file_is_told_as_what_it_is(beginning: str, changes: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(f"{beginning}name = 2026-01-31\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"name: found .?2026-01-31.?, expected a word"):
        read_recipe(str(tmp_path / "mine.toml"), changes)


def test_a_part_that_a_recipe_leaves_out_is_given_to_it() -> None:
    """Written out, its absence is None, as in the values of a ``Recipe``."""
    changes = ["model.dims=3", "patches.size=[16, 16, 16]"]
    recipe = build_recipe(build_recipe({}).model_dump(mode="json"), changes)
    assert recipe.patches is not None
    assert recipe == build_recipe({}, changes)


def test_another_kind_drops_what_only_the_old_one_had() -> None:
    values = {"train": {"optimiser": {"kind": "sgd", "momentum": 0.5}, "schedule": {"kind": "plateau", "patience": 9}}}
    train = build_recipe(values, ["train.optimiser.kind=adam", "train.schedule=cosine"]).train
    assert (train.optimiser.kind, train.schedule.kind) == ("adam", "cosine")
    again = build_recipe(values, ["train.optimiser.kind=sgd", "train.schedule.factor=0.25"]).train
    assert again.optimiser == SgdOptions(momentum=0.5)
    assert again.schedule == PlateauOptions(patience=9, factor=0.25)


def test_the_word_of_a_kind_is_no_hindrance_to_its_options() -> None:
    train = build_recipe({"train": {"optimiser": "sgd"}}, ["train.optimiser.momentum=0.25"]).train
    assert train.optimiser == SgdOptions(momentum=0.25)


def test_another_loss_keeps_the_options_of_terms_that_stay() -> None:
    assert read_recipe("lgg", ["loss.kind=dice+focal"]).loss == loss_of("dice+focal", dice={"over": "batch"})
    assert read_recipe("lgg", ["loss.kind=tversky"]).loss == loss_of("tversky", tversky={"over": "batch"})
    assert read_recipe("lgg", ["loss.kind=focal"]).loss == loss_of("focal")


def test_a_term_is_added_by_its_weight_and_taken_away_by_none() -> None:
    loss = read_recipe("lgg", ["loss.focal.weight=0.5", "loss.focal.gamma=3", "loss.bce=none"]).loss
    assert loss == loss_of("dice+focal", dice={"over": "batch"}, focal={"weight": 0.5, "gamma": 3.0})


def test_kind_stands_beside_options_in_a_file() -> None:
    values = {"loss": {"kind": "bce+dice", "dice": {"over": "batch"}}}
    assert build_recipe(values).loss == build_recipe(values, ["loss.bce.weight=1"]).loss
    assert build_recipe(values, ["loss.kind=dice"]).loss == loss_of("dice", dice={"over": "batch"})


# -- settings without effect -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (
            "lgg",
            ["loss.focal.gamma=3"],
            "the loss is bce + dice, without the term focal. Set loss.focal.weight=1 first",
        ),
        ("lgg", ["loss.tversky.alpha=0.1"], "or loss.kind=bce+dice+tversky"),
        ("lgg", ["loss.cross_entropy.label_smoothing=0.1"], "without the term cross_entropy"),
        ("lgg", ["loss.focal_gamma=3"], "no setting loss.focal_gamma any more. Set loss.focal.gamma"),
        ("lgg", ["loss.label_smoothing=0.1"], "Set loss.cross_entropy.label_smoothing"),
        ("lgg", ["loss.border.sigma=3"], "Set loss.weighted_bce.border.sigma"),
        ("lgg", ["train.momentum=0.5"], "Set train.optimiser.momentum (of train.optimiser.kind=sgd)"),
        (
            "lgg",
            ["train.optimiser.momentum=0.5"],
            "with train.optimiser = adamw; it acts with train.optimiser.kind=sgd",
        ),
        ("lgg", ["train.plateau_patience=5"], "Set train.schedule.patience (of train.schedule.kind=plateau)"),
        ("lgg", ["train.schedule.patience=5"], "it acts with train.schedule.kind=plateau"),
        ("lgg", ["train.optimiser.kind=adagrad"], "there is no optimiser adagrad; expected one of adam, adamw, sgd"),
        ("lgg", ["train.schedule=falling"], "train.schedule.kind: found falling, expected one of constant, cosine"),
        ("lgg", ["loss.kind=mse"], "there is no loss mse: kind is combined, or some of bce, ce, dice"),
        ("lgg", ["model.filters=8"], "it acts with model.kind=sharma-cnn"),
        (
            "lgg",
            ["augment.turn.probability=0.5", "augment.elastic.probability=0", "augment.elastic.cells=3"],
            "elastic.p",
        ),
        ("demo", ["augment.noise.range=[0.1, 0.2]"], "the change is never made; set augment.noise.probability"),
        ("demo", ["augment.missing.at_most=2"], "set augment.missing.zero or augment.missing.flair"),
        ("demo", ["augment.flip.axes=['depth']"], "there is no depth along which to flip; set augment.flip.axes"),
        (
            "demo",
            ["augment.one_modality.probability=1", "augment.missing.zero=0.5"],
            "one_modality.probability below 1",
        ),
        ("demo", ["data.modalities=['t2f']", "augment.one_modality.probability=1"], "set data.modalities to several"),
        ("demo", ["prepare.normalise=none", "prepare.normalise_over=slice"], "set prepare.normalise, or prepare.clip"),
        ("demo", ["evaluate.n_resamples=0", "evaluate.seed=3"], "set evaluate.n_resamples above 0"),
        ("demo", ["slices.choice=tumour", "train.tumour_share=0.5"], "all slices have tumour (slices.choice = tumour)"),
        ("demo", ["train.keep=last", "train.early_stopping=2"], "early_stopping waits for a better model"),
        ("lgg", ["predict.thresholds.tumour=0.4", "predict.threshold=0.3"], "every region has one of its own"),
        ("tum-lgg", ["loss.weighted_bce.border.w0=0", "loss.weighted_bce.border.sigma=3"], "there is no border term"),
        (
            "brats-3d",
            ["train.tumour_share=0.5"],
            "train.tumour_share has no effect: a 3-D network is trained on patches",
        ),
        ("classifier", ["predict.threshold=0.4"], "says classes and draws no regions; take a recipe that segments"),
        ("classifier", ["predict.thresholds.WT=0.4"], "predict.thresholds has no effect"),
        ("classifier", ["predict.min_voxels.WT=4"], "predict.min_voxels has no effect"),
        ("classifier", ["predict.min_ml.WT=0.1"], "predict.min_ml has no effect"),
        ("classifier", ["predict.largest_component=['WT']"], "predict.largest_component has no effect"),
        ("classifier", ["predict.activation=softmax"], "predict.activation has no effect"),
        ("classifier", ["predict.black_is_background=true"], "predict.black_is_background has no effect"),
        ("classifier", ["evaluate.empty=zero"], "classes have no masks that could be empty"),
        (
            "tissue",
            ["prepare.brain_only=false", "prepare.normalise=z-score", "predict.black_is_background=true"],
            "black is not 0 in the input; set prepare.brain_only=true",
        ),
        ("lgg", ["model.depth=1", "model.deep_supervision=true"], "one level has logits; set model.depth above 1"),
    ],
)
def test_a_setting_without_effect_is_refused_with_what_would_act(name: str, changes: list[str], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_recipe(name, changes)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("classifier", "predict.threshold=0.5"),
        ("lgg-any-contrast", "augment.missing.zero=0"),
        ("demo", "augment.bias.range=[0.1, 0.4]"),
    ],
)
def test_its_default_is_no_change_either(name: str, change: str) -> None:
    assert read_recipe(name)
    with pytest.raises(OptionError, match="has no effect"):
        read_recipe(name, [change])


def test_what_a_change_leaves_without_effect_goes_back_to_its_default() -> None:
    """As the options of another kind do: only what somebody asks for and does not get is refused."""
    augment = read_recipe("lgg", ["augment.rotation.probability=0"]).augment
    assert augment.rotation == AugmentOptions().rotation
    assert read_recipe("demo", ["slices.choice=tumour"]).train.tumour_share is None
    assert read_recipe("tum-lgg", ["predict.thresholds.tumour=0.4"]).predict.threshold == 0.5


def test_what_has_no_effect_in_a_file_is_refused_whatever_is_changed() -> None:
    values = {"format": 2, "augment": {"rotation": {"range": [-5.0, 5.0]}}}
    for changes in ([], ["train.epochs=3"]):
        with pytest.raises(OptionError, match=r"augment\.rotation\.range has no effect"):
            build_recipe(values, changes)


def test_a_search_over_what_has_no_effect_is_refused() -> None:
    ranges = {"augment.noise.range": {"choices": [0.1, 0.2]}}
    with pytest.raises(OptionError, match=r"tune: augment\.noise\.range has no effect"):
        build_recipe({"tune": ranges})


# -- format 1 ----------------------------------------------------------------------------------------------------------

_OLD = """
name = "mine"
notes = ["of mine"]
[loss]
kind = "combined"
dice_over = "batch"
smoothing = 0.5
focal_gamma = 3.0
class_weights = "equal"
border = { sigma = 4.0 }
[train]
optimiser = "sgd"
momentum = 0.5
plateau_patience = 7
[augment]
noise = { range = [0.1, 0.2] }
[tune]
"loss.dice_over" = { choices = ["batch", "item"] }
"loss.tversky_alpha" = { low = 0.1, high = 0.9 }
"train.momentum" = { low = 0.1, high = 0.9 }
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A recipe of format 1."""
    (tmp_path / "mine.toml").write_text(_OLD, encoding="utf-8")
    return tmp_path / "mine.toml"


def test_a_recipe_of_format_1_is_translated_to_what_acts(old: Path) -> None:
    recipe = read_recipe(str(old))
    assert recipe.loss == loss_of(
        "combined",
        dice={"over": "batch", "smoothing": 0.5},
        weighted_bce={"class_weights": "equal", "border": {"sigma": 4.0}},
    )
    assert recipe.train.optimiser == SgdOptions(momentum=0.5)
    assert recipe.train.schedule.kind == "constant"
    assert set(recipe.tune or ()) == {"loss.dice.over", "train.optimiser.momentum"}


def test_a_note_says_what_had_no_effect(old: Path) -> None:
    first, note = read_recipe(str(old)).notes
    assert first == "of mine"
    left_out = "loss.focal_gamma, train.plateau_patience, tune of loss.tversky_alpha, augment.noise.range"
    assert note == f"Left out, for they had no effect (the recipe was written in format 1): {left_out}."


def test_defaults_of_format_1_that_had_no_effect_leave_without_a_note() -> None:
    values = {"loss": {"kind": "dice", "focal_gamma": 2.0, "border": {"w0": 10.0, "sigma": 5.0, "form": "tum"}}}
    values |= {"train": {"momentum": 0.9, "schedule": "plateau", "plateau_patience": 4}}
    recipe = build_recipe(migrated(values))
    assert (recipe.notes, recipe.loss, recipe.train.schedule) == ((), loss_of("dice"), PlateauOptions(patience=4))


def test_a_file_of_format_1_is_changed_by_the_names_of_now(old: Path) -> None:
    assert read_recipe(str(old), ["loss.dice.smoothing=0.25"]).loss.terms["dice"] == DiceOptions(
        over="batch", smoothing=0.25
    )
    with pytest.raises(OptionError, match=r"no setting loss\.smoothing any more"):
        read_recipe(str(old), ["loss.smoothing=0.25"])


def test_a_fault_of_a_recipe_of_format_1_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[loss]\nkind = "mse"\n[train]\nepoch = 3\n', encoding="utf-8")
    with pytest.raises(OptionError, match=r"there is no loss mse.*did you mean train\.epochs"):
        read_recipe(str(tmp_path / "mine.toml"))


def test_what_format_2_does_not_have_is_refused_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("format = 2\n[loss]\ndice_over = 'batch'\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"there is no setting loss\.dice_over; did you mean loss\.dice\.over\?"):
        read_recipe(str(tmp_path / "mine.toml"))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("format = 3\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"the recipe has the format 3; expected format = 2.*newer version"):
        read_recipe(str(tmp_path / "mine.toml"))


# -- the words of refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.modalities=flair", 'data.modalities: found flair, expected a list of words or none, such as ["flair"].'),
        ("data.modalities=[1]", "data.modalities: found 1, expected a list of words or none."),
        ("train.epochs=abc", "train.epochs: found abc, expected a whole number."),
        ("train.lr=-1", "train.lr: found -1, expected a number above 0."),
        ("train.deterministic=maybe", "train.deterministic: found maybe, expected true or false."),
        ("split.protocol=foo", "split.protocol: found foo, expected one of patient, slice."),
        ("augment.rotation.range=30", "augment.rotation.range: found 30, expected 2 numbers."),
        ("augment.flip=true", "augment.flip: found true, expected settings of its own, such as augment.flip.prob"),
        ("patches.size=3", "patches.size: found 3, expected 3 whole numbers or auto."),
        (
            "predict.thresholds=0.5",
            "predict.thresholds: found 0.5, expected a number or expected-dice for each region, such as ",
        ),
        ("train.optimiser=3", "train.optimiser.kind: found 3, expected one of adam, adamw, sgd."),
        ("loss.combined=1", "loss: combined is no term: combined is a word for several; set loss.kind=combined."),
        ("split.fold=1", "split: fold 1 is one of a cross-validation: set split.n_folds=5, or as many as there are."),
        (
            'prepare.regions=["nonsense"]',
            "recipe: prepare.regions = nonsense, and predict.largest_component names tumour, which is none of them; "
            "change either of the two.",
        ),
        (
            "train.early_stopping=4",  # 16 epochs, validated every 4
            "train.early_stopping has no effect: it waits for 4 validations without improvement, and train.epochs = 16 "
            "has 4; set train.early_stopping=2.",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_what_would(change: str, said: str) -> None:
    """In words that know nothing of the library that checks, and without the file of the shipped recipe."""
    with pytest.raises(OptionError) as caught:
        read_recipe("lgg", [change])
    assert str(caught.value).startswith(said)


def test_a_fault_of_a_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('format = 2\n[train]\nepochs = "abc"\nlr = -3\n', encoding="utf-8")
    said = f"{file}: train.epochs: found abc, expected a whole number; train.lr: found -3, expected a number above 0."
    for changes in ([], ["train.seed=1"]):
        with pytest.raises(OptionError) as caught:
            read_recipe(str(file), changes)
        assert str(caught.value) == said
    assert read_recipe(str(file), ["train.epochs=3", "train.lr=0.1"]).train.epochs == 3


def test_terms_are_named_with_either_hyphen() -> None:
    assert loss_of("weighted_bce+dice") == loss_of("weighted-bce+dice")


_REMEDY = re.compile(r"set ([\w.]+=(?:\[[^]]*\]|[\w+.-]*\w\+*))")


@pytest.mark.parametrize("name", shipped_recipes())
@pytest.mark.parametrize(
    "change",
    ["model.kind=classifier", "model.kind=unet++", "model.dims=3", "model.dims=2", "predict.activation=softmax"],
)
def test_one_message_says_all_that_has_to_change(name: str, change: str) -> None:
    """What a refusal asks for is accepted: nobody mends one fault to be told of the next."""
    try:
        read_recipe(name, [change])
    except OptionError as error:
        asked = {setting.partition("=")[0]: setting for setting in _REMEDY.findall(str(error))}
        asked.pop(change.partition("=")[0], None)  # the other way out
        if not asked:
            return
        read_recipe(name, [change, *asked.values()])
