"""Inspection of a tokenizer's file before the `tokenizers` library parses it.

The library does not check its files: a few replacements turn a line into gigabytes, an id of 2**31 allocates a table of
as many rows, and a pattern that matches the empty string ends the process. Tokenizers in use are far within the limits
below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ltm_pyro.data.charsmap import fault_of_charsmap
from ltm_pyro.errors import InputError
from ltm_pyro.files import parse_json, validate

GROWTH = 64.0  # the most characters that all replacements together may make of one
PATTERN = 4096  # characters of a pattern
CONTENT = 64  # characters that a replacement inserts
WORD = 100_000  # characters of a word that WordPiece processes
LARGEST_ID = 2**24
GAPS = 4, 2**16  # factor and offset: ids are at most their number times the factor, plus the offset

NORMALIZERS = (
    *("Sequence", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "Strip", "StripAccents", "BertNormalizer"),
    *("Prepend", "Replace", "Precompiled", "ByteLevel"),
)
PRE_TOKENIZERS = (
    *("Sequence", "ByteLevel", "Whitespace", "WhitespaceSplit", "Metaspace", "BertPreTokenizer", "CharDelimiterSplit"),
    *("Punctuation", "Digits", "UnicodeScripts", "Split", "FixedLength"),
)
DECODERS = (
    *("Sequence", "ByteLevel", "WordPiece", "Metaspace", "BPEDecoder", "CTC", "Replace", "ByteFallback", "Fuse"),
    "Strip",
)
POST_PROCESSORS = ("Sequence", "ByteLevel", "TemplateProcessing", "BertProcessing", "RobertaProcessing")
MODELS = ("BPE", "WordPiece", "WordLevel", "Unigram")
LISTS = ("normalizers", "pretokenizers", "decoders", "processors")
UNBOUNDED = re.compile(r"[*+]|\{\d*,\d*\}|\{\d{3,}\}")
LARGE = re.compile(r"\{\d*,?\d{4,}\}")
REMEDY = "Restore it from a copy, or take another tokenizer"


def inspect_tokenizer(text: str, where: str) -> None:
    """Refuse a `tokenizer.json` that could take unlimited memory or time, or end the process.

    Args:
        text: the content of the file.
        where: the file's name, for the message.

    Raises:
        InputError: naming the part that is out of bounds.
    """
    content = validate(parse_json(text, where, REMEDY), dict[str, Any], where, REMEDY)
    if fault := next(_faults(content), ""):
        raise InputError(f"{where} does not parse as a tokenizer (tokenizer.json): {fault}. {REMEDY}")


def _faults(content: Mapping[str, Any]) -> Iterator[str]:
    for name, kinds in (("normalizer", NORMALIZERS), ("pre_tokenizer", PRE_TOKENIZERS), ("decoder", DECODERS)):
        parts = list(_parts(content.get(name)))
        growth = 1.0
        for part in parts:
            yield from _faults_of_part(name, part, kinds)
            growth *= _growth(part)
        if growth > GROWTH:
            yield f"the replacements of its {name} make up to {growth:,.0f} characters of one, at most {GROWTH:.0f}"
    for part in _parts(content.get("post_processor")):
        yield from _faults_of_post_processor(part)
    yield from _faults_of_model(content.get("model"))
    yield from _faults_of_ids(content)


def _parts(part: Any) -> Iterator[Any]:
    """The component itself, or the components of a sequence."""
    inner = next((part[key] for key in LISTS if key in part), None) if isinstance(part, dict) else None
    if isinstance(inner, list):
        for item in inner:
            yield from _parts(item)
    elif part is not None:
        yield part


def _faults_of_part(name: str, part: Any, kinds: tuple[str, ...]) -> Iterator[str]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in kinds:
        yield f"its {name} has a part of the unknown kind {str(kind)[:40]!r}; known are {', '.join(kinds)}"
        return
    if "pattern" in part:
        yield from _faults_of_pattern(f"{kind} of its {name}", part["pattern"])
    for key in ("content", "prepend", "replacement", "delimiter", "suffix", "prefix"):
        text = part.get(key)
        if text is not None and not (isinstance(text, str) and len(text) <= CONTENT):
            yield f"{key} of {kind} of its {name} is no text of at most {CONTENT} characters"
    if kind == "Precompiled" and (reason := fault_of_charsmap(part.get("precompiled_charsmap"))):
        yield f"the table of {kind} of its {name} {reason}"
    for key in ("length", "start", "stop"):
        least = 1 if key == "length" else 0
        if key in part and not _is_whole(part[key], least, WORD):
            yield f"{key} of {kind} of its {name} is {str(part[key])[:40]}, expected {least} to {WORD}"


def _faults_of_pattern(what: str, pattern: Any) -> Iterator[str]:
    kind, text = next(iter(pattern.items())) if isinstance(pattern, dict) and len(pattern) == 1 else ("", None)
    if kind not in ("String", "Regex") or not isinstance(text, str) or not 0 < len(text) <= PATTERN:
        yield f"the pattern of {what} is no text of 1 to {PATTERN} characters"
    elif kind == "Regex" and (reason := _runaway(text)):
        yield f"the pattern of {what} {reason}"


def _runaway(pattern: str) -> str:
    """Fault of a regular expression that may take unlimited time; empty if there is none."""
    plain = re.sub(r"\\(?:[pP]\{[^}]*\}|x\{[^}]*\}|.)", "x", pattern, flags=re.DOTALL)
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "x", plain)  # a class of characters is one character
    if LARGE.search(plain):
        return "repeats something a thousand times or more"
    open_groups: list[bool] = []  # whether each has a repetition or a choice inside
    place = 0
    while place < len(plain):
        repeated = UNBOUNDED.match(plain, place)
        if plain[place] == "(":
            open_groups.append(False)
        elif plain[place] == ")" and open_groups:
            inside = open_groups.pop()
            if inside and UNBOUNDED.match(plain, place + 1):
                return "repeats a group with a repetition or a choice inside, which can take unlimited time"
            open_groups[-1:] = [open_groups[-1] or inside] if open_groups else []
        elif open_groups and (repeated or plain[place] == "|"):
            open_groups[-1] = True
        place += 1
    return "is nested too deeply" if pattern.count("(") > 200 else ""


def _growth(part: Any) -> float:
    """The most characters that a component makes of one."""
    if not isinstance(part, dict) or part.get("type") != "Replace":
        return 1.0
    content, pattern = part.get("content"), part.get("pattern")
    if not isinstance(content, str) or not isinstance(pattern, dict):
        return 1.0
    if isinstance(pattern.get("String"), str):
        return max(1.0, len(content) / max(1, len(pattern["String"])))
    return 1.0 + len(content)


def _faults_of_post_processor(part: Any) -> Iterator[str]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in POST_PROCESSORS:
        yield f"its post_processor has a part of the unknown kind {str(kind)[:40]!r}"
    elif kind == "TemplateProcessing" and '"B"' in json.dumps(part.get("single")):
        yield "the template of its post_processor puts a second text, B, around a single one"


def _faults_of_model(model: Any) -> Iterator[str]:
    if not isinstance(model, dict) or model.get("type", "BPE") not in MODELS:
        yield f"its model is none of {', '.join(MODELS)}"
        return
    word = model.get("max_input_chars_per_word")
    if word is not None and not _is_whole(word, 1, WORD):
        yield f"max_input_chars_per_word of its model is {str(word)[:40]}, expected 1 to {WORD}"
    unknown, vocabulary = model.get("unk_id"), model.get("vocab")
    if not isinstance(vocabulary, (dict, list)) or not vocabulary:
        yield "its model has no vocabulary"
    elif unknown is not None and not _is_whole(unknown, 0, len(vocabulary) - 1):
        yield f"unk_id of its model is {str(unknown)[:40]}, and its vocabulary has {len(vocabulary)} entries"


def _faults_of_ids(content: Mapping[str, Any]) -> Iterator[str]:
    model, added = content.get("model"), content.get("added_tokens") or []
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        yield "its added_tokens are no list of tokens"
        return
    if any(not isinstance(token.get("content"), str) or not token["content"] for token in added):
        yield "one of its added_tokens has no text"
    ids = [token.get("id") for token in added]
    ids += list(vocabulary.values()) if isinstance(vocabulary, dict) else []
    count = len(ids) + (len(vocabulary) if isinstance(vocabulary, list) else 0)
    most = min(LARGEST_ID, GAPS[0] * count + GAPS[1])
    wrong = next((number for number in ids if not _is_whole(number, 0, most)), None)
    if wrong is not None:
        yield f"a token has the id {str(wrong)[:40]}, where {count:,} tokens have ids of 0 to {most:,}"


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
