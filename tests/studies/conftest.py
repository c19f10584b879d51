"""Studies are tested on the tiny run that the tests of ``runs`` look at."""

from tests.runs.conftest import _one_thread, phantom_data, tiny

__all__ = ["_one_thread", "phantom_data", "tiny"]
