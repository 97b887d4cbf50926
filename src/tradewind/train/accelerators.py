"""What accelerators can do, by their makers' data sheets, and the share of it that training reaches.

Not here: this machine, which is measured (`measure.py`). Dense matrix products in bfloat16 (float16 where there is none),
summed in float32; the doubled figures "with sparsity" are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradewind.errors import ModelError, nearest


@dataclass(frozen=True)
class Accelerator:
    """`peak_per_s` are multiplications and additions a second, `memory` bytes, `source` the maker's document."""

    name: str
    peak_per_s: float
    memory: int
    source: str


# Well-kept training reaches this share of the peak on one node: PaLM 46 % (Chowdhery et al. 2022), Llama 3 405B 38 to 43 %
# (Dubey et al. 2024, table 4). A first run of one's own reaches less.
UTILISATION = 0.35


def _row(name: str, teraflops: float, gigabytes: int, source: str) -> Accelerator:
    return Accelerator(name, teraflops * 1e12, gigabytes * 1_000_000_000, source)


ACCELERATORS: dict[str, Accelerator] = {
    one.name: one
    for one in (
        _row("t4", 65, 16, "NVIDIA T4 data sheet (float16)"),
        _row("v100", 125, 32, "NVIDIA V100 data sheet, SXM2 (float16)"),
        _row("a10", 125, 24, "NVIDIA A10 data sheet"),
        _row("l4", 121, 24, "NVIDIA L4 data sheet, half of the figure with sparsity"),
        _row("l40s", 362, 48, "NVIDIA L40S data sheet"),
        _row("rtx3090", 71, 24, "NVIDIA Ampere GA102 whitepaper"),
        _row("rtx4090", 165, 24, "NVIDIA Ada whitepaper"),
        _row("a100-40gb", 312, 40, "NVIDIA A100 data sheet"),
        _row("a100", 312, 80, "NVIDIA A100 data sheet"),
        _row("a800", 312, 80, "as A100, with slower links"),
        _row("h100", 989, 80, "NVIDIA H100 data sheet, SXM"),
        _row("h100-pcie", 756, 80, "NVIDIA H100 data sheet, PCIe"),
        _row("h800", 989, 80, "as H100, with slower links"),
        _row("h20", 148, 96, "NVIDIA H20 specification"),
        _row("h200", 989, 141, "NVIDIA H200 data sheet"),
        _row("b200", 2250, 180, "NVIDIA DGX B200 data sheet, an eighth of 18 PFLOP/s"),
        _row("mi300x", 1307, 192, "AMD Instinct MI300X data sheet"),
    )
}


def accelerator(name: str) -> Accelerator:
    """Raises ModelError accelerator_unknown."""
    found = ACCELERATORS.get(name.lower().replace("_", "-").replace(" ", "-"))
    if found is None:
        raise ModelError(
            f"{name} is not in the table. Known: {', '.join(ACCELERATORS)}.", code="accelerator_unknown",
            where="--accelerator", hint=nearest(name.lower(), ACCELERATORS) or None,
        )  # fmt: skip
    return found
