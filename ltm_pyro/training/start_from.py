"""A run that begins with the weights of another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.training.build import RunComponents, build
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.decoder_settings import decoder_path, is_flat
from ltm_pyro.training.run import Run, run_parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

DECODER = "model.decoder."
SIZES = ("width", "layers", "heads", "inner")  # that its weights are of, or computed with


class Start(NamedTuple):
    """The weights that a run begins with, and the run that has learned them, at its last checkpoint."""

    run: Run
    step: int
    weights: dict[str, Tensor]

    @classmethod
    def of(cls, config: Namespace, trust_code: bool = False) -> Start | None:
        """The run that a configuration names as `train.start_from`; None if it names none. `trust_code` is as in
        `Run.open`.

        Raises:
            InputError: if that is no run, has no whole checkpoint, or had another tokenizer than is asked for.
        """
        if config.train.start_from is None:
            return None
        run = Run.open(config.train.start_from, trust_code)
        path = run.find("latest")
        start = cls(run, step_of(path), run.checkpoints.load_weights(path))
        start._refuse_other_tokenizer(config)
        return start

    def refuse_unfit(self, config: Namespace) -> None:
        """Build once what the configuration describes, with this run's vocabulary.

        Raises:
            InputError: if the weights of this run's decoder do not all have a place there.
        """
        tokenizer = self.run.tokenizer
        parameters = build(run_parser(config), config, tokenizer.vocabulary, tokenizer.bos_id).named_parameters()
        faults = _unlike(self.run.config.decoder, config.decoder)
        for name, weight in self.weights.items():
            if name.startswith(DECODER) and not _fits(name, weight, parameters):
                here = f"{tuple(parameters[name].shape)} here" if name in parameters else "has no place here"
                faults.append(f"{name.removeprefix(DECODER)} is {tuple(weight.shape)} there and {here}")
        if faults:
            more = f", and {len(faults) - 1} more like it" if len(faults) > 1 else ""
            raise InputError(
                f"--train.start_from {self.run.folder}: its decoder does not fit: {faults[0]}{more}. "
                f"{self._remedy(config)}"
            )

    @torch.no_grad()
    def hand_over(self, components: RunComponents) -> str:
        """Put the weights whose names and shapes agree in their places; returns one line that says which they are."""
        parameters = components.named_parameters()
        taken = [name for name, weight in self.weights.items() if _fits(name, weight, parameters)]
        for name in taken:
            parameters[name].copy_(self.weights[name])
        fresh = {name: parameter for name, parameter in parameters.items() if name not in taken}
        anew = f"{_count(fresh.values())} start anew: {', '.join(_parts(fresh))}" if fresh else "nothing starts anew"
        count = _count(parameters[name] for name in taken)
        return f"Beginning with {self.run.folder} after step {self.step}: {count} parameters taken, {anew}"

    def _refuse_other_tokenizer(self, config: Namespace) -> None:
        from ltm_pyro.data import Tokenizer

        asked = config.data.tokenizer
        if asked is None or Tokenizer.load(asked).backend.to_str() != self.run.tokenizer.backend.to_str():
            raise InputError(
                f"--train.start_from {self.run.folder}: its weights belong to its own tokenizer, and "
                f"{'one is to be trained here' if asked is None else f'{asked} is another'}: "
                f"leave --data.tokenizer out, or give --data.tokenizer {self.run.folder}"
            )

    def _remedy(self, config: Namespace) -> str:
        theirs = self.run.config
        if config.model != theirs.model and config.model != "latent-thought":
            return f"It attends to thoughts: leave out --model {config.model}, or start from a run of that model"
        if not (is_flat(theirs.decoder) and is_flat(config.decoder)):
            return f"Give its own decoder, {decoder_path(theirs.decoder)}, with its own sizes"
        unlike = [name for name in SIZES if theirs.decoder[name] != config.decoder[name]]
        values = {name: "null" if theirs.decoder[name] is None else theirs.decoder[name] for name in unlike}
        words = " ".join(f"--decoder.{name} {value}" for name, value in values.items())
        return f"Give its own sizes, {words}" if words else "Start from another run"


def with_tokenizer_of_start(config: Namespace) -> Namespace:
    """The same configuration, with the tokenizer of the run that it starts from, unless another is named."""
    if config.train.start_from is not None and config.data.tokenizer is None:
        config.data.tokenizer = config.train.start_from
    return config


def _unlike(theirs: Namespace, ours: Namespace) -> list[str]:
    """A difference that the shapes of weights do not show: decoders of other classes, or other heads."""
    there, here = decoder_path(theirs), decoder_path(ours)
    if there != here:
        return [f"it is a {there} there and a {here} here"]
    if not is_flat(ours) or theirs.heads == ours.heads:
        return []
    return [f"heads is {theirs.heads} there and {ours.heads} here"]


def _fits(name: str, weight: Tensor, parameters: Mapping[str, Tensor]) -> bool:
    return name in parameters and parameters[name].shape == weight.shape


def _count(parameters: Iterable[Tensor]) -> str:
    return f"{sum(parameter.numel() for parameter in parameters):,}"


def _parts(names: Iterable[str]) -> list[str]:
    """Modules that parameters are of, those of all layers as one."""
    short = (re.sub(r"\.\d+\.(\w+).*", r".*.\1", name.removeprefix("model.")) for name in names)
    return list(dict.fromkeys(name.removesuffix(".weight") for name in short))
