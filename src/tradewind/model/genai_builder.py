"""The process in which ONNX Runtime GenAI's model builder runs: `python -m tradewind.model.genai_builder HF OUT PRECISION…`.

A process of its own, because the builder prints to stdout, leaves folders of common names on the module path, and keeps a
copy of the weights. Not here: what is asked of it and what is done with its graphs (`genai.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from onnxruntime_genai.models.builder import create_model, parse_extra_options


def main(hf: str, out: str, precisions: list[str]) -> None:
    for precision in precisions:
        folder = str(Path(out) / precision)
        # No token is sent anywhere and no code of a folder runs; a window of attention is set afterwards (`genai.py`).
        asked = ["hf_token=false", "hf_remote=false", "windowed_kv_cache=false"]
        cache = str(Path(out) / ".builder")
        options = parse_extra_options("", hf, folder, precision, "cpu", cache, asked)
        create_model("", hf, folder, precision, "cpu", cache, **options)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
