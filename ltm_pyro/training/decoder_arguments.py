"""The arguments of a run's decoder: those of `Decoder` by name, or another class with its own.

Settings of our own decoder are flat, `decoder: {width: 96}`, in files and in Python, as they have always been; any
other one is named as priors and guides are, `decoder: {class_path: my_code.MyDecoder, init_args: {size: 4}}`. So
`decoder.width` remains a path into settings, old runs open, and fingerprints stay. A parser has the arguments of one
class of decoders: its help, its defaults and its messages are then about these alone.
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

FROM_RUN = ("vocabulary", "length", "bos_id")  # arguments that a run has from its tokenizer and its data
OPTION = "--decoder"
FILES = (".yaml", ".yml", ".json")  # of arguments, which a file of arguments does not name
HELP = "another class, by name or import path; its own arguments follow as --decoder.NAME. Or a file of ours"
BASE = "z_shape, vocabulary, length, begin"


def normal_form(decoder: Any) -> Any:
    """A decoder's settings as files hold them: flat for `Decoder`, under its import path for another class."""
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
        InputError: if it is no class of a decoder, or an abstract one.
        ImportError, AttributeError: if there is none.
    """
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name) if module else None
    if not isinstance(found, type) or not issubclass(found, AbstractDecoder):
        raise InputError(no_such_class("decoder", path, AbstractDecoder))
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise InputError(
            f"--decoder {name}: this is an abstract class, without {missing}; give one that derives from it"
        )
    return found


def add_decoder_arguments(parser: ArgumentParser, cls: type[AbstractDecoder] = Decoder) -> None:
    """Give a parser the arguments of one class of decoders, whose path is among its values unless it is `Decoder`."""
    if cls is Decoder:
        parser.add_class_arguments(Decoder, "decoder", skip=set(FROM_RUN), instantiate=False)
        parser._option_string_actions[OPTION].help = HELP
        return
    taken = set(FROM_RUN) & set(inspect.signature(cls).parameters)
    parser.add_argument("--decoder.class_path", type=str, default=public_path(cls), help="see --decoder")
    parser.add_class_arguments(cls, "decoder.init_args", False, skip=taken, instantiate=False, fail_untyped=False)
    for action in parser._actions:  # words name an argument without the place where files hold it
        if action.dest.startswith("decoder.init_args."):
            action.option_strings = [option.replace(".init_args.", ".") for option in action.option_strings]
            parser._option_string_actions.update(dict.fromkeys(action.option_strings, action))


def make_decoder(decoder: Namespace, vocabulary: int, length: int, bos_id: int, thoughtless: bool) -> AbstractDecoder:
    """The decoder that a configuration describes.

    Args:
        decoder: its part of the configuration.
        vocabulary, length, begin: of the run.
        thoughtless: whether it is to have no thoughts, whatever the configuration says of their number.

    Raises:
        InputError: if it cannot be made, or not without thoughts.
    """
    if is_flat(decoder):
        sizes = {**vars(decoder), **({"thoughts": 0} if thoughtless else {})}
        return Decoder(vocabulary, length=length, bos_id=bos_id, **sizes)
    cls, given = decoder_class(decoder_path(decoder)), dict(vars(decoder.get("init_args") or type(decoder)()))
    if thoughtless and "thoughts" not in inspect.signature(cls).parameters:
        raise InputError(
            f"--decoder {cls.__name__} takes no argument `thoughts`, so that it cannot be made without thoughts: leave "
            "out --model, or take another decoder"
        )
    sizes = {**given, **({"thoughts": 0} if thoughtless else {})}
    of_run = {"vocabulary": vocabulary, "length": length, "bos_id": bos_id}
    made_one: AbstractDecoder = made("--decoder", cls, base=BASE, **of_run, **sizes)
    return made_one


def _known(path: str) -> type | None:
    """The class of ltm_pyro, or one that is imported already, that a path or a short name leads to; else None."""
    if "." in path:
        return known_class(path, (AbstractDecoder,))
    return next(iter(classes_named(path, (AbstractDecoder,))), None)
