"""Names, help, exit codes and ``glioseg convert``."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import typer.main

from glioseg import __version__
from glioseg.cli.app import app, main
from glioseg.cohorts.recognise import LAYOUTS
from glioseg.cohorts.write import WRITTEN_LAYOUTS
from glioseg.core import SCHEMES
from tests.cli.command import Ran, glioseg, look
from tests.cli.conftest import Cohorts
from tests.fakes.damage import truncate

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def flat(text: str) -> str:
    """Help without its line breaks."""
    return re.sub(r"\s+", " ", text)


def options(command: Any) -> dict[str, Any]:
    return {name: each for each in command.params for name in each.opts}


# --- help -------------------------------------------------------------------------------------------------------------


def test_help_names_every_command_in_full() -> None:
    """No summary is cut short on a terminal of 80 columns."""
    ran = glioseg("--help")
    assert (ran.code, ran.err) == (0, "")
    assert "..." not in ran.out.partition("Commands:")[2]
    for name in COMMANDS:
        assert f"\n  {name} " in ran.out


def test_no_command_is_help() -> None:
    assert "Commands:" in glioseg().err + glioseg().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    ran = glioseg(name, "--help")
    assert ran.code == 0
    assert f"Example: glioseg {name} " in flat(ran.out)
    assert glioseg(name, "-h").out == ran.out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_gives_no_option_two_defaults(name: str) -> None:
    listed = flat(glioseg(name, "--help").out).partition(" Options: ")[2]
    assert [option for option in re.split(r" (?=--[a-z])", listed) if option.count("[default: ") > 1] == []


@pytest.mark.parametrize(("name", "usage"), [("app", "[FOLDER]"), ("compare", "{RUN}..."), ("timeline", "{CASE}...")])
def test_usage_brackets_an_argument_once(name: str, usage: str) -> None:
    assert glioseg(name, "--help").out.partition("\n")[0].endswith(f" {name} [OPTIONS] {usage}")


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_options_that_exist(name: str) -> None:
    words = shlex.split(COMMANDS[name].epilog.removeprefix("Example: ").partition(" > ")[0])
    assert words[:2] == ["glioseg", name]
    given = [word for word in words if word.startswith("-")]
    assert set(given) <= set(options(COMMANDS[name]))
    for each in options(COMMANDS[name]).values():
        assert not each.required or each.param_type_name == "argument" or set(each.opts) & set(given)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_layouts_and_schemes(name: str) -> None:
    """The lists in the help are written out, since the tables would load numpy: here they are compared."""
    texts = {option: each.help for option, each in options(COMMANDS[name]).items()}
    written = "--layout" if name == "phantom" else "--to"
    expected = {"--layout": {each.name for each in LAYOUTS}, "--scheme": set(SCHEMES), written: set(WRITTEN_LAYOUTS)}
    for option, names in expected.items():
        if option in texts:
            listed = re.sub(r" or ", ", ", texts[option].rpartition(": ")[2].rstrip(".")).split(", ")
            assert sorted(listed) == sorted(names)


def test_version() -> None:
    assert glioseg("--version") == Ran(0, f"glioseg {__version__}\n", "")


# --- misuse is 2 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inspct"], "No such command 'inspct'. Did you mean 'inspect'?"),
        (["inspect"], "Missing argument 'DATA'"),
        (["inspect", "DATA", "--colour", "red"], "No such option: --colour"),
        (["inspect", "DATA", "--layout", "lgf"], "there is no layout lgf; expected one of nnunet, msd, brats-h5, "),
        (["inspect", "DATA", "--scheme", "msc"], "no label scheme msc; expected one of brats2015, brats2021"),
        (["inspect", "DATA", "--scheme", "msc"], "Did you mean msd?\n"),
        (["inspect", "DATA", "--modalities", "t1n"], "BraTS states its modalities; found t1n; expected no names."),
        (
            ["inspect", "DATA", "--modalities", "t1n,,t2f"],
            '--modalities needs names; found "t1n,,t2f"; expected',
        ),
        (["convert", "DATA", "OUT", "--to", "bids"], "there is no layout bids to write; expected one of brats2021"),
        (["phantom", "OUT", "--layout", "bids"], "there is no layout bids to write; expected one of brats2021"),
        (["phantom", "OUT", "--patients", "0"], "Invalid value for '--patients'"),
        (["phantom", "OUT", "--spacing", "0.5"], "Invalid value for '--spacing'"),
        (["phantom", "OUT", "--spacing", "nan"], "Invalid value for '--spacing'"),
        (["phantom", "OUT", "--seed", "-1"], "Invalid value for '--seed'"),
        (["recipes", "lgf"], "there is no recipe lgf; expected one of "),
        (["recipes", "lgg", "--set", "train.epoch=3"], "there is no setting train.epoch; did you mean train.epochs?"),
        (["recipes", "lgg", "--set", "train.epochs=many"], "train.epochs: "),
        (
            ["recipes", "lgg", "--set", "train.epochs"],
            "a setting is changed by NAME=VALUE; found train.epochs; expected such as",
        ),
    ],
)
def test_misuse(toys: Cohorts, tmp_path: Path, arguments: list[str], said: str) -> None:
    places = {"DATA": str(toys("brats2023")), "OUT": str(tmp_path / "out")}
    ran = glioseg(*(places.get(each, each) for each in arguments))
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("layout", "arguments", "said"),
    [
        ("brats-h5", ["--modalities", "t1,t2,flair"], "the names do not fit the channels; found t1n, t2w, t2f"),
        ("lgg", ["--modalities", "t1,t2,flair"], "the channels of LGG are known"),
        ("msd", ["--modalities", "t1,t1"], "the names do not fit the channels"),
        ("nnunet", ["--modalities", "t1"], "the names do not fit the channels"),
        ("pairs", ["--modalities", "t1,t2"], "one name for each channel is needed"),
        ("volumes", ["--modalities", "t1,t2"], "one name for each modality is needed"),
        ("classes", ["--scheme", "lgg"], "pictures sorted by class have no masks"),
    ],
)
def test_options_that_do_not_fit_the_data(toys: Cohorts, layout: str, arguments: list[str], said: str) -> None:
    ran = glioseg("inspect", toys(layout), *arguments, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_report_in_the_place_of_a_file(toys: Cohorts, tmp_path: Path) -> None:
    """Said before a minute is spent on looking at the scans."""
    (tmp_path / "mine.txt").write_text("mine")
    ran = glioseg("inspect", toys("brats2023"), "--out", tmp_path / "mine.txt")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"glioseg: {tmp_path / 'mine.txt'}: a folder is needed; found a file. Name another with --out.\n"
    )
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_ctrl_c(toys: Cohorts, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glioseg.runs.read.read_cohort", interrupted)
    ran = glioseg("inspect", toys("brats2023"), "--quiet")
    assert (ran.code, ran.out, ran.err) == (130, "", "Interrupted.\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """``glioseg recipes lgg | true``"""
    command = [sys.executable, "-m", "glioseg", "recipes", "lgg"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait() == 1
    assert said == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", ["recipes", "models --json", "--help", "recipes >&-"])
def test_output_that_cannot_be_written_is_a_sentence(arguments: str) -> None:
    """A full disk, and stdout that the caller has closed."""
    to = "" if ">" in arguments else " > /dev/full"
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m glioseg {arguments}{to}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the results cannot be written to stdout; found" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_terminal_that_knows_ascii_alone_gets_all_words() -> None:
    command = [sys.executable, "-m", "glioseg", "recipes", "--settings", "loss"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u" in done.stdout


def test_messages_have_nowhere_to_go() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m glioseg recipes nothing 2>&-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")


# --- recipes ----------------------------------------------------------------------------------------------------------


def test_recipes_are_listed_and_shown(tmp_path: Path) -> None:
    names = [line.split()[0] for line in glioseg("recipes").out.splitlines()]
    assert "lgg" in names
    for name in names:
        shown = glioseg("recipes", name)
        assert shown.code == 0
        (tmp_path / "mine.toml").write_text(shown.out)
        assert glioseg("recipes", tmp_path / "mine.toml").out == shown.out


def test_a_setting_changes_the_recipe() -> None:
    assert "\nepochs = 3\n" in glioseg("recipes", "lgg", "--set", "train.epochs=3").out


# --- convert ----------------------------------------------------------------------------------------------------------


def masks(folder: Path) -> Iterator[np.ndarray]:
    for path in sorted(folder.rglob("*seg.nii.gz")) or sorted((folder / "labelsTr").iterdir()):
        yield np.asarray(nibabel.load(path).dataobj)


def test_labels_keep_their_meaning_to_nnunet_and_back(toys: Cohorts, tmp_path: Path) -> None:
    """1 NCR, 2 ED, 4 ET of BraTS 2021 are 2 NCR, 1 ED, 3 ET in nnU-Net's Dataset137."""
    original = toys("brats2021")
    there, back = tmp_path / "Dataset001_Toy", tmp_path / "back"
    ran = glioseg("convert", original, there)
    assert (ran.code, ran.out) == (0, f"2 cases as nnunet: {there}\n")
    assert glioseg("convert", there, back, "--to", "brats2021", "--quiet").code == 0
    table = np.array([0, 2, 1, 0, 3])
    for first, second, third in zip(masks(original), masks(there), masks(back), strict=True):
        assert sorted(np.unique(first)) == [0, 1, 2, 4]
        np.testing.assert_array_equal(second, table[first])
        np.testing.assert_array_equal(third, first)
    assert look(there).json["labels"] == look(original).json["labels"] == {"NCR": 2, "ED": 2, "ET": 2}
    for path in original.rglob("*t1ce.nii.gz"):
        np.testing.assert_array_equal(
            np.asarray(nibabel.load(back / path.relative_to(original)).dataobj), np.asarray(nibabel.load(path).dataobj)
        )


