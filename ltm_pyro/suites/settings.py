"""Settings that a suite's numbers depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltm_pyro.runs.arguments import Call

if TYPE_CHECKING:
    from ltm_pyro.training.run import Run


def settings_of(run: Run, call: Call, *left_out: str) -> dict[str, Any]:
    """Settings that a suite's numbers depend on: its arguments, with the checkpoint replaced by its present step.

    Further training can change the checkpoint that `best` stands for; numbers of both must not be mixed.
    """
    chosen = call.without("resume", "corpus_at", "trust_code", "command", *left_out)
    return {**chosen, "checkpoint": run.find(chosen["checkpoint"]).name.removeprefix("step-").lstrip("0") or "0"}
