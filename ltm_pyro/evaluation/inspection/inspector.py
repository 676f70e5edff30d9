"""Inspector of thoughts: fits q to every text and summarises the posteriors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.evaluation.finite import refuse_non_finite
from ltm_pyro.evaluation.fit_check import FitCheck, checked, fit_of, gain_of_longer
from ltm_pyro.evaluation.inspection.information import Information, active_units, mutual_information
from ltm_pyro.evaluation.inspection.neighbours import Neighbours, neighbours, plane
from ltm_pyro.evaluation.inspection.posteriors import Posteriors, check, gaussian_of
from ltm_pyro.evaluation.inspection.probe import progressive
from ltm_pyro.evaluation.score import Score
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel

COLLAPSED = 0.001  # nats per token of KL below which the posterior counts as collapsed


@dataclass(frozen=True)
class Inspection:
    """Results of an inspection of the thoughts of N texts.

    Attributes:
        kl: KL of every dimension, mean over texts, nats per text, (L, K, D).
        kl_per_token: total KL, nats per token.
        active: mask of active units (L, K, D), see `active_units`.
        information: bounds on the mutual information of text and thoughts.
        probe: scores with the thoughts of the first 0 to L layers from q.
        probe_bound: these scores plus the KL of these layers: bounds.
        places, shares: coordinates of the map of posterior means, (N, 2), and the share of variance of its axes.
        neighbours: nearest texts; None for fewer than three texts.
        ids: ids of the texts, in order.
        fit: settings of the fit of q, and a check of its convergence.
    """

    kl: Tensor
    kl_per_token: float
    active: Tensor
    information: Information
    probe: list[Score]
    probe_bound: list[Score]
    places: Tensor
    shares: list[float]
    neighbours: Neighbours | None
    ids: list[int]
    fit: FitCheck | None = None

    @property
    def collapsed(self) -> bool:
        """True if the decoder ignores its thoughts: no dimension is active, or q stays at the prior."""
        return not self.active.any() or self.kl_per_token < COLLAPSED

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "sequences": len(self.ids),
            "collapsed": self.collapsed,
            "kl_per_token": self.kl_per_token,
            "kl_nats_per_sequence": self.kl.tolist(),
            "active_units": int(self.active.sum()),
            "units": self.active.numel(),
            "active_per_thought": self.active.sum(-1).tolist(),
            "mutual_information": self.information._asdict(),
            "probe": [score.to_dict() for score in self.probe],
            "probe_bound": [score.to_dict() for score in self.probe_bound],
            "map": {"places": self.places.tolist(), "variance_shares": self.shares, "ids": self.ids},
            "neighbours": self.neighbours and self.neighbours._asdict(),
            "fit": self.fit and self.fit.to_dict(),
        }


@dataclass
class Inspector:
    """Inspector of a model, batch by batch, with fresh noise; after an interrupt, `summary` covers the batches so far.

    Args:
        model, guide: the guide is reinitialised for every batch.
        fast: the fast loop that fits the guide.
        draws: S, samples of z per text.
        seed: seed of all noise; the global random state is left as it was.
        check_fit: number of leading texts that are also fitted for longer, to check the convergence of q.

    Raises:
        InputError: if the posterior or the prior is not a diagonal Gaussian, or there are no thoughts.
    """

    model: AbstractModel
    guide: Any
    fast: FastLoop
    draws: int = 4
    seed: int = 0
    check_fit: int = 16
    _columns: dict[str, list[Tensor]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        with evaluation_mode(self.model, self.guide, self.seed):
            check(self.model, self.guide)

    @property
    def done(self) -> int:
        """Number of inspected texts."""
        return sum(len(part) for part in self._columns.get("ids", []))

    def look(self, batches: Iterable[Batch], listener: Callable[[int], None] = lambda done: None) -> None:
        """Fit q to all batches, on the model's device; the listener is called with the number of inspected texts."""
        self._columns = {}
        with evaluation_mode(self.model, self.guide, self.seed):
            for batch in batches:
                self._look(batch)
                listener(self.done)

    def _look(self, batch: Batch) -> None:
        self.fast.fit(self.model, self.guide, **batch.inputs)
        with torch.no_grad():
            mu, sigma = gaussian_of(self.guide.posterior(), "posterior")
        nats = progressive(self.model, self.guide, self.draws, **batch.inputs).T  # (B, L + 1)
        for name, column in {"the posterior's mean": mu, "the posterior's sigma": sigma, "log p(x|z)": nats}.items():
            refuse_non_finite(name, column.detach().cpu())
        columns = {
            "mu": mu,
            "sigma": sigma,
            "nats": nats,
            "tokens": batch.tokens,
            "bytes": batch.bytes,
            "ids": batch.ids,
        }
        tokens = batch.x if batch.mask is None else batch.x.masked_fill(~batch.mask, -1)
        columns["counts"] = torch.stack([_counts(row, self.model.decoder.vocabulary) for row in tokens])
        for name, value in columns.items():
            self._columns.setdefault(name, []).append(value.detach().cpu())
        self._keep_gain(batch)

    def _keep_gain(self, batch: Batch) -> None:
        """Keep the gain of a longer fit, for the texts still to be checked."""
        rows = self.check_fit - sum(len(part) for part in self._columns.get("gain", []))
        if rows > 0 and self.guide.local_parameters():
            few: dict[str, Any] = {name: part if part is None else part[:rows] for name, part in batch.inputs.items()}
            gain = gain_of_longer(self.model, self.guide, self.fast, self.draws, **few)
            self._columns.setdefault("gain", []).append(torch.from_numpy(gain))

    def _fit(self, columns: dict[str, Tensor]) -> FitCheck:
        fit = fit_of(self.guide, self.fast)
        if "gain" not in columns:
            return fit
        gain = columns["gain"].numpy()
        return checked(fit, gain, columns["tokens"][: len(gain)].double().numpy())

    def summary(self, documents: Callable[[int], str] = str) -> Inspection:
        """Results for all batches so far.

        Args:
            documents: function from the id of a sequence to its document.

        Raises:
            InputError: if no text was inspected.
        """
        if not self.done:
            raise InputError("no text was inspected")
        columns = {name: torch.cat(parts) for name, parts in self._columns.items()}
        with torch.no_grad():
            prior = gaussian_of(self.model.prior(), "prior")  # type: ignore[misc]
        posteriors = Posteriors(columns["mu"], columns["sigma"], *(p.expand(columns["mu"].shape[1:]) for p in prior))
        ids, kl, means = columns["ids"].tolist(), posteriors.kl(), posteriors.standard_means()
        refuse_non_finite("the KL of q and the prior", kl)
        near = neighbours(means, columns["counts"].double(), [documents(i) for i in ids]) if len(ids) > 2 else None
        noise = torch.Generator().manual_seed(self.seed)
        return Inspection(
            kl.mean(0),
            (kl.sum() / columns["tokens"].sum()).item(),
            active_units(posteriors),
            mutual_information(posteriors, self.draws, noise),
            *_probes(columns, kl.sum((2, 3))),
            *plane(means),
            near,
            ids,
            self._fit(columns),
        )


