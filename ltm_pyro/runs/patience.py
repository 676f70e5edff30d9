"""Early stopping when validations no longer improve by more than their noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    from ltm_pyro.evaluation import Evaluation, Score

STANDARD_ERRORS = 2.0  # that an improvement exceeds
LEAST = 1e-4  # nats per token that it exceeds too: with common noise even a useless gain may exceed its error
MEASURES = ("exact", "diffusion", "elbo", "predictive")  # the first that there is, as for the best checkpoint


class Patience:
    r"""Early stopping after `limit` validations in a row without an improvement that exceeds noise.

    A validation improves if its cost is below that of the reference by more than two standard errors,

    .. math:: \frac{\sum_n (r_n - c_n)}{\sum_n t_n} > 2\,\mathrm{SE},

    where :math:`r_n` and :math:`c_n` are the costs of sequence n in the reference and now, and :math:`t_n` its tokens.
    The standard error is that of the paired difference over sequences; an improvement also exceeds 0.0001 nats per
    token. The reference is the last validation that
    improved, so that several small gains add up to one that exceeds noise. Costs are of fresh noise: of the ELBO, or of
    the second half of each sequence if q has no density. Until `begins` every validation becomes the reference, because
    costs may move either way while the bounds' schedules last.

    Args:
        limit: number of validations.
        steps: slow steps of the run; if they change on a resume, the count begins anew.
        begins: slow steps after which validations count.

    Attributes:
        stale: number of validations in a row without improvement.
        reference: slow step of the reference, None before the first validation.
    """

    def __init__(self, limit: int, steps: int, begins: int = 0) -> None:
        self.limit, self.begins, self.steps = limit, begins, steps
        self.stale = 0
        self.reference: int | None = None
        self._score: Score | None = None
        self._gap = (float("nan"), float("nan"))

    @property
    def exhausted(self) -> bool:
        """True if training is to stop."""
        return self.stale >= self.limit

    def observe(self, step: int, evaluation: Evaluation) -> None:
        """Count a validation.

        Args:
            step: number of slow steps taken.
            evaluation: of the same sequences as every other validation of the run.

        Raises:
            InputError: with fewer than two sequences, or others than before.
        """
        score = next(evaluation.scores[name] for name in MEASURES if name in evaluation.scores)
        if len(score.nats) < 2:
            raise InputError(
                f"train.patience={self.limit}: the noise of a difference needs two held-out sequences, and there is "
                f"{len(score.nats)}: hold out more by --data.validation, or leave --train.patience out"
            )
        if self._score is not None and self.reference is not None and self.reference >= self.begins:
            if len(score.nats) != len(self._score.nats):
                raise InputError("validations of one run were made on different sequences: resume from an earlier step")
            gap, error = self._gap = self._score.minus(score)
            if not gap > max(STANDARD_ERRORS * error, LEAST):
                self.stale += 1
                return
        self.stale, self.reference, self._score = 0, step, score

    def explain(self, step: int) -> str:
        """Sentence on an early stop after a number of slow steps."""
        gap, error = self._gap
        several = "a validation" if self.limit == 1 else f"{self.limit} validations in a row"
        return (
            f"Stopped early after step {step:,}: {several} brought no improvement beyond noise over that of step "
            f"{self.reference:,} (the last: {gap:+.4f} ± {error:.4f} nats/token; --train.patience {self.limit})"
        )

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain values."""
        costs = {}
        if self._score is not None:
            costs = {name: getattr(self._score, name).tolist() for name in ("nats", "tokens", "bytes")}
        return {
            "stale": self.stale,
            "steps": self.steps,
            "reference": self.reference,
            "costs": costs,
            "gap": list(self._gap),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint; the count begins anew if the run has got another number of steps."""
        from ltm_pyro.evaluation import Score

        costs = state["costs"]
        self.stale = state["stale"] if state["steps"] == self.steps else 0
        self.reference = state["reference"]
        nats, tokens, bytes_ = (np.array(costs.get(name, [])) for name in ("nats", "tokens", "bytes"))
        self._score = Score("reference", nats, tokens, bytes_) if costs else None
        self._gap = (state["gap"][0], state["gap"][1])
