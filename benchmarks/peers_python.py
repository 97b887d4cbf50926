"""The Python that has what a benchmark compares with: that of TRADEWIND_PEERS, or of `.venv-peers`, which `make peers` fills.

Not here: the peers themselves (`peers.py` has the servers).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROBE = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"


def peers_python(*modules: str, own: bool = False) -> Path | None:
    """The environment's Python where it has all of `modules`; with `own` this one, if it has them, comes first."""
    home = os.environ.get("TRADEWIND_PEERS") or Path(__file__).parent.parent / ".venv-peers"
    python = Path(home).absolute() / "bin" / "python"
    for one in (Path(sys.executable), python) if own else (python,):
        if one.is_file() and subprocess.run([one, "-c", _PROBE, *modules], check=False).returncode == 0:
            return one
    return None
