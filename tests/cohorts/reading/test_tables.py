"""Tables that travel with a data set: what is in a cell."""

from __future__ import annotations

import pytest

from glioseg.cohorts.reading.tables import fact_value


@pytest.mark.parametrize(("text", "value"), [("1e999", "1e999"), ("inf", "inf"), ("9" * 400, "9" * 400), ("44", 44)])
def test_a_fact_is_no_infinity(text: str, value: object) -> None:
    """JSON has no word for it, and the report of a whole cohort would fail on one cell."""
    assert fact_value(text) == value
