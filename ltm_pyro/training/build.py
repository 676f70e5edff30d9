"""Construction of a run's components, with arguments derived from the signatures of their classes."""

from __future__ import annotations

import hashlib
from argparse import SUPPRESS
from collections.abc import Callable
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_bytes
from ltm_pyro.guides import AbstractGuide, EmptyGuide
from ltm_pyro.inference import FastLoop, SlowStep, differentiable_step
from ltm_pyro.models import (
    AbstractDecoder,
    AbstractPrior,
    AbstractReward,
    AbstractTransport,
    AutoregressiveModel,
    Decoder,
    LatentThoughtModel,
    MaskedDiffusionModel,
)
from ltm_pyro.models.masked_sequence import Loss
from ltm_pyro.ranges import refuse_outside, whole
from ltm_pyro.training.components import RunComponents
from ltm_pyro.training.decoder_arguments import add_decoder_arguments, make_decoder
from ltm_pyro.training.dry_run import dry_run
from ltm_pyro.training.labels import LABEL
from ltm_pyro.training.memory import (
    refuse_batch_beyond_memory,
    refuse_transport_beyond_memory,
    refuse_weights_beyond_memory,
)
from ltm_pyro.training.own_classes import made
from ltm_pyro.training.parse_errors import refusal_within
from ltm_pyro.training.pinning import without_places
from ltm_pyro.training.settings import DataSettings, TrainSettings
from ltm_pyro.training.stand_in_tokenizer import StandInTokenizer

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.data import Tokenizer

RECIPES = Path(__file__).parent.parent / "recipes"
TOKENIZER_BYTES = 2**27
ZShape = tuple[int, int, int]


def add_arguments(parser: ArgumentParser, decoder: type[AbstractDecoder] = Decoder) -> None:
    """Add every argument of a run to a parser: `corpus`, and one group for each class that a run consists of.

    Args:
        decoder: the class of the decoder.
    """
    parser.add_argument(
        "corpus",
        nargs="?",
        default=SUPPRESS,  # any other default would override the corpus of --config
        help="text files, folders or hf:NAME[:CONFIG]; several are joined by commas. The built-in `sotu` if left out",
    )
    parser.add_argument(
        "--model",
        type=Literal["latent-thought", "autoregressive", "masked-diffusion"],
        default="latent-thought",
        help="autoregressive: the same decoder without thoughts, the reference in every table; masked-diffusion: its "
        "blocks without thoughts and window, which predict masked tokens",
    )
    parser.add_argument(
        "--diffusion.loss",
        type=Loss,
        default="masked",
        help="the loss of masked diffusion: `masked`, as in MDLM, or SEDD's score entropy",
    )
    parser.add_argument(
        "--diffusion.window",
        type=int | None,
        default=None,
        help="of masked diffusion: a token attends to tokens nearer than this on either side; to all if left out",
    )
    parser.add_argument(
        "--compile",
        nargs="?",
        const="default",
        default=None,
        help="train with torch.compile, in this mode of it if one is given: reduce-overhead records CUDA graphs. "
        "Compiling takes a minute or two at the start",
    )
    parser.add_class_arguments(DataSettings, "data")
    add_decoder_arguments(parser, decoder)
    parser.add_argument(
        "--prior",
        type=Callable[[ZShape], AbstractPrior],
        default={"class_path": "ltm_pyro.GaussianPrior"},
        help="a class, by name or import path; its own arguments follow as --prior.NAME",
    )
    parser.add_argument(
        "--thought_width",
        type=int,
        default=None,
        help="width of a thought vector; the decoder's if left out, else one learned matrix maps it to that",
    )
    parser.add_argument(
        "--transport",
        type=Callable[[ZShape, ZShape], AbstractTransport],
        default=None,
        help="a class of maps from z to the thoughts that the decoder reads, by name or import path; its own arguments "
        "follow as --transport.NAME. None if left out, or null",
    )
    parser.add_argument(
        "--guide",
        type=Callable[[ZShape], AbstractGuide],
        default={"class_path": "ltm_pyro.MeanFieldGuide"},
        help="a class, by name or import path; its own arguments follow as --guide.NAME",
    )
    parser.add_argument(
        "--reward",
        type=Callable[[ZShape], AbstractReward],
        default=None,
        help="a class that learns the labels of --data.label from z, p(r|z), by name or import path; its own arguments "
        "follow as --reward.NAME. No labels if left out",
    )
    parser.add_class_arguments(FastLoop, "fast")
    parser.add_class_arguments(SlowStep, "slow", skip={"steps"})
    parser.add_class_arguments(TrainSettings, "train")
    elbo = {"class_path": "ltm_pyro.ELBO"}
    parser.set_defaults({"fast.bound": elbo, "slow.bound": elbo})
    for action in parser._actions:  # a required argument of the classes, but not of a command line
        action.required = action.required and action.dest not in ("fast.bound", "slow.bound")


