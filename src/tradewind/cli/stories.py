"""What the verbs do for a task that is not a table's: one story a task, loaded when a product asks for it, as the verbs are.

Not here: the stories, nor that of a table, which the verbs themselves tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from tradewind.cli.session import Session
from tradewind.product import Task


@dataclass(frozen=True)
class Story:
    """The stages of a task. Each does those before it, as far as something changed, and writes into `session.outcome`;
    `release` ends before the release where a gate said no."""

    prepare: Callable[[Session], object]
    train: Callable[[Session], object]
    evaluate: Callable[[Session], object]
    release: Callable[[Session], object]


# The file that tells it; its `STORY` is one of the above.
_FILES: Mapping[Task, str] = {
    "generation": "language",
    "recommendation": "recommendation",
    "translation": "translation",
}


def story_of(task: Task) -> Story | None:
    """None for the task of a table."""
    file = _FILES.get(task)
    if file is None:
        return None
    story: Story = import_module(f"tradewind.cli.{file}").STORY
    return story