@pytest.mark.parametrize("layout", WRITTEN_LAYOUTS)
def test_from_brats_to_every_layout(phantoms: Cohorts, tmp_path: Path, layout: str) -> None:
    ran = glioseg("convert", phantoms("brats2023"), tmp_path / "out", "--to", layout, "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert look(tmp_path / "out").code == 0


def test_phantom_as_msd_and_back(phantoms: Cohorts, tmp_path: Path) -> None:
    """MSD calls the same tissue NET; patients and facts come along."""
    glioseg("convert", phantoms("brats2023"), tmp_path / "msd", "--to", "msd", "--quiet")
    glioseg("convert", tmp_path / "msd", tmp_path / "back", "--to", "brats2023", "--quiet")
    first, there, back = (look(each).json for each in (phantoms("brats2023"), tmp_path / "msd", tmp_path / "back"))
    assert (there["layout"], there["scheme"]) == ("msd", "msd")
    assert there["labels"]["NET"] == first["labels"]["NCR"]
    for name in ("labels", "patients", "slices", "tumour_slices", "modalities", "scheme"):
        assert back[name] == first[name]


def test_a_scheme_for_volumes_that_lack_one(toys: Cohorts, tmp_path: Path) -> None:
    folder = toys("volumes")
    ran = glioseg("convert", folder, tmp_path / "out", "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert (
        ran.err
        == "glioseg: the meaning of the labels of cohort volumes is not known. Say it with --scheme or --labels.\n"
    )
    assert glioseg("convert", folder, tmp_path / "out", "--scheme", "brats2023", "--quiet").code == 0
    assert look(tmp_path / "out").json["scheme"] == "nnunet137"


@pytest.mark.parametrize(
    ("layout", "to", "said"),
    [
        ("classes", "nnunet", "pictures carry no millimetres: no_toy-1_000_0000.nii.gz cannot be written"),
        ("lgg", "brats2023", "case TCGA_PH_0001_20000101 cannot be written as BraTS; found pre, flair, post"),
        ("brats2023", "classes", "classes need pictures with and without tumour; found only no."),
        ("classes", "pairs", None),
        ("lgg", "pairs", None),
    ],
)
def test_what_a_layout_cannot_hold(toys: Cohorts, tmp_path: Path, layout: str, to: str, said: str | None) -> None:
    """Of four slices of 1 mm, one every 6 mm is one picture: there is no second class."""
    folder = toys(layout)
    ran = glioseg("convert", folder, tmp_path / "out", "--to", to, "--quiet")
    assert ran.code == (0 if said is None else 1)
    assert (said or "") in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == [layout] if said else [layout, "out"]


def test_pictures_with_a_spacing_become_volumes(toys: Cohorts, tmp_path: Path) -> None:
    """What was told is written: 0.9 x 0.8 x 5 mm, columns to the left, rows to the back."""
    ran = glioseg("convert", toys("lgg"), tmp_path / "out", "--spacing", "0.9,0.8,5", "--quiet")
    assert ran.code == 0, ran.err
    image = nibabel.load(next(iter(sorted((tmp_path / "out" / "imagesTr").iterdir()))))
    np.testing.assert_allclose(image.affine, np.diag([-0.9, -0.8, 5, 1]), atol=1e-6)
    written = [look(tmp_path / name).json["slices"] for name in ("out", "lgg")]
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("layout", "spacing", "said"),
    [
        ("lgg", "0.9", "--spacing needs three numbers with commas between them; found 0.9"),
        ("lgg", "1,0,1", "--spacing needs millimetres above 0; found 1,0,1"),
        ("brats2023", "1,1,1", "state their spacing; found 1x1x1. Leave --spacing out"),
    ],
)
def test_a_spacing_that_is_not_taken(toys: Cohorts, tmp_path: Path, layout: str, spacing: str, said: str) -> None:
    ran = glioseg("convert", toys(layout), tmp_path / "out", "--spacing", spacing, "--quiet")
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert not (tmp_path / "out").exists()


