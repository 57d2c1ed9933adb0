"""What a run says while it is under way, and how often it is saved. Knows no run."""

from collections.abc import Callable

Progress = Callable[[int, int, dict[str, float]], None]  # step, all steps, losses by their names
SAVE_EVERY_S = 60.0
