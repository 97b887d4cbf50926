"""Versions count up, aliases move, and going back follows the way things were promoted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.artifacts import Workspace
from tradewind.errors import ArtifactError, InputError
from tradewind.release.registry import FILE, Registry, promote, register, roll_back


def filled(workspace, count):
    return [register(workspace, f"sha256:{i:064x}", workspace.home / "releases" / str(i)) for i in range(1, count + 1)]


def test_versions_count_up_and_the_newest_is_the_candidate(tmp_path):
    workspace = Workspace(tmp_path)
    assert [item.version for item in filled(workspace, 3)] == [1, 2, 3]
    assert Registry.open(workspace).find("candidate").version == 3


def test_the_same_release_keeps_its_number(tmp_path):
    workspace = Workspace(tmp_path)
    first, *_ = filled(workspace, 2)
    again = register(workspace, first.digest, tmp_path / "releases" / "1")
    assert again == first
    assert Registry.open(workspace).find("candidate") == first


@given(st.lists(st.integers(1, 4), min_size=2, max_size=8))
def test_rolling_back_undoes_promotions_one_by_one(tmp_path_factory, order):
    workspace = Workspace(tmp_path_factory.mktemp("home"))
    filled(workspace, 4)
    trail = []
    for number in order:
        promote(workspace, str(number))
        if not trail or trail[-1] != number:
            trail.append(number)
    for expected in reversed(trail[:-1]):
        assert roll_back(workspace).version == expected
    with pytest.raises(InputError, match="No earlier release"):
        roll_back(workspace)


def test_a_release_is_found_by_number_alias_and_digest(tmp_path):
    workspace = Workspace(tmp_path)
    filled(workspace, 2)
    promote(workspace, "v2")
    registry = Registry.open(workspace)
    assert registry.find("2") == registry.find("v2") == registry.find("live") == registry.find("0" * 63 + "2")
    with pytest.raises(InputError, match="Known: v1, v2, candidate, live"):
        registry.find("nonsense")
    with pytest.raises(InputError, match="no version 9"):
        registry.find("9")


def test_a_broken_registry_is_said_to_be_broken(tmp_path):
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(ArtifactError, match="registry cannot be read"):
        Registry.open(Workspace(tmp_path))
