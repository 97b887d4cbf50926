"""What the collector of cycles passes over: all that lives as long as the server. Not here: what that is.

Walking over the two hundred thousand objects of a loaded server takes the interpreter a tenth of a second, while it answers
nobody; and at thousands of requests a second it does so every few seconds.
"""

from __future__ import annotations

import gc

# So many more objects made than freed before the young ones are looked at: those of requests that run, and of events on
# their way to the database, are fewer.
_YOUNG, _MIDDLE, _OLD = 20_000, 10, 10


def freeze() -> None:
    """What is there now is taken for lasting. Looks at nothing: a server that starts is waited for."""
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    gc.freeze()


def renew() -> None:
    """After a release took the place of another: what is garbage of the old one is freed."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
