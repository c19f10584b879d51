"""What each command may import: what it does not need costs every user seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs.conftest import TinyRun

_TRAINING = {"glioseg.runs.train", "glioseg.training.loop", "lightning_fabric", "torch._dynamo"}
_NEEDED_BY_FEW = {"monai", "onnx", "optuna", "pandas", "tensorboard"}
_DRAWING = {"matplotlib"}
_OF_VOLUMES = {"h5py", "matplotlib.backends.backend_pdf", "nibabel", "nilearn", "pydicom"}
_OF_PREPARATION = {"deepbet", "scipy.optimize", "SimpleITK", "skimage"}
_PICTURES = Path(__file__).parents[1] / "data" / "brisc" / "segmentation_task" / "train" / "images"
_PICTURE = _PICTURES / "brisc2025_train_00275_gl_ax_t1.png"
_CODE = """
import contextlib, io, json, sys
from glioseg.cli.app import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
sys.stdout.write(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("--help", {"numpy", "pydantic", "scipy", "torch"} | _DRAWING),
        ("train --help", {"numpy", "scipy", "torch"} | _DRAWING),
        pytest.param("inspect DATA", {"torch"}, marks=pytest.mark.slow),
        pytest.param("split DATA", _TRAINING | _DRAWING, marks=pytest.mark.slow),
        ("recipes", _TRAINING | _DRAWING),
        ("study", _TRAINING),
        pytest.param("predict RUN CASE --out OUT", _TRAINING | _OF_PREPARATION, marks=pytest.mark.slow),
        pytest.param(
            "predict model:t1c-pictures PICTURE --out OUT",
            _TRAINING | _OF_PREPARATION | _OF_VOLUMES | {"PIL.XpmImagePlugin"},
            marks=pytest.mark.slow,
        ),
        ("compare RUN RUN", {"torch"}),
        pytest.param("report RUN --cache CACHE", _TRAINING, marks=pytest.mark.slow),
    ],
)
def test_a_command_imports_what_it_needs(
    command: str, unneeded: set[str], tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case = next(path for path in sorted(tiny.data.iterdir()) if path.is_dir())
    places = {
        "DATA": tiny.data,
        "CASE": case,
        "RUN": tiny.run,
        "CACHE": tiny.cache,
        "PICTURE": _PICTURE,
        "OUT": tmp_path_factory.mktemp("out"),
    }
    words = [str(places.get(word, word)) for word in command.split()]
    ran = subprocess.run(
        [sys.executable, "-c", _CODE, *words],
        cwd=tmp_path_factory.mktemp("here"),  # inspect and split write where they are
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(json.loads(ran.stdout))
    assert "glioseg.cli.app" in imported
    assert sorted(imported & (unneeded | _NEEDED_BY_FEW)) == []
