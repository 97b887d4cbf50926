"""The transparency report of a release: one source of statements, each bound to its evidence, rendered under the headings of several frames.

    evidence → facts → document → layout (frames, parts, rooms, view, words) → markdown · html · pdf        check · compare

Not here: signing the bundle (`release/bundle.py`), or the figures themselves (`evaluate/`).
"""
