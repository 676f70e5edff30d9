"""Pretrained parts in a run's configuration, named so that the run finds the same weights from any folder, or none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ltm_pyro.guides import PretrainedEncoder
from ltm_pyro.known_classes import known_class
from ltm_pyro.training.bases import parts_with_base
from ltm_pyro.training.decoder_arguments import decoder_class
from ltm_pyro.training.decoder_settings import decoder_path

if TYPE_CHECKING:
    from jsonargparse import Namespace

PLACE = ("name", "revision", "recompute")  # arguments that say where weights are found, and shape none


def pinned(config: Namespace) -> Namespace:
    """A copy of a configuration whose pretrained parts are named by an absolute path or a commit, and by their hash.

    Raises:
        InputError: if there is no such part here, or its weights have another hash than the configuration says.
    """
    config = config.clone()
    if (of_decoder := config.decoder.get("init_args")) is not None:
        cls = decoder_class(decoder_path(config.decoder))
        config.decoder["init_args"] = type(config)(**cls.pinned(vars(of_decoder)))
    for arguments in _encoders(config.guide):
        for name, value in PretrainedEncoder.pinned(arguments.as_dict()).items():
            arguments[name] = value
    return config


def without_places(config: Namespace) -> Namespace:
    """A copy of a configuration without the place of a part whose hash is known, so that it may be moved."""
    config = config.clone()
    for _, arguments in list(parts_with_base(config)):
        for name in PLACE:
            arguments.pop(name, None)
    return config


def _encoders(spec: Any) -> Iterator[Namespace]:
    """The arguments of every `PretrainedEncoder` in those of a class."""
    if not hasattr(spec, "clone"):  # a plain value
        return
    path, arguments = spec.get("class_path"), spec.get("init_args")
    if isinstance(path, str) and known_class(path, (PretrainedEncoder,)) is not None:
        yield arguments
    for inner in vars(arguments).values() if hasattr(arguments, "clone") else ():
        yield from _encoders(inner)
