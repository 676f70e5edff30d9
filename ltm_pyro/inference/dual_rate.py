"""Dual-rate variational inference: fast on γ, slow on θ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from torch import Tensor, nn

from ltm_pyro.bounds import Terms
from ltm_pyro.inference.batch import checked_batch, refuse_unfit
from ltm_pyro.inference.fast_loop import FastLoop
from ltm_pyro.inference.observers import StepObserver, WeightObserver
from ltm_pyro.inference.process_group import ProcessGroup
from ltm_pyro.inference.slow_step import SlowStep
from ltm_pyro.instances import require_instance


class DualRateSVI:
    """Dual-rate variational inference: for each batch, fit every posterior, then take one step on the weights.

    (Kong et al., 2025, arXiv 2502.01567, algorithm 1.) Pyro's parameter store is not used and stays empty.

    Args:
        model: a Pyro model called as `model(x, mask, ...)`.
        guide: a guide with `start`, `local_parameters`, and the model's own call; see `contracts.Guide`.
        fast: the loop on the local parameters.
        slow: the step on the global parameters; None for inference alone. Its `steps` are the length of the run, for
            schedules by shares of it.
        observers: observers of the fast loop in `step`, in addition to the slow step's own.

    Raises:
        InputError: for a class instead of an object, arguments in another order, a guide that does not fit, or a
            schedule by shares of a run whose length `slow` does not have.

    Example:
        >>> from ltm_pyro import ELBO, Decoder, GaussianPrior, LatentThoughtModel, MeanFieldGuide
        >>> decoder = Decoder(vocabulary=10, width=8, layers=1, heads=2, thoughts=2, length=6)
        >>> model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
        >>> svi = DualRateSVI(model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(), steps=4), SlowStep(ELBO()))
        >>> svi.step(model(batch_size=3).detach()).elbo.shape
        torch.Size([3])
    """

    def __init__(
        self,
        model: nn.Module,
        guide: nn.Module,
        fast: FastLoop,
        slow: SlowStep | None = None,
        observers: Sequence[StepObserver] = (),
    ) -> None:
        refuse_unfit(model, guide)
        require_instance("fast", fast, FastLoop, "FastLoop(ELBO()); the order is model, guide, fast, slow")
        if slow is not None:
            require_instance("slow", slow, SlowStep, "SlowStep(ELBO()); the order is model, guide, fast, slow")
        self.model, self.guide, self.fast, self.slow = model, guide, fast, slow
        slow_observers = [] if slow is None or slow.observer is None else [slow.observer]
        self.observers = [*observers, *slow_observers]
        self.weight_observers = [each for each in self.observers if isinstance(each, WeightObserver)]
        if slow is not None:
            for bound in (fast.bound, slow.bound):
                bound.spread_over(slow.steps)
            slow.prepare(chain(model.parameters(), guide.parameters()))

    def fit(self, x: Tensor, mask: Tensor | None = None, **kwargs: Any) -> None:
        """Fit the local posteriors of a batch, at fixed θ, which gets no gradient."""
        self.fast.fit(self.model, self.guide, x, mask, **kwargs)

    def step(self, x: Tensor, mask: Tensor | None = None, **kwargs: Any) -> Terms:
        """Fit the posteriors of a batch and take one slow step; returns the batch's terms before the slow step.

        Raises:
            NonFiniteError: if the bound or its gradient is not finite; the weights are unchanged.
        """
        return self.step_in_slices([{"x": x, "mask": mask, **kwargs}])

    def step_in_slices(
        self,
        slices: Iterable[Mapping[str, Any]],
        tokens: Tensor | int | None = None,
        others: ProcessGroup | None = None,
    ) -> Terms:
        """Take a `step` on a batch in slices (gradient accumulation): each is fitted and adds its gradient.

        The weights move once, by the gradient of the whole batch. Memory is that of a slice, whose posteriors are
        discarded, and other processes may work on further slices.

        Args:
            slices: the arguments of `fit` for each slice.
            tokens: number of scored tokens in the whole batch, over all processes; None for a single slice.
            others: the processes with the other slices of the batch, as many each as this one.

        Returns:
            The terms of the whole batch.

        Raises:
            NonFiniteError: as in `step`, in all processes alike.
        """
        if self.slow is None:
            raise RuntimeError(
                "this DualRateSVI has no slow step, and does inference alone: give it slow=SlowStep(...)"
            )
        for bound in (self.fast.bound, self.slow.bound):
            bound.begin(self.slow.taken)
        self.slow.begin()
        parts = []
        for arguments in slices:
            inputs = self._checked(arguments)
            self.fit(**inputs, observers=self.observers)
            parts.append(
                self.slow.gradient(self.model, self.guide, tokens=tokens, observers=self.weight_observers, **inputs)
            )
        terms = parts[0] if len(parts) == 1 else Terms.cat(parts)
        if others is not None:
            terms = others.join(terms)
        self.slow.apply(terms, others)
        return terms

    def _checked(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of `fit`, with validated token ids and mask."""
        x, mask = checked_batch(self.model, self.guide, inputs["x"], inputs.get("mask"))
        return {**inputs, "x": x, "mask": mask}
