"""How long threads spin is settled when a verb begins, by how busy the machine is, unless somebody has settled it."""

import os
import subprocess
import sys

import pytest

from tradewind.cli.spin import spin_count

_SAY = "import os, tradewind.cli.app; print(os.environ.get('GOMP_SPINCOUNT'))"


def said(**settings):
    clean = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    command = [sys.executable, "-c", _SAY]
    return subprocess.run(command, env=clean | settings, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("load", "processors", "count"),
    [(0.0, 1, 10_000), (1.0, 2, 10_000), (1.1, 2, 1_000), (3.9, 8, 10_000), (9.0, 8, 1_000)],
)
def test_threads_spin_long_only_where_half_the_machine_is_free(load, processors, count):
    assert spin_count(load, processors) == count


def test_a_verb_settles_it_and_whoever_set_it_keeps_his_choice():
    assert said() in ("1000", "10000")
    assert said(GOMP_SPINCOUNT="7") == "7"
    assert said(OMP_WAIT_POLICY="PASSIVE") == "None"
