"""The time points of a patient, in the order of their studies."""

from __future__ import annotations

from tests.app.conftest import Served


def test_time_points_stand_by_the_days_of_their_studies(idle: Served) -> None:
    worklist = idle.service.worklist
    for number, (day, patient) in enumerate(((-4310, "p-1"), (-4402, "p-1"), (12, "p-2"), (None, "p-3"))):
        worklist.add_case(f"case-d{number}", "n", patient, "m", {"upload": "u"})
        worklist.finish(f"case-d{number}", {"volumes_ml": {"WT": 1.0}, "unit": "ml", "confidence": None, "day": day})
    listed = {case["id"]: case["study_day"] for case in idle.client.get("/api/cases").json()}
    assert {name: day for name, day in listed.items() if name.startswith("case-d")} == {
        "case-d0": 92, "case-d1": 0, "case-d2": 0, "case-d3": None,
    }  # fmt: skip
    course = [(point["id"], point["study_day"]) for point in idle.client.get("/api/timeline/p-1").json()]
    assert course == [("case-d1", 0), ("case-d0", 92)]
    worklist.add_case("case-d4", "n", "p-1", "m", {"upload": "u"})
    worklist.finish("case-d4", {"volumes_ml": {"WT": 1.0}, "unit": "ml", "confidence": None, "day": None})
    course = [(point["id"], point["study_day"]) for point in idle.client.get("/api/timeline/p-1").json()]
    assert course == [("case-d0", 92), ("case-d1", 0), ("case-d4", None)]  # as they were queued
