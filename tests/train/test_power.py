"""Energy counters of processors, read from a folder as the kernel lays it out."""

import pytest

from tradewind.train.power import Meter


def _package(folder, number, energy_uj, *, largest=10_000_000):
    package = folder / f"intel-rapl:{number}"
    package.mkdir(exist_ok=True)
    (package / "energy_uj").write_text(f"{energy_uj}\n")
    (package / "max_energy_range_uj").write_text(f"{largest}\n")
    return package


def test_all_packages_are_added_and_their_parts_are_not(tmp_path):
    _package(tmp_path, 0, 1_000_000)
    _package(tmp_path, 1, 500_000)
    _package(tmp_path, "0:0", 0)
    with Meter(tmp_path) as meter:
        _package(tmp_path, 0, 3_000_000)
        _package(tmp_path, 1, 1_000_000)
        _package(tmp_path, "0:0", 9_000_000)
    assert meter.joules == pytest.approx(2.5)
    power = meter.to_json()["power"]
    assert power["watts"] == pytest.approx(2.5 / power["seconds"])
    assert power["source"] == "rapl"


def test_a_counter_that_turned_over_is_counted_on(tmp_path):
    _package(tmp_path, 0, 9_500_000)
    with Meter(tmp_path) as meter:
        _package(tmp_path, 0, 500_000)
    assert meter.joules == pytest.approx(1.0)


def test_it_is_read_while_the_work_goes_on(tmp_path):
    _package(tmp_path, 0, 0)
    with Meter(tmp_path, every_s=0.001) as meter:
        for energy in (6_000_000, 2_000_000):  # turns over in between: two readings alone would miss 6 J of 12
            _package(tmp_path, 0, energy)
            while meter._last[tmp_path / "intel-rapl:0"] != energy:
                pass
    assert meter.joules == pytest.approx(12.0)


def test_without_counters_there_is_no_power_but_processor_time(tmp_path):
    with Meter(tmp_path) as meter:
        sum(range(200_000))
    assert meter.to_json()["power"] is None
    assert meter.cpu_s > 0


def test_a_counter_that_fails_meanwhile_gives_no_half_figure(tmp_path):
    package = _package(tmp_path, 0, 1)
    with Meter(tmp_path) as meter:
        (package / "energy_uj").unlink()
    assert meter.watts is None
