"""Encoding of text that never yields special tokens, for any model of a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tokenizers

TEMPLATE = ["SpecialToken", "Sequence"]


def without_special_names(backend: tokenizers.Tokenizer, names: Collection[str]) -> tokenizers.Tokenizer:
    """A tokenizer that encodes text as `backend` does, but in which no text spells a special token.

    It is not enough that added tokens are not searched for in text. The vocabularies of Unigram, WordPiece and
    WordLevel models contain the special tokens too, so that text which spells one is given its id; so may the merges
    of a BPE. In the returned tokenizer, special tokens have the same ids and other names.

    Args:
        backend: the tokenizer, which remains the one that decodes and is saved. It is returned itself if no text can
            spell the names.
        names: of the tokens that text must not yield.
    """
    content = json.loads(backend.to_str())
    special = {token["content"] for token in content["added_tokens"] if token["special"]} | set(names)
    if not _can_be_spelled(content, special):
        return backend
    from tokenizers import Tokenizer as Backend

    renamed = Backend.from_str(json.dumps(_renamed(content, special)))
    renamed.encode_special_tokens = True
    return renamed


def first_of_template(backend: tokenizers.Tokenizer) -> str:
    """The special token that a tokenizer's template puts before a text, if it does nothing else; else empty."""
    if backend.post_processor is None:
        return ""
    content = json.loads(backend.post_processor.__getstate__())
    if content["type"] != "TemplateProcessing" or [next(iter(part)) for part in content["single"]] != TEMPLATE:
        return ""
    return str(content["single"][0]["SpecialToken"]["id"])


def _can_be_spelled(content: dict[str, Any], special: set[str]) -> bool:
    model = content["model"]
    if model["type"] != "BPE" or model.get("ignore_merges"):
        return True
    plain = any(token["content"] in special and not token["special"] for token in content["added_tokens"])
    letters = any(len(name) == 1 for name in special)
    return plain or letters or any(_merged(pair, model) & special for pair in model["merges"])


def _renamed(content: dict[str, Any], special: set[str]) -> dict[str, Any]:
    names = {
        name: f"\ufdd0{number}\ufdd1" for number, name in enumerate(sorted(special))
    }  # Unicode noncharacters, which are in no text
    model = content["model"]
    for token in content["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(name, name): number for name, number in model["vocab"].items()}
    else:  # a Unigram's pieces, with their scores
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
    if isinstance(model.get("unk_token"), str):
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    if "merges" in model:
        model["merges"] = [pair for pair in model["merges"] if not (_merged(pair, model) | set(_parts(pair))) & special]
    return content


def _parts(pair: str | list[str]) -> list[str]:
    return pair.split(" ") if isinstance(pair, str) else pair


def _merged(pair: str | list[str], model: dict[str, Any]) -> set[str]:
    first, second = _parts(pair)
    return {first + second, first + second.removeprefix(model.get("continuing_subword_prefix") or "")}
