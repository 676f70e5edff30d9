"""The tokenizer that a decoder of pretrained weights was trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.training.decoder_arguments import decoder_class
from ltm_pyro.training.decoder_settings import decoder_path, is_flat

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.data import Tokenizer


def with_tokenizer_of_decoder(config: Namespace) -> Namespace:
    """The configuration, changed in place, with the tokenizer of its decoder unless it names one."""
    if config.data.tokenizer is None and not is_flat(config.decoder):
        config.data.tokenizer = _tokenizer_of(config)
    return config


def refuse_other_tokenizer(config: Namespace, tokenizer: Tokenizer) -> None:
    """Refuse a tokenizer whose ids are not those that the decoder's weights were trained with.

    Raises:
        InputError: naming the first token that differs.
    """
    if is_flat(config.decoder) or (own := _tokenizer_of(config)) in (None, config.data.tokenizer):
        return
    from ltm_pyro.data import Tokenizer

    theirs, ours = tokenizer.backend.get_vocab(), Tokenizer.load(own).backend.get_vocab()
    if unlike := sorted(set(theirs.items()) - set(ours.items()), key=lambda entry: entry[1]):
        token, id = unlike[0]
        raise InputError(
            f"--data.tokenizer {config.data.tokenizer}: its token {token!r} has the id {id}, which is another one for "
            f"the decoder's pretrained weights. Leave it out, for the tokenizer of their training, {own}"
        )


def _tokenizer_of(config: Namespace) -> str | None:
    return decoder_class(decoder_path(config.decoder)).tokenizer_of(_arguments(config))


def _arguments(config: Namespace) -> dict[str, Any]:
    return dict(vars(config.decoder.get("init_args") or type(config)()))
