"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("glioseg", deadline=None, max_examples=40)  # a busy machine must not fail a test
settings.load_profile("glioseg")

_REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans beside the checkout; tests that need it skip where it is absent."""
    if not _REAL_DATA.is_dir():
        pytest.skip(f"no real scans: {_REAL_DATA.name} is not beside this checkout")
    return _REAL_DATA


@pytest.fixture(scope="session")
def kaggle_3m(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LGG as its publisher lays it out, unpacked once for all tests of a session."""
    import runpy
    import sys

    script = real_data / "unpack_lgg.py"
    destination = tmp_path_factory.mktemp("lgg")
    arguments, sys.argv = sys.argv, [str(script), str(destination)]
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = arguments
    return destination / "kaggle_3m"
