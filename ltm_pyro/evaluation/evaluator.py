"""Evaluator of a model on held-out text: ELBO, importance-weighted bound, predictive and prior scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltm_pyro.bounds import Draws
from ltm_pyro.bounds.weights import effective_sample_size, log_mean_exp
from ltm_pyro.data import Batch
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.evaluation.finite import refuse_non_finite
from ltm_pyro.evaluation.fit_check import FitCheck, checked, fit_of, gain_of_longer
from ltm_pyro.evaluation.fixed_noise import fixed_noise_cost
from ltm_pyro.evaluation.log_weights import draws_of, log_likelihood_under, under_posterior, under_prior
from ltm_pyro.evaluation.pareto import pareto_k
from ltm_pyro.evaluation.score import Score
from ltm_pyro.inference import FastLoop, refuse_unfit
from ltm_pyro.instances import require_instance
from ltm_pyro.models import AbstractModel

NO_BOUNDS = ("fixed_noise", "reconstruction")
PER_TEXT = {"size": "effective_sample_size", "tokens_rest": "predictive_tokens", "bytes_rest": "predictive_bytes"}


@dataclass(frozen=True)
class Evaluation:
    """Scores of one model on one text.

    Attributes:
        scores: by name; see `Evaluator`.
        kl_per_token: KL(q || p), nats per token.
        kl_per_layer: KL by layer, nats per token; empty if it does not split into layers.
        kl_closed_form: whether the KL is exact or a Monte Carlo estimate.
        effective_sample_size: effective sample size of the importance weights, mean over sequences, 1 to `draws`.
        pareto_k: k-hat of the importance weights, median over sequences; None with fewer than some 25 draws.
        draws: S.
        lost: sentence that gives the reason for missing bits per byte; empty if they exist.
        fit: settings of the fit of q, and a check of its convergence; None for a model without thoughts.
        per_text: numbers of each of the N sequences in their order, shape (N,) each, `kl_per_layer` (N, L): `tokens`,
            `bytes`, `predictive_tokens` and `predictive_bytes`; every score's cost by its name, `kl` and
            `kl_per_layer` in nats; `effective_sample_size` and `pareto_k` of the importance weights.
    """

    scores: dict[str, Score]
    kl_per_token: float
    kl_per_layer: list[float]
    kl_closed_form: bool
    effective_sample_size: float
    draws: int
    pareto_k: float | None = None
    lost: str = ""
    fit: FitCheck | None = None
    per_text: dict[str, np.ndarray] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """Plain numbers for JSON; those of single sequences are left out."""
        plain = {name: value for name, value in vars(self).items() if name not in ("scores", "fit", "per_text")}
        fit = None if self.fit is None else self.fit.to_dict()
        return {"scores": {name: score.to_dict() for name, score in self.scores.items()}, **plain, "fit": fit}


@dataclass
class Evaluator:
    r"""Evaluator with fresh noise for every score: no fit is scored with the noise that it was fitted to.

    For a model with latent thoughts:

    - `elbo`: q fitted on the text, :math:`\mathbb{E}_q \log p(x|z) - \mathrm{KL}`, mean over S draws;
    - `importance_weighted`: :math:`\log \frac1S \sum_s w_s` with the same S draws;
    - `prior`: :math:`\mathbb{E}_{p(z)} \log p(x|z)`, nothing fitted, mean over S draws;
    - `predictive`: q fitted on the first half only, the second half scored,
      :math:`\log \frac1S \sum_s p(x_{2}|x_{1},z_s)`; what a generator can use. In batches with prompts the answer to
      the prompt is scored in the place of the second half, with q fitted on the prompt;
    - `prior_predictive`: the second half scored likewise, with z from the prior;
    - `fixed_noise`: the released code's protocol, not a bound (only with `fixed_noise=True`).

    A guide without a density gives no ELBO and no importance weights, but

    - `reconstruction`: :math:`\mathbb{E}_q \log p(x|z)`, without a KL: not a bound.

    For a model without latents: `exact`, and `predictive` (the exact log-likelihood of the second half). For a model
    whose likelihood is itself an estimate of a lower bound, such as masked diffusion: `diffusion`, the mean of S
    estimates, and `predictive`, that mean for the second half.

    Args:
        model, guide: the guide is reinitialised for every batch.
        fast: the fast loop that fits the guide; `TableFit` makes one that converges.
        draws: S.
        seed: seed of all noise; the global random state is left as it was.
        at_once: particles in one pass.
        fixed_noise: also compute the released code's protocol.
        halves: also compute the predictive scores, which need a fit on the first halves, or on the prompts.
        protocol_steps: T_fast of the released code's protocol, equal to that of training; None takes `fast.steps`.
        check_fit: number of leading sequences that are also fitted for longer, to check the convergence of q; 0
            skips the check.
        on_draws: called after the fit of each batch, with the batch and the draws of z from which its scores are taken.
    """

    model: AbstractModel
    guide: Any
    fast: FastLoop
    draws: int = 16
    seed: int = 0
    at_once: int = 8
    fixed_noise: bool = False
    halves: bool = True
    protocol_steps: int | None = None
    check_fit: int = 0
    on_draws: Callable[[Batch, Draws], None] = lambda batch, draws: None
    _columns: dict[str, list[Tensor]] = field(default_factory=dict, init=False, repr=False)
    _closed_form: bool = field(default=False, init=False, repr=False)
    _prompted: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        refuse_unfit(self.model, self.guide)
        require_instance("fast", self.fast, FastLoop, "FastLoop(ELBO()); the order is model, guide, fast")

    def evaluate(self, batches: Iterable[Batch], listener: Callable[[int], None] = lambda done: None) -> Evaluation:
        """Score all batches.

        Args:
            batches: on the model's device.
            listener: called with the number of finished sequences after each batch.

        Raises:
            InputError: if a score is not a finite number.
        """
        self._columns, done = {}, 0
        with evaluation_mode(self.model, self.guide, self.seed):
            for batch in batches:
                self._score(batch)
                done += len(batch.x)
                listener(done)
        return self._summary()

    def _score(self, batch: Batch) -> None:
        inputs = batch.inputs
        scored = torch.ones_like(batch.x, dtype=torch.bool) if batch.mask is None else batch.mask
        self._keep(tokens=scored.sum(-1), bytes=batch.byte_counts.masked_fill(~scored, 0).sum(-1))
        self.on_draws(batch, self._keep_fitted(inputs))
        if self._has_latents():
            self._keep(prior=-under_prior(self.model, self.draws, self.at_once, **inputs).mean(0))
            if self.fixed_noise and not self.guide.discrete:  # the protocol's posterior is Gaussian
                seed = self.seed + sum(len(part) for part in self._columns.get("fixed_noise", []))
                cost = fixed_noise_cost(self.model, self.guide.z_shape, self._protocol_steps, seed, **inputs)
                self._keep(fixed_noise=cost)
            self._keep_gain(inputs)
        if self.halves:
            self._keep_halves(batch, scored)

    def _keep_halves(self, batch: Batch, scored: Tensor) -> None:
        """Score the second half of every sequence, or the answer to its prompt."""
        self._prompted = batch.prompts is not None
        if batch.prompts is None:
            given = scored.cumsum(-1) <= scored.sum(-1, keepdim=True) // 2
        else:
            given = torch.arange(batch.x.shape[1], device=batch.x.device) < batch.prompts[:, None]
        prefix, second = scored & given, scored & ~given
        second_half = {**batch.inputs, "mask": second}
        self._keep(tokens_rest=second.sum(-1), bytes_rest=batch.byte_counts.masked_fill(~second, 0).sum(-1))
        if self._has_latents():
            self._keep(prior_predictive=-log_mean_exp(under_prior(self.model, self.draws, self.at_once, **second_half)))
        # The guide must not read the second half: its tokens are overwritten, not merely masked.
        visible = batch.x.masked_fill(~given, self.model.decoder.bos_id)
        self.fast.fit(self.model, self.guide, x=visible, mask=prefix, previous=batch.previous)
        log_likelihood = log_likelihood_under(*self._sampling, **second_half)
        self._keep(predictive=-(log_mean_exp(log_likelihood) if self.model.exact else log_likelihood.mean(0)))

    def _keep_gain(self, inputs: dict[str, Any]) -> None:
        """Keep the gain of a longer fit, for the sequences still to be checked."""
        if self.guide.has_density and self.guide.local_parameters():
            rows = self.check_fit - sum(len(part) for part in self._columns.get("gain", []))
            few = {name: None if part is None else part[:rows] for name, part in inputs.items()}
            if rows > 0:
                gain = gain_of_longer(self.model, self.guide, self.fast, self.draws, self.at_once, **few)
                self._keep(gain=torch.from_numpy(gain))

    def _keep_fitted(self, inputs: dict[str, Any]) -> Draws:
        """Fit q to a batch and score it; returns the draws."""
        self.fast.fit(self.model, self.guide, **inputs)
        if not self.model.exact or not self.guide.has_density:
            draws = draws_of(*self._sampling, **inputs)
            self._keep(**{"reconstruction" if self.model.exact else "diffusion": -draws.log_likelihood.mean(0)})
            return draws
        fitted = under_posterior(*self._sampling, **inputs)
        self._closed_form = fitted.kl_closed_form
        if not self._has_latents():
            self._keep(exact=-fitted.log_likelihood.mean(0))
            return fitted.draws
        self._keep(
            elbo=fitted.kl - fitted.log_likelihood.mean(0),
            importance_weighted=-log_mean_exp(fitted.log_weight),
            kl=fitted.kl,
            size=effective_sample_size(fitted.log_weight),
            pareto_k=torch.from_numpy(pareto_k(fitted.log_weight.double().cpu().numpy())),
        )
        if fitted.kl_per_layer is not None:
            self._keep(kl_per_layer=fitted.kl_per_layer)
        return fitted.draws

    @property
    def _sampling(self) -> tuple[AbstractModel, Any, int, int]:
        return self.model, self.guide, self.draws, self.at_once

    @property
    def _protocol_steps(self) -> int:
        return self.fast.steps if self.protocol_steps is None else self.protocol_steps

    def _has_latents(self) -> bool:
        return self.model.prior is not None

    def _keep(self, **columns: Tensor) -> None:
        for name, values in columns.items():
            self._columns.setdefault(name, []).append(values.detach().cpu())

    def _summary(self) -> Evaluation:
        columns = {name: torch.cat(parts).double().numpy() for name, parts in self._columns.items()}
        for name, label in self._labels().items():
            if name in columns:
                refuse_non_finite(label, columns[name])
        total = columns["tokens"].sum()
        scores = {}
        for name, label in self._labels().items():
            if name in columns:
                suffix = "_rest" if name.endswith("predictive") else ""
                nonempty = columns["tokens" + suffix] > 0
                nats, tokens, bytes_ = (columns[key][nonempty] for key in (name, "tokens" + suffix, "bytes" + suffix))
                scores[name] = Score(label, nats, tokens, bytes_, is_bound=name not in NO_BOUNDS)
        per_layer = columns.get("kl_per_layer", np.zeros((0, 0)))
        return Evaluation(
            scores=scores,
            kl_per_token=float(columns["kl"].sum() / total) if "kl" in columns else 0.0,
            kl_per_layer=[float(kl / total) for kl in per_layer.sum(0)],
            kl_closed_form=self._closed_form,
            effective_sample_size=float(columns["size"].mean()) if "size" in columns else float(self.draws),
            draws=self.draws,
            pareto_k=_known(np.median(columns["pareto_k"])) if "pareto_k" in columns else None,
            fit=self._fit(columns) if self._has_latents() else None,
            per_text={PER_TEXT.get(name, name): values for name, values in columns.items() if name != "gain"},
        )

    def _fit(self, columns: dict[str, np.ndarray]) -> FitCheck:
        fit = fit_of(self.guide, self.fast)
        return checked(fit, columns["gain"], columns["tokens"][: len(columns["gain"])]) if "gain" in columns else fit

    def _labels(self) -> dict[str, str]:
        sampler = getattr(self.model.prior, "approximate_sampler", "")
        sampled = f" ({sampler})" if sampler else ""
        return {
            "exact": "exact log-likelihood (no latents)",
            "elbo": "ELBO, q fitted on the text",
            "reconstruction": "log p(x|z), z from q, which has no density: NOT A BOUND",
            "importance_weighted": f"importance-weighted, {self.draws} draws from q",
            "prior": f"z from the prior{sampled}, nothing fitted",
            "diffusion": f"diffusion ELBO, {self.draws} draws of what is masked",
            "predictive": self._predictive(),
            "prior_predictive": f"{self.predicted_part}, z from the prior{sampled}, {self.draws} draws",
            "fixed_noise": f"released code's protocol, fixed noise, {self._protocol_steps} steps: NOT A BOUND",
        }

    @property
    def predicted_part(self) -> str:
        """The part of each text that the predictive scores are of, in the last evaluation."""
        return "answer" if self._prompted else "second half"

    def _predictive(self) -> str:
        given = "prompt" if self._prompted else "first"
        if self._has_latents():
            return f"predictive: {self.predicted_part}, q fitted on the {given}, {self.draws} draws"
        return f"{self.predicted_part}, after the {given}" + ("" if self.model.exact else ": diffusion ELBO")


def _known(number: float) -> float | None:
    return None if math.isnan(number) else float(number)
