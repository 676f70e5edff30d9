"""The arguments of a run's decoder: those of `Decoder` by name, or another class with its own arguments.

Settings of `Decoder` are flat, `decoder: {width: 96}`, in files and in Python; any other class is given as for priors
and guides, `decoder: {class_path: my_code.MyDecoder, init_args: {size: 4}}`. So `decoder.width` remains a path into
settings, old runs can be opened, and fingerprints are unchanged. A parser has the arguments of a single class of
decoder, so that its help, defaults and messages concern that class alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.known_classes import classes_named, known_class, public_path
from ltm_pyro.models import AbstractDecoder, Decoder
from ltm_pyro.training.decoder_settings import OWN, decoder_path, is_flat
from ltm_pyro.training.own_classes import made
from ltm_pyro.training.parse_errors import no_such_class

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

FROM_RUN = ("vocabulary", "length", "bos_id")  # arguments determined by a run's tokenizer and data
OPTION = "--decoder"
FILES = (".yaml", ".yml", ".json")  # suffixes of files of arguments, which are no names of classes
HELP = "another class, by name or import path, with its arguments as --decoder.NAME; or a file of Decoder's arguments"
BASE = "z_shape, vocabulary, length, bos_id"


def normal_form(decoder: Any) -> Any:
    """A decoder's settings in the form of files: flat for `Decoder`, with class path for another class."""
    named = isinstance(decoder, str) and not decoder.endswith(FILES)
    if not named and not (isinstance(decoder, Mapping) and "class_path" in decoder):
        return decoder
    spec: dict[str, Any] = {"class_path": decoder} if isinstance(decoder, str) else dict(decoder)
    known = _known(spec["class_path"]) if isinstance(spec["class_path"], str) else None
    if known is not None:
        spec["class_path"] = public_path(known)
    if spec["class_path"] != OWN or set(spec) - {"class_path", "init_args"}:
        return spec
    return dict(spec.get("init_args") or {})


def decoder_class(path: str) -> type[AbstractDecoder]:
    """The class of an import path, imported.

    Raises:
        InputError: if it is no class of decoders, or an abstract one.
        ImportError, AttributeError: if the path does not exist.
    """
    module, _, name = path.rpartition(".")
    cls = getattr(import_module(module), name) if module else None
    if not isinstance(cls, type) or not issubclass(cls, AbstractDecoder):
        raise InputError(no_such_class("decoder", path, AbstractDecoder))
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise InputError(
            f"--decoder {name}: this is an abstract class, without {missing}; give one that derives from it"
        )
    return cls


def add_decoder_arguments(parser: ArgumentParser, cls: type[AbstractDecoder] = Decoder) -> None:
    """Add the arguments of one class of decoder to a parser, and its class path unless it is `Decoder`."""
    if cls is Decoder:
        parser.add_class_arguments(Decoder, "decoder", skip=set(FROM_RUN), instantiate=False)
        parser._option_string_actions[OPTION].help = HELP
        return
    skipped = set(FROM_RUN) & set(inspect.signature(cls).parameters)
    parser.add_argument("--decoder.class_path", type=str, default=public_path(cls), help="see --decoder")
    parser.add_class_arguments(cls, "decoder.init_args", False, skip=skipped, instantiate=False, fail_untyped=False)
    for action in parser._actions:  # on the command line, names have no `init_args`
        if action.dest.startswith("decoder.init_args."):
            action.option_strings = [option.replace(".init_args.", ".") for option in action.option_strings]
            parser._option_string_actions.update(dict.fromkeys(action.option_strings, action))


def make_decoder(decoder: Namespace, vocabulary: int, length: int, bos_id: int, thoughtless: bool) -> AbstractDecoder:
    """The decoder that a configuration describes.

    Args:
        decoder: its part of the configuration.
        vocabulary, length, bos_id: of the run.
        thoughtless: make it without thoughts, whatever number the configuration has.

    Raises:
        InputError: if the decoder cannot be made, or cannot be made without thoughts.
    """
    if is_flat(decoder):
        sizes = {**vars(decoder), **({"thoughts": 0} if thoughtless else {})}
        return Decoder(vocabulary, length=length, bos_id=bos_id, **sizes)
    cls, arguments = decoder_class(decoder_path(decoder)), dict(vars(decoder.get("init_args") or type(decoder)()))
    if thoughtless and "thoughts" not in inspect.signature(cls).parameters:
        raise InputError(
            f"--decoder {cls.__name__} has no argument `thoughts`, so that it cannot be made without thoughts: leave "
            "out --model, or give another decoder"
        )
    sizes = {**arguments, **({"thoughts": 0} if thoughtless else {})}
    of_run = {"vocabulary": vocabulary, "length": length, "bos_id": bos_id}
    instance: AbstractDecoder = made("--decoder", cls, base=BASE, **of_run, **sizes)
    return instance


def _known(path: str) -> type | None:
    """The class of a path or a short name, if it is one of ltm_pyro or already imported; else None."""
    if "." in path:
        return known_class(path, (AbstractDecoder,))
    return next(iter(classes_named(path, (AbstractDecoder,))), None)