def build(parser: ArgumentParser, config: Namespace, tokenizer: Tokenizer | StandInTokenizer) -> RunComponents:
    """Build the objects that a parsed configuration describes.

    Args:
        parser: one with the arguments of `add_arguments`.
        config: the parsed configuration.
        tokenizer: of the run.
    """
    refuse_outside({"thought_width": config.thought_width}, {"thought_width": whole(1)})
    vocabulary, bos_id = tokenizer.vocabulary, tokenizer.bos_id
    refuse_weights_beyond_memory(config, vocabulary)
    built = _instantiate(parser, config)
    thoughtless = config.model != "latent-thought"
    if thoughtless and config.reward is not None:
        raise InputError(f"--reward reads thoughts, which --model {config.model} has none of: leave it out")
    decoder = make_decoder(built.decoder, vocabulary, config.data.length, bos_id, thoughtless=thoughtless)
    built.slow.steps = config.train.schedule_steps or config.train.steps
    if config.model == "autoregressive":
        return RunComponents(AutoregressiveModel(decoder), EmptyGuide(decoder.z_shape), built.fast, built.slow)
    if config.model == "masked-diffusion":
        if not isinstance(decoder, Decoder):
            name = type(decoder).__name__
            raise InputError(f"--model masked-diffusion uses the blocks of a Decoder: leave out --decoder {name}")
        diffusion = MaskedDiffusionModel(decoder, config.diffusion.loss, config.diffusion.window)
        return RunComponents(diffusion, EmptyGuide(decoder.z_shape), built.fast, built.slow)
    if not decoder.z_shape[1]:
        raise InputError("decoder.thoughts=0 leaves no thoughts: give 1 or more, or --model autoregressive")
    layers, thoughts, width = decoder.z_shape
    prior = made("--prior", built.prior, (layers, thoughts, config.thought_width or width))
    transport = _transport(config, built.transport, prior, decoder.z_shape)
    guide = made("--guide", built.guide, prior.z_shape)
    guide.attach_tokenizer(tokenizer)
    guide.prepare(vocabulary)
    if prior.discrete != guide.discrete:
        kind = "one-hot" if prior.discrete else "continuous"
        fitting = "CategoricalGuide, StraightThroughGuide or GumbelSoftmaxGuide" if prior.discrete else "MeanFieldGuide"
        raise InputError(
            f"{type(prior).__name__} has {kind} thoughts, which {type(guide).__name__} does not draw: "
            f"give --guide {fitting}"
        )
    reward = None if built.reward is None else made("--reward", built.reward, prior.z_shape)
    if reward is not None:
        reward.prepare(vocabulary)
    return RunComponents(LatentThoughtModel(prior, decoder, transport, reward), guide, built.fast, built.slow)


