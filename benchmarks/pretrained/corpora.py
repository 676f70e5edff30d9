"""Corpora of the experiment: short documents to learn from, and others to score."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

from ltm_pyro.data.sotu import read_sotu
from ltm_pyro.errors import InputError

CORPORA = ("summaries", "addresses")
TRAIN, TEST = 800, 128
SHORTEST = 45  # words of a document: about the 64 tokens of a sequence
LEARNED, SCORED = range(1980, 2018), range(2019, 2100)  # years of the addresses


def write_corpora(work: Path, summaries: Path | None, names: Iterable[str]) -> None:
    """Write `NAME-train.jsonl` and `NAME-test.jsonl` of each corpus that is not there yet.

    Args:
        work: the folder for them.
        summaries: the JSON file of summaries, title to an article with its `extract`; needed for that corpus alone.
        names: of the corpora.

    Raises:
        InputError: if the summaries are wanted and no file is given.
    """
    work.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (work / f"{name}-test.jsonl").exists():
            continue
        if name == "summaries":
            if summaries is None:
                raise InputError("--summaries FILE: expected the JSON file of summaries")
            articles = json.loads(summaries.read_text(encoding="utf-8")).values()
            texts = [article["extract"] for article in articles if _fits(article["extract"])]
            random.Random(0).shuffle(texts)
            train, test = texts[TEST:], texts[:TEST]
        else:
            train, test = _paragraphs(LEARNED), _paragraphs(SCORED)
        for part, chosen, count in (("train", train, TRAIN), ("test", test, TEST)):
            lines = "".join(json.dumps({"text": text}) + "\n" for text in chosen[:count])
            (work / f"{name}-{part}.jsonl").write_text(lines, encoding="utf-8")


def _paragraphs(years: range) -> list[str]:
    """Passages of the addresses of some years, in a random order that is always the same."""
    texts, passage = [], ""
    for address in read_sotu():
        for line in address.text.splitlines() if int(address.group) in years else ():
            passage = f"{passage} {line.strip()}".strip()
            if _fits(passage):
                texts.append(passage)
                passage = ""
        passage = ""
    random.Random(0).shuffle(texts)
    return texts


def _fits(text: str) -> bool:
    return len(text.split()) >= SHORTEST
