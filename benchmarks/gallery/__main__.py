"""Draw the stored figures again from committed records, and write their captions into the pages that show them.

`python -m benchmarks.gallery [WORD ...]` draws those whose path contains a word, or all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gallery.captions import captioned
from benchmarks.gallery.pictures import ROOT, pictures
from ltm_pyro.plots import save_drawing

PAGES = ("README.md", "docs/*.md", "benchmarks/README.md")


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> list[Path]:
    """Draw figures and write captions; returns the paths of all written pictures."""
    parser = argparse.ArgumentParser("python -m benchmarks.gallery", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="parts of the paths of the figures; default all")
    words = parser.parse_args(arguments).words
    written = []
    for stem, drawing in pictures(root):
        name = f"{stem.relative_to(root)}.png"
        if not words or any(word in name for word in words):
            print(name, flush=True)
            written.append(save_drawing(stem, drawing, ("png", "txt"))[0])
    if not written:
        parser.error(f"no figure's path contains {' or '.join(words)}: give other words, or none for all figures")
    for pattern in PAGES:
        for page in root.glob(pattern):
            text = page.read_text(encoding="utf-8")
            page.write_text(captioned(text, page.parent), encoding="utf-8")
    return written


if __name__ == "__main__":
    main()