def test_damage_leaves_no_half_a_data_set(toys: Cohorts, tmp_path: Path) -> None:
    folder = toys("brats2023")
    path = folder / "BraTS-GLI-00002-000" / "BraTS-GLI-00002-000-t1c.nii.gz"
    truncate(path)
    ran = glioseg("convert", folder, tmp_path / "out", "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"glioseg: {path}: the file is damaged")
    assert [each.name for each in tmp_path.iterdir()] == ["brats2023"]


@pytest.mark.parametrize("command", ["phantom", "convert"])
def test_a_folder_in_use_is_left_alone(toys: Cohorts, tmp_path: Path, command: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    data = [toys("brats2023")] if command == "convert" else []
    ran = glioseg(command, *data, tmp_path / "out", "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert (
        ran.err == f"glioseg: {tmp_path / 'out'}: the folder is not empty. Name a new one, or remove its files first.\n"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_settings_change_a_recipe_that_is_named() -> None:
    for words in (("recipes",), ("recipes", "--settings")):
        ran = glioseg(*words, "--set", "train.epochs=3")
        assert ran.code == 2
        assert "--set changes one recipe" in ran.err


def test_a_split_takes_settings_of_the_split_alone(tmp_path: Path) -> None:
    ran = glioseg("split", tmp_path, "--set", "train.epochs=2", "--set", "split.test=0.2")
    assert ran.code == 2
    assert "these settings have no effect on a split; found train.epochs;" in ran.err


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("glioseg ev", {"evaluate"}),
        ("glioseg train brats-", {"brats-2d", "brats-3d"}),
        ("glioseg report --dev", {"--device"}),
    ],
)
def test_the_shell_completes_commands_options_and_recipes(typed: str, completed: set[str]) -> None:
    """What bash asks of the command when the tab key is pressed."""
    asked = {"_GLIOSEG_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    code = "import sys; sys.argv = ['glioseg']; from glioseg.cli.app import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert set(ran.stdout.split()) == completed


class _Ended(BaseException):
    """In the place of the end of this process."""


@pytest.mark.parametrize(("launcher", "ends"), [({}, SystemExit), ({"TORCHELASTIC_RUN_ID": "x"}, _Ended)])
def test_one_of_several_processes_ends_at_once(
    launcher: dict[str, str],
    ends: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever threads of PyTorch still wait for; a process by itself ends as every program of Python does."""

    def end(code: int) -> None:
        raise _Ended(code)

    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr("sys.argv", ["glioseg", "inspect", str(tmp_path / "nothing"), "--quiet"])
    with pytest.raises(ends) as ended:
        main()
    assert ended.value.args == (1,)
    assert "there is no such" in capsys.readouterr().err
