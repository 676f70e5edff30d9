"""Captions below the pictures of a page in Markdown."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

PICTURE = re.compile(r"^!\[[^\]]*\]\(([^)\s]+)\.png\)$")
WIDTH = 118


def captioned(page: str, folder: Path) -> str:
    """Page with the caption of each picture below it, in italics, replacing an earlier one.

    A picture has its own line, and its caption in a file of the same name with the suffix `.txt`; a picture without
    that file is left as it is.

    Args:
        page: text of the page.
        folder: folder of the page, which the pictures' paths start from.
    """
    paragraphs = page.split("\n\n")
    result: list[str] = []
    for place, paragraph in enumerate(paragraphs):
        if result and place and is_caption(paragraph) and _caption_of(paragraphs[place - 1], folder):
            continue
        caption = _caption_of(paragraph, folder)
        result.append(paragraph.rstrip("\n") if caption else paragraph)
        if caption:
            result.append("\n".join(textwrap.wrap(f"*{caption}*", WIDTH, break_long_words=False)))
    if page.endswith("\n") and not result[-1].endswith("\n"):
        result[-1] += "\n"
    return "\n\n".join(result)


def is_caption(paragraph: str) -> bool:
    """True if a paragraph is in italics as a whole."""
    text = paragraph.strip()
    return text.startswith("*") and text.endswith(".*") and not text.startswith(("**", "* "))


def _caption_of(paragraph: str, folder: Path) -> str:
    match = PICTURE.match(paragraph.strip())
    if match is None:
        return ""
    path = folder / f"{match[1]}.txt"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
