"""Validation of a run that is being trained: the four numbers of held-out sequences, and their record in the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ltm_pyro.training.build import RunComponents
from ltm_pyro.training.data_module import DataModule
from ltm_pyro.training.settings import TrainSettings

if TYPE_CHECKING:
    import torch

    from ltm_pyro.data import Batch
    from ltm_pyro.evaluation import Evaluation

LEAST_AT_ONCE = 32  # sequences


@dataclass(frozen=True)
class Validation:
    """Evaluator of the four numbers on held-out sequences.

    Args:
        material: whose validation part is scored.
        settings: of training: draws, seed and batch size.
        protocol_steps: fast steps of the released code's protocol: those of training.
        device: the device of the objects.
    """

    material: DataModule
    settings: TrainSettings
    protocol_steps: int
    device: torch.device

    def evaluate(self, components: RunComponents, limit: int, last: bool = False) -> Evaluation:
        """The numbers of up to `limit` sequences.

        Args:
            components: objects from `RunComponents.for_tables`.
            limit: the most sequences.
            last: add the number of the released code's protocol and the decoder's twins, and check the fit of q.
        """
        from ltm_pyro.data import in_order
        from ltm_pyro.evaluation import Evaluator
        from ltm_pyro.evaluation.twins import with_twins
        from ltm_pyro.runs.scoring import CHECKED

        model, guide, fast, _ = components
        settings, held_out = self.settings, self.material.validation
        checked = CHECKED if last else 0
        numbers = Evaluator(model, guide, fast, settings.draws, settings.seed, fixed_noise=last, check_fit=checked)
        numbers.protocol_steps = self.protocol_steps

        def batches() -> Iterator[Batch]:
            at_once = max(settings.batch_size, LEAST_AT_ONCE)
            return (batch.to(self.device) for batch in in_order(held_out, at_once, limit))

        evaluation = replace(numbers.evaluate(batches()), lost=held_out.lost)
        return with_twins(evaluation, model, fast, batches) if last else evaluation


def record_of(evaluation: Evaluation) -> dict[str, Any]:
    """Record of an evaluation for the log: `elbo` and the other numbers in nats per token, higher is better."""
    scores = {name: -score.nats_per_token for name, score in evaluation.scores.items()}
    for name in ("exact", "diffusion"):  # a model's only number takes the name of the bound
        if name in scores:
            scores["elbo"] = scores[name]
    bits = {name: score.bits_per_byte for name, score in evaluation.scores.items()}
    return {**scores, "bits_per_byte": bits, "kl": evaluation.kl_per_token, "kl_per_layer": evaluation.kl_per_layer}
