"""The settings that a suite's numbers depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltm_pyro.runs.arguments import Call

if TYPE_CHECKING:
    from ltm_pyro.training.run import Run


def settings_of(run: Run, call: Call, *left_out: str) -> dict[str, Any]:
    """Settings on which a suite's numbers depend: its arguments, and the step of the checkpoint that they mean today.

    `best` is another one once a run has gone on, and what was measured of both does not go together.
    """
    chosen = call.without("resume", "corpus_at", "trust_code", "command", *left_out)
    return {**chosen, "checkpoint": run.find(chosen["checkpoint"]).name.removeprefix("step-").lstrip("0") or "0"}