def _probes(columns: dict[str, Tensor], kl: Tensor) -> tuple[list[Score], list[Score]]:
    """Scores by the number of layers from q, without and with the KL of these layers, (N, L)."""
    cost = -columns["nats"].double()  # (N, L + 1)
    bound = cost + torch.cat([torch.zeros_like(kl[:, :1]), kl.cumsum(1)], 1)
    tokens, bytes_ = columns["tokens"].double().numpy(), columns["bytes"].double().numpy()
    return _scores(cost, tokens, bytes_, False), _scores(bound, tokens, bytes_, True)


def _scores(nats: Tensor, tokens: Any, bytes_: Any, is_bound: bool) -> list[Score]:
    return [
        Score(f"layers told: {count}", column.numpy(), tokens, bytes_, is_bound=is_bound or count == 0)
        for count, column in enumerate(nats.unbind(1))
    ]


def _counts(tokens: Tensor, vocabulary: int) -> Tensor:
    return torch.bincount(tokens[tokens >= 0], minlength=vocabulary)


def document_of(names: Sequence[str], place: int) -> str:
    """Document of a sequence; a sequence that starts N tokens into its document has a name that ends in `+N`."""
    head, plus, offset = names[place].rpartition("+")
    return head.strip() if plus and offset.isdigit() else names[place]
