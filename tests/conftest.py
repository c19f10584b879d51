"""Fixtures that every room's tests share."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.store import Store, store_of

_REAL_DATA = Path(__file__).parents[2] / "shared" / "data"

# No deadline: a busy machine must not fail a test.
settings.register_profile("quick", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=100)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--thorough`` is what make test-all asks for."""
    parser.addoption("--thorough", action="store_true", help="try many examples in property tests, not a few")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the number of examples, before the first test module is read."""
    settings.load_profile("thorough" if config.getoption("--thorough") else "quick")


@pytest.fixture(autouse=True, scope="session")
def _salt_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's own secret is neither made nor used."""
    folder = tmp_path_factory.mktemp("salt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glioseg.machine.salt.salt_file", lambda: folder / "salt")
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_process() -> Iterator[None]:
    """Small cases are worked on in this process, unless a test asks for several: each takes seconds to start.

    Two test processes keep two processors busy already.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in ("cohorts.parallel", "cohorts.phantom.generate", "cohorts.write.phantom", "preparation.cache"):
            patch.setattr(importlib.import_module(f"glioseg.{module}"), "n_processors", lambda: 1)
        yield


@pytest.fixture(autouse=True, scope="module")
def _old_objects_rest() -> None:
    """What lives by now, modules and tests most of all, is left alone by the garbage collector from here on.

    Every training collects garbage before it measures memory, which takes as long as there are objects to look at.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Where what is costly is made once for all processes of a test run."""
    return store_of(request.config, tmp_path_factory)


@pytest.fixture(scope="session")
def phantom_data(store: Store) -> Path:
    """Five patients at 6 mm, as BraTS 2023 lays them out; not to be changed."""

    def write(folder: Path) -> None:
        from glioseg.cohorts.phantom import PhantomOptions
        from glioseg.cohorts.write import write_phantom

        options = PhantomOptions(n_patients=5, spacing_mm=6.0, seed=1)
        write_phantom(options, folder / "data", "brats2023", n_workers=1)

    return store.get("phantom", write) / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans beside the checkout; tests that need it skip where it is absent."""
    if not _REAL_DATA.is_dir():
        pytest.skip(f"no real scans: {_REAL_DATA.name} is not beside this checkout")
    return _REAL_DATA


@pytest.fixture(scope="session")
def kaggle_3m(real_data: Path, store: Store) -> Path:
    """LGG as its publisher lays it out, unpacked once for all tests of a run; not to be changed."""

    def unpack(folder: Path) -> None:
        import runpy
        import sys

        script = real_data / "unpack_lgg.py"
        arguments, sys.argv = sys.argv, [str(script), str(folder)]
        try:
            runpy.run_path(str(script), run_name="__main__")
        finally:
            sys.argv = arguments

    return store.get("lgg", unpack) / "kaggle_3m"
