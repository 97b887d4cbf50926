"""The contract of an encoder: what every part that reads one modality gives to the trunk.

Not here: any one encoder (`tabular.py`, `text.py`, `image.py`), nor how several are joined (`assemble.py`).

Legend: B rows, M members (1, or the networks of a tabm ensemble), D width, K outputs (classes, or 1 for a value).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


class Encoder(nn.Module):
    """Maps a batch to one vector per row and member.

    A subclass calls `super().__init__(out_width=…, members=…)` and implements `forward`. `inputs` holds the tensors of
    a batch by their readable names: `numbers` float32 [B, N], `categories` int64 [B, C], `tokens:NAME` int64 [B, T] …;
    an encoder reads those it was built for and ignores the rest. It must be traceable by torch.export with a dynamic B
    and T, deterministic in evaluation mode, and take every random number from torch's global generator.
    """

    out_width: int
    members: int

    def __init__(self, *, out_width: int, members: int = 1) -> None:
        super().__init__()
        assert out_width > 0
        assert members > 0
        self.out_width = out_width
        self.members = members

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The encoded rows, float [B, M, D] with M = `members` and D = `out_width`."""
        raise NotImplementedError

    def wide_logits(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """Logits [B, K] to add to those of the head (a linear part over n-grams, say), or None."""
        return None

    def parameter_groups(self) -> Mapping[str, dict[str, float]]:
        """By parameter-name prefix inside this encoder: `{"lr_scale": …, "weight_decay": …}` where it must differ.

        `lr_scale` multiplies the learning rate; `weight_decay` replaces it. Prefixes not named follow the run.
        """
        return {}
