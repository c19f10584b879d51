"""``glioseg doctor``: what is there, what is free, and which backend to take."""

from __future__ import annotations

import json

import pytest

import glioseg as api
from glioseg.inference.backends import BACKENDS
from glioseg.runs import doctor as module
from glioseg.runs.doctor import BackendFigures, doctor_text, missing_by_extra, quickest
from tests.cli.command import glioseg


def test_what_is_missing_of_extras() -> None:
    requirements = (
        "numpy>=2",
        'numpy>=2; extra == "deploy"',
        'surely-not-installed>=1.2; extra == "deploy"',
        "rich; extra == 'track'",
        'glioseg[deploy]; extra == "dev"',
    )
    assert missing_by_extra(requirements) == {"deploy": ["surely-not-installed"], "track": []}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((10.0, 9.5, 9.2), "torch"),  # hardly quicker
        ((10.0, 11.0, 5.0), "openvino"),
        ((10.0, 4.0, None), "onnx"),
        ((10.0, None, None), "torch"),
    ],
)
def test_another_backend_must_be_clearly_quicker(times: tuple[float | None, ...], expected: str) -> None:
    figures = [BackendFigures(name, slice_ms=value) for name, value in zip(BACKENDS, times, strict=True)]
    assert quickest(figures) == expected


def test_facts_in_json_and_in_words() -> None:
    ran = glioseg("doctor", "--json", "--device", "cpu")
    assert ran.code == 0
    facts = json.loads(ran.out)
    assert facts["device"] == "cpu"
    found = facts["processors"]
    assert 1 <= found["predict_threads"] <= found["allowed"] <= found["present"]
    assert facts["models"]["phantom"] == "installed"
    assert "deploy" in facts["extras"]
    assert "backends" not in facts
    words = doctor_text(facts)
    assert f"predict takes {found['predict_threads']}" in words
    assert "extra deploy" in words


def test_backends_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SIZE", 16)
    monkeypatch.setattr(module, "_ROUNDS", 1)
    monkeypatch.setattr("glioseg.inference.backends._openvino", lambda data, n_threads: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a fault of ours is not taken for a backend that is missing
        api.doctor("cpu", backends=True)

    def missing(data: bytes, n_threads: int) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("glioseg.inference.backends._openvino", missing)
    facts = api.doctor("cpu", backends=True)
    by_name = {each["backend"]: each for each in facts["backends"]}
    assert tuple(by_name) == BACKENDS
    for name in ("torch", "onnx"):
        assert by_name[name]["slice_ms"] > 0
        assert by_name[name]["computed_by"].startswith(name)
        assert by_name[name]["difference"] < 0.2
    assert "no such thing" in by_name["openvino"]["why"]
    assert facts["quickest_backend"] in ("torch", "onnx")
    words = doctor_text(facts)
    assert "no such thing" in words
    assert words.splitlines()[-1] in ("PyTorch is as quick as any: leave --backend out", "Take --backend onnx")
