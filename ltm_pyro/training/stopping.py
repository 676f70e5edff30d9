"""Early stopping as a trainer sees it."""

from __future__ import annotations

from typing import Any, Protocol


class StoppingRule(Protocol):
    """Rule that ends training before its last step; its state is a part of every checkpoint.

    Of several processes the first one decides, as it alone validates.
    """

    @property
    def exhausted(self) -> bool:
        """True if training is to stop."""

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
