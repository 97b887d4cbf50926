"""Where training runs, and that it leaves torch as it found it."""

import numpy as np
import pytest
import torch

from tradewind.errors import EnvironmentFailure
from tradewind.train.device import choose_device, choose_precision, reproducible, to_tensor

CPU = torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(EnvironmentFailure, match="no GPU can be used"):
        choose_device("cuda")
    assert choose_device("auto") == CPU


def test_half_precision_only_when_asked_for_on_a_processor():
    assert [choose_precision(wanted, CPU) for wanted in ("auto", "bfloat16")] == ["float32", "bfloat16"]


def test_generators_and_modes_are_left_as_they_were():
    before = torch.get_rng_state()
    with reproducible(seed=1, threads=1, device=CPU):
        assert torch.are_deterministic_algorithms_enabled()
        first = torch.rand(3)
    with reproducible(seed=1, threads=1, device=CPU):
        assert torch.equal(first, torch.rand(3))
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()


def test_arrays_come_aligned_whatever_they_were():
    memory = np.zeros(64, dtype=np.float32)
    for start in range(4):
        array = memory[start : start + 32]
        assert to_tensor(array, CPU).data_ptr() % 64 == 0
    memory.flags.writeable = False
    assert to_tensor(memory, CPU).shape == (64,)