def _transport(config: Namespace, make: Any, prior: AbstractPrior, thought_shape: ZShape) -> AbstractTransport | None:
    """The transport from the prior's values, or from the codebook's vectors, to the decoder's thoughts; None for none.

    Args:
        config: of the run.
        make: a function of the two shapes that makes the transport; None for none.
        prior: of the run.
        thought_shape: the decoder's.

    Raises:
        InputError: if it cannot be made.
    """
    if make is None:
        return None
    source = thought_shape if prior.discrete else prior.z_shape
    refuse_transport_beyond_memory(config.transport, source, thought_shape)
    transport: AbstractTransport = made("--transport", make, source, thought_shape, base="z_shape, thought_shape")
    return transport


def _instantiate(parser: ArgumentParser, config: Namespace) -> Namespace:
    try:
        return parser.instantiate(config)
    except InputError:
        raise
    except ValueError as error:
        if refusal := refusal_within(error):
            raise InputError(refusal) from error
        raise


def validate(parser: ArgumentParser, config: Namespace) -> RunComponents:
    """Build the components once with a stand-in for the tokenizer, so that errors show before any work is done.

    Args:
        parser, config: as for `build`.

    Returns:
        The components, with a vocabulary of two.

    Raises:
        InputError: if objects or optimizers cannot be made, or do not fit together.
    """
    refuse_weights_beyond_memory(config, config.data.vocabulary)
    refuse_batch_beyond_memory(config)
    for name in ("prior", "guide", *(name for name in ("transport", "reward") if config[name] is not None)):
        _refuse_abstract(f"--{name}", config[f"{name}.class_path"])
    refuse_label_alone(config)
    components = build(parser, config, StandInTokenizer())
    if next(components.global_parameters(), None) is None:
        raise InputError(
            f"nothing learns in this run: --decoder {type(components.model.decoder).__name__} is frozen, and has no "
            "thoughts. Give it learned positions by --decoder.constant 1 or more, or --decoder.learns lora or all"
        )
    try:
        components.svi()
        fast_optimizer = components.fast.optimizer(
            [torch.zeros(1, requires_grad=True)], lr=components.fast.learning_rate
        )
    except (TypeError, ValueError) as error:
        raise InputError(
            f"an optimizer cannot be made: {error}. That of --slow takes parameter groups, lr and betas, as AdamW "
            "does; that of --fast takes parameters and lr"
        ) from error
    if components.guide.needs_unrolled:
        differentiable_step(fast_optimizer)
    dry_run(components, config.data.length)
    return components


def refuse_label_alone(config: Namespace) -> None:
    """Raise InputError if labels are read that nothing learns, or learned that are not read."""
    label = config.data.label
    if config.reward is not None and not label:
        raise InputError(f"--reward learns labels, and none are read. {LABEL}, or leave --reward out")
    if label and config.reward is None:
        raise InputError(
            f"--data.label {label}: nothing learns these labels. Give --reward CategoricalReward, or GaussianReward "
            "for numbers, or leave --data.label out"
        )


def _refuse_abstract(argument: str, class_path: str) -> None:
    module, name = class_path.rsplit(".", 1)
    if isabstract(getattr(import_module(module), name, None)):
        raise InputError(f"{argument} {name}: this is an abstract class; give one that derives from it")


def fingerprint(config: Namespace, tokenizer_file: Path) -> str:
    """Hash of everything that determines the weights of a run: its classes, sizes and tokenizer."""
    config = without_places(config)
    for name in ("recompute", "initial_scale"):  # these shape no weight
        config.decoder.pop(name, None)
    if config.decoder.get("inner") is None:  # an earlier version had no such argument
        config.decoder.pop("inner", None)
    names = ("model", "decoder", "prior", "transport", "thought_width", "guide", "reward", "data.length")
    shaping = {name: repr(_whole(config.get(name))) for name in names if config.get(name) is not None}
    content = repr(shaping).encode() + read_bytes(tokenizer_file, TOKENIZER_BYTES)
    return hashlib.sha256(content).hexdigest()[:16]


def _whole(value: Any) -> Any:
    """A class in one form, with empty `init_args` if it has none, so that both forms have one fingerprint."""
    if hasattr(value, "clone") and "class_path" in value and "init_args" not in value:
        value = value.clone()
        value["init_args"] = type(value)()
    return value
