"""A lone row: one thread computes it where that is as quick, with the bits of all threads."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tradewind.engines import slots
from tradewind.engines.slots import SlotGraph


def _slow(monkeypatch: pytest.MonkeyPatch, *, threads: str) -> None:
    """Steps of one of the two ways take long."""
    real = SlotGraph.step

    def step(self, tokens_B, lengths_B):
        if (self._lone is self._session) == (threads == "all"):
            time.sleep(0.01)
        return real(self, tokens_B, lengths_B)

    monkeypatch.setattr(SlotGraph, "step", step)


@pytest.mark.parametrize(("slow", "lone"), [("all", True), ("one", False)])
def test_what_is_quicker_computes_a_lone_row(tiny_genai: Path, monkeypatch, slow: str, lone: bool):
    monkeypatch.setattr(slots.os, "cpu_count", lambda: 2)
    with monkeypatch.context() as patched:
        _slow(patched, threads=slow)
        graph = SlotGraph(tiny_genai / "int4", slots=2, threads=2)
    assert (graph._lone is not graph._session) == lone
    assert graph.steady()


def test_a_lone_row_has_the_bits_of_all_threads(tiny_genai: Path, monkeypatch):
    monkeypatch.setattr(slots.os, "cpu_count", lambda: 2)
    with monkeypatch.context() as patched:
        _slow(patched, threads="all")
        one = SlotGraph(tiny_genai / "int4", slots=1, threads=2)
    every = SlotGraph(tiny_genai / "int4", slots=1, threads=1)
    assert every._lone is every._session
    for graph in (one, every):
        graph.prefill(0, [5, 6, 7], 0)
    np.testing.assert_array_equal(one.step([8], [3]), every.step([8], [3]))


def test_a_heavy_graph_is_held_once(tiny_genai: Path, monkeypatch):
    monkeypatch.setattr(slots.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(slots, "_LIGHT", 0)
    graph = SlotGraph(tiny_genai / "int4", slots=1, threads=2)
    assert graph._lone is graph._session
