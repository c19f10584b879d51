"""Studies are tested on the tiny runs that the tests of ``runs`` look at."""

from tests.runs.conftest import _one_thread, class_pictures, tiny, tiny_classifier, tiny_run, tiny_runs

__all__ = ["_one_thread", "class_pictures", "tiny", "tiny_classifier", "tiny_run", "tiny_runs"]
