"""Configuration of a run, from the words of a command line and the files that they name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import add_device, parse
from ltm_pyro.cli.class_arguments import (
    files_as_text,
    named_classes,
    names_own_code,
    without_nulls,
    without_overruled_shares,
)
from ltm_pyro.cli.decoder_argv import USUAL, Choice, chosen_decoder, named_recipe
from ltm_pyro.errors import InputError
from ltm_pyro.runs.arguments import TRUST
from ltm_pyro.runs.config import Settings, as_dict, merged, recipe, recipes, refuse_other_classes, value_of, without
from ltm_pyro.runs.loading import say_once
from ltm_pyro.training.consent import consented, look_in
from ltm_pyro.training.decoder_arguments import decoder_class
from ltm_pyro.training.decoder_settings import decoder_path
from ltm_pyro.training.decoder_tokenizer import with_tokenizer_of_decoder
from ltm_pyro.training.missing_values import missing_value
from ltm_pyro.training.run import new_run_parser
from ltm_pyro.training.start_from import with_tokenizer_of_start

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


HERE_ONLY = ("device", "run", "resume", "corpus_at", "recipe", "config", "trust_code")


def configured(argv: Sequence[str], defaults: Mapping[str, Any] | None = None) -> tuple[Namespace, dict[str, Any]]:
    """The configuration of a run, and the arguments that are not part of it, such as the folder and the recipe.

    Args:
        argv: of a command line.
        defaults: settings that the recipe overrides.

    Raises:
        InputError: for words that cannot be parsed, or values that are refused.
    """
    custom, trusted = names_own_code(argv), "--trust_code" in argv
    if custom or trusted:
        look_in(os.getcwd())
    decoder = chosen_decoder(argv, trusted)
    parser = _parser(argv, decoder)
    parser.set_defaults(_by_argument(defaults or {}))

    def check_file(content: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
        arguments = consented(parser, content, path, trusted)
        say_once(arguments.remark)
        return decoder.of_file(arguments.values)

    words = without_nulls(files_as_text(_files_first(argv), check_file))
    config = parse(parser, decoder.argv(words))
    if missing := missing_value(config):
        raise InputError(f"--{missing} null: expected a value; leave the argument out for its default")
    config = with_tokenizer_of_decoder(with_tokenizer_of_start(config))
    start_only = {name: config.pop(name, None) for name in HERE_ONLY}
    if custom:
        refuse_other_classes(config)
    return config, start_only


def settings_of(argv: Sequence[str], defaults: Mapping[str, Any] | None = None) -> Settings:
    """The configuration of `configured` as a nested dict."""
    return as_dict(configured(argv, defaults)[0])


def named_settings(argv: Sequence[str], settings: Settings) -> Settings:
    """The settings that the words name; for an argument of a class, the class with all its arguments.

    Args:
        argv: of a command line.
        settings: all settings that the words result in.
    """
    named: Settings = {}
    for word in argv:
        path = word.split("=")[0].removeprefix("--") if word.startswith("--") else ""
        while path and value_of(settings, path) is None:
            path = path.rpartition(".")[0]  # an argument of a class is in its init_args
        if path:
            named = merged(named, {path: value_of(settings, path)})
    return named


def _files_first(argv: Sequence[str]) -> list[str]:
    """The words with `--config FILE` before all others, which override it."""
    files: list[str] = []
    others: list[str] = []
    for word in argv:
        of_file = word.startswith("--config=") or word == "--config" or files[-1:] == ["--config"]
        (files if of_file else others).append(word)
    return files + others


def _parser(argv: Sequence[str], decoder: Choice = USUAL) -> ArgumentParser:
    parser = new_run_parser(decoder.cls)
    parser.usage = (
        "ltm train [CORPUS] [--recipe NAME] [--run FOLDER] [ARGUMENT ...]\n"
        "       ltm train --resume RUN [--corpus_at PLACE] [--train.steps N]"
    )
    parser.description = "`ltm train`: train a run on a corpus; prints its table of scores and two samples."
    parser.add_argument("--recipe", default="tiny", help=f"defaults to start from: {', '.join(recipes())}")
    parser.add_argument(
        "--config", action="config", help="a run's config.yaml, or any part of one; other arguments override it"
    )
    parser.add_argument("--run", help="the run's folder; runs/CORPUS-RECIPE-TIME if left out")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="continue an interrupted run, or from one of its checkpoints; only --corpus_at, a larger --train.steps, "
        "--train.schedule_steps and --train.patience may be given with it",
    )
    parser.add_argument(
        "--corpus_at", metavar="PLACE", help="with --resume: the place of the run's corpus now, if it has been moved"
    )
    trust = TRUST.replace("runs name", "files of --config and the run of --train.start_from name")
    parser.add_argument("--trust_code", action="store_true", help=trust)
    add_device(parser)
    parser.set_defaults(_recipe_values(argv, decoder) | dict.fromkeys(named_classes(argv)))
    return parser


def _recipe_values(argv: Sequence[str], decoder: Choice) -> dict[str, Any]:
    """The recipe's values by argument, which all other arguments override."""
    values = without_overruled_shares(recipe(named_recipe(argv)), argv)
    applies = not decoder.named and decoder_class(decoder_path(values.get("decoder"))) is decoder.cls
    return _by_argument(values if applies else without(values, "decoder"))


def _by_argument(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by argument: those of a group have dotted names, a class is one value, but for that of the decoder."""
    values: dict[str, Any] = {}
    for name, of in settings.items():
        if not isinstance(of, dict):
            values[name] = of
        elif "class_path" not in of:
            values |= {f"{name}.{key}": value for key, value in of.items()}
        elif name == "decoder":  # whose class is the parser's own
            values |= {f"{name}.init_args.{key}": value for key, value in of.get("init_args", {}).items()}
        else:
            values[name] = of
    return values
