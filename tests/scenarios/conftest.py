"""`run_scenario(NAME)`: a scenario begun and run once for a module of tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.story import Scenario


@pytest.fixture(scope="module")
def run_scenario(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Scenario]:
    """`run_scenario("NAME", changes=["train.epochs=2"], seed=1) -> Scenario`, in a folder of its own."""

    def run(name: str, **options: object) -> Scenario:
        return Scenario.run(name, tmp_path_factory.mktemp(name) / name, **options)

    return run
