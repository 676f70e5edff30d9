"""Figures in the size that they were drawn in: equal letters in all, and a click for the pixels.

A browser shows a PNG pixel by pixel, so that a small figure of many pixels would fill the page. Those that say how
many of them make an inch get the width of their inches, unless that is more than they have pixels; the wide ones can be
moved sideways on a phone.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from docutils import nodes

INCH = 125  # CSS pixels: two columns of 6.75 inches have room, and the ticks' 7 points are 12 pixels high
WIDE = 700  # CSS pixels
METRE = 39.37  # inches


def width(png: bytes) -> float | None:
    """CSS pixels, or None if it does not say how many of its own make an inch."""
    pixels, at = struct.unpack(">I", png[16:20])[0], png.find(b"pHYs")
    if at < 0 or png[at + 12] != 1:
        return None
    per_inch = struct.unpack(">I", png[at + 4 : at + 8])[0] / METRE
    return pixels * min(1.0, INCH / per_inch)


def _sized(app: Any, doctree: nodes.document) -> None:
    for figure in doctree.findall(nodes.image):
        file = Path(app.srcdir, figure.get("uri", ""))
        if "width" in figure or file.suffix != ".png" or not file.is_file():
            continue
        if wide := width(file.read_bytes()):
            figure["width"] = f"{wide:.0f}px"
            figure["classes"].append("wide" if wide > WIDE else "narrow")


def setup(app: Any) -> dict[str, bool]:
    app.connect("doctree-read", _sized)
    return {"parallel_read_safe": True}
