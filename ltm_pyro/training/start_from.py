"""Initialisation of a run with the weights of another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.training.bases import parts_with_base
from ltm_pyro.training.build import RunComponents, build
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.decoder_settings import decoder_path, is_flat
from ltm_pyro.training.pinning import pinned
from ltm_pyro.training.run import Run, run_parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

DECODER = "model.decoder."
SIZES = ("width", "layers", "heads", "inner")  # sizes that shape a decoder's weights or enter its computation


class Start(NamedTuple):
    """The weights that a run begins with: those of another run's last checkpoint."""

    run: Run
    step: int
    weights: dict[str, Tensor]

    @classmethod
    def of(cls, config: Namespace, trust_code: bool = False) -> Start | None:
        """The weights of the run named by `train.start_from`; None if none is named. `trust_code` is as in `Run.open`.

        Raises:
            InputError: if it is no run, has no complete checkpoint, or has another tokenizer than the configuration.
        """
        if config.train.start_from is None:
            return None
        run = Run.open(config.train.start_from, trust_code)
        path = run.find("latest")
        start = cls(run, step_of(path), run.checkpoints.load_weights(path))
        start._refuse_other_tokenizer(config)
        return start

    def refuse_unfit(self, config: Namespace) -> None:
        """Refuse a configuration whose decoder does not take all weights of this run's decoder.

        Raises:
            InputError: naming the first weight that does not fit.
        """
        tokenizer = self.run.tokenizer
        state = build(run_parser(config), config, tokenizer).state_dict()
        faults = _unlike(self.run.config.decoder, config.decoder) + _other_base(self.run.config, config)
        for name, weight in self.weights.items():
            if name.startswith(DECODER) and not _fits(name, weight, state):
                expected = f"{tuple(state[name].shape)} here" if name in state else "does not exist here"
                faults.append(f"{name.removeprefix(DECODER)} is {tuple(weight.shape)} there and {expected}")
        if faults:
            more = f", and {len(faults) - 1} more like it" if len(faults) > 1 else ""
            raise InputError(
                f"--train.start_from {self.run.folder}: its decoder does not fit: {faults[0]}{more}. "
                f"{self._remedy(config)}"
            )

    @torch.no_grad()
    def hand_over(self, components: RunComponents) -> str:
        """Copy the weights whose names and shapes agree into the components; returns a message about them."""
        parameters = components.named_parameters()
        copied = [name for name, weight in self.weights.items() if _fits(name, weight, parameters)]
        for name in copied:
            parameters[name].copy_(self.weights[name])
        fresh = {name: parameter for name, parameter in parameters.items() if name not in copied}
        anew = f"{_count(fresh.values())} start anew: {', '.join(_parts(fresh))}" if fresh else "none start anew"
        count = _count(parameters[name] for name in copied)
        return f"Beginning with {self.run.folder} after step {self.step}: {count} parameters taken, {anew}"

    def _refuse_other_tokenizer(self, config: Namespace) -> None:
        from ltm_pyro.data import Tokenizer

        tokenizer = config.data.tokenizer
        if tokenizer is None or Tokenizer.load(tokenizer).backend.to_str() != self.run.tokenizer.backend.to_str():
            raise InputError(
                f"--train.start_from {self.run.folder}: its weights belong to its own tokenizer, and "
                f"{'one is to be trained here' if tokenizer is None else f'{tokenizer} is another'}: "
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
    """Set the tokenizer of a configuration to that of the run it starts from, unless another is named."""
    if config.train.start_from is not None and config.data.tokenizer is None:
        config.data.tokenizer = config.train.start_from
    return config


def _unlike(theirs: Namespace, ours: Namespace) -> list[str]:
    """Differences that the shapes of weights do not show: another class of decoder, or another number of heads."""
    their_class, our_class = decoder_path(theirs), decoder_path(ours)
    if their_class != our_class:
        return [f"it is a {their_class} there and a {our_class} here"]
    if not is_flat(ours) or theirs.heads == ours.heads:
        return []
    return [f"heads is {theirs.heads} there and {ours.heads} here"]


def _other_base(theirs: Namespace, ours: Namespace) -> list[str]:
    """The difference between the pretrained models that two decoders stand on."""
    their_sums, our_sums = (
        {arguments["sha256"] for part, arguments in parts_with_base(config) if part == "decoder"}
        for config in (theirs, pinned(ours))
    )
    return [] if their_sums == our_sums else ["it stands on another pretrained model there"]


def _fits(name: str, weight: Tensor, state: Mapping[str, Tensor]) -> bool:
    return name in state and state[name].shape == weight.shape


def _count(parameters: Iterable[Tensor]) -> str:
    return f"{sum(parameter.numel() for parameter in parameters):,}"


def _parts(names: Iterable[str]) -> list[str]:
    """Modules of parameters, with equal modules of all layers listed once."""
    short = (re.sub(r"\.\d+\.(\w+).*", r".*.\1", name.removeprefix("model.")) for name in names)
    return list(dict.fromkeys(name.removesuffix(".weight") for name in short))
