from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from glioseg.errors import OptionError
from glioseg.machine.device import autocast, cpu_is_faster_in_bf16, memory_at_hand, pick_device, uses_bf16

CPU = torch.device("cpu")


def test_the_processor_is_always_there() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "unknown device; found gpu; expected auto, cpu, cuda"),
        ("cuda:77", "no device cuda:77; expected .*cpu"),
        ("meta", "no device meta"),
        ("cpu:3", "no device cpu:3"),
        ("", "unknown device"),
    ],
)
def test_a_device_that_is_not_there_is_refused(name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        pick_device(name)


def test_precision_is_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert uses_bf16("bf16", CPU)
    assert not uses_bf16("fp32", CPU)
    for has in (True, False):
        monkeypatch.setattr("glioseg.machine.device.cpu_is_faster_in_bf16", lambda has=has: has)
        assert uses_bf16("auto", CPU) is has
    assert not uses_bf16("auto", torch.device("mps"))


@pytest.mark.parametrize(
    ("vendor", "flags", "faster"),
    [
        ("GenuineIntel", "fpu avx512_bf16 amx_bf16", True),
        ("GenuineIntel", "fpu avx512_bf16 sse", False),
        ("AuthenticAMD", "fpu avx512_bf16 sse", True),
        ("AuthenticAMD", "fpu avx512f avx512_bf16x", False),
    ],
)
def test_the_processor_tells_whether_bf16_is_faster(
    monkeypatch: pytest.MonkeyPatch, vendor: str, flags: str, faster: bool
) -> None:
    text = f"processor : 0\nvendor_id\t: {vendor}\nmodel name : some\nflags\t\t: {flags}\nbugs : none\n"
    monkeypatch.setattr("glioseg.machine.device.Path.read_text", lambda path, encoding: text)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert cpu_is_faster_in_bf16() is faster
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert not cpu_is_faster_in_bf16()


def test_autocast_is_on_where_bf16_is() -> None:
    weights = torch.ones(2, 2)
    with autocast(CPU, bf16=True):
        assert (weights @ weights).dtype == torch.bfloat16
    with autocast(CPU, bf16=False):
        assert (weights @ weights).dtype == torch.float32


def test_memory_at_hand_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000,000 kB of 1024 bytes are 2.048 · 10^9 bytes; else half of the pages, else 4 GB."""
    monkeypatch.setattr("glioseg.machine.device.memory_left", lambda: None)
    monkeypatch.setattr(Path, "read_text", lambda self, **_: "MemTotal: 9 kB\nMemAvailable:    2000000 kB\n")
    assert memory_at_hand(CPU) == pytest.approx(2.048)
    monkeypatch.setattr(Path, "read_text", lambda self, **_: "MemTotal: 9 kB\n")
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 3_000_000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert memory_at_hand(CPU) == pytest.approx(6.144)
    monkeypatch.delattr(os, "sysconf")
    assert memory_at_hand(CPU) == 4.0
    monkeypatch.setattr("glioseg.machine.device.memory_left", lambda: 500_000_000)
    assert memory_at_hand(CPU) == 0.5
