"""Faults of a figure that may go into a paper: letters, labels, a legend, a colour bar, bars set apart, a title."""

from itertools import combinations, pairwise

import numpy as np
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text

from ltm_pyro.plots import WIDTHS

LETTERS, TICKS = 8, 7  # points: of all letters, and of ticks and legends
SHOWN = 125  # CSS pixels an inch, in the documentation


def faults(figure):
    """One line for each fault of a drawn figure."""
    figure.canvas.draw()
    yield from _letters(figure)
    shown = {text.get_text() for legend in _legends(figure) for text in legend.get_texts()}
    for axes in figure.axes:
        yield from _labels(axes)
        yield from _crowded_ticks(axes)
        names = set(axes.get_legend_handles_labels()[1])
        if len(names) > 1 and not names <= shown:
            yield f"no legend for {sorted(names - shown)}"
        yield from (f"no colour bar for a {type(m).__name__}" for m in _coloured(axes) if m.colorbar is None)
        yield from _overlapping_bars(axes)
        if any(axes.get_title(loc) for loc in ("left", "center", "right")):
            yield "a title, which belongs to the caption"
    if figure.get_suptitle():
        yield "a title, which belongs to the caption"
    if figure.get_figwidth() not in WIDTHS.values():
        yield "not as wide as a column or two"
    if not figure.get_label().endswith("."):
        yield "no caption"


def _letters(figure):
    renderer, page = figure.canvas.get_renderer(), figure.bbox
    small = {id(text) for legend in _legends(figure) for text in legend.findobj(Text)}
    small |= {id(text) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in _ticks(axis)}
    for text in figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible()):
        if not text.get_text().strip():
            continue
        least = TICKS if id(text) in small else LETTERS
        if text.get_fontsize() < least or text.get_fontsize() / 72 * SHOWN < 12:
            yield f"small letters: {text.get_text()!r}"
    legends = [text for legend in _legends(figure) for text in legend.get_texts()]
    ticks = [text for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in _shown_ticks(axis)]
    for text in [*figure.texts, *legends, *_titles(figure), *ticks]:
        box = text.get_window_extent(renderer)
        outside = box.x0 < page.x0 - 1 or box.x1 > page.x1 + 1 or box.y0 < page.y0 - 1 or box.y1 > page.y1 + 1
        if text.get_text() and outside:
            yield f"cut off: {text.get_text()!r}"


def _ticks(axis):
    return [*axis.get_ticklabels(which="both"), axis.get_offset_text()]


def _shown_ticks(axis):
    low, high = sorted(axis.get_view_interval())
    places = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
    return [text for place, text in places if text.get_text() and low <= place <= high]


def _crowded_ticks(axes):
    for name, axis in (("below", axes.xaxis), ("at the side", axes.yaxis)):
        boxes = [text.get_window_extent() for text in _shown_ticks(axis)]
        along = 0 if axis is axes.xaxis else 1
        boxes.sort(key=lambda box: box.min[along])
        if any(one.max[along] > other.min[along] + 0.5 for one, other in pairwise(boxes)):
            yield f"ticks lie on each other {name}"


def _titles(figure):
    return [text for axes in figure.axes for text in (axes.title, axes.xaxis.label, axes.yaxis.label)]


def _labels(axes):
    rows = [label.get_text() for label in axes.get_yticklabels()]
    named_beside = bool(rows) and not any(rows)
    if hasattr(axes, "_colorbar"):
        if not (axes.get_ylabel() or axes.get_xlabel()):
            yield "a colour bar without a label"
        return
    if not axes.get_xlabel():
        yield "no label below"
    if not axes.get_ylabel() and not named_beside:
        yield "no label at the side"


def _legends(figure):
    return [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]


def _coloured(axes):
    own = () if hasattr(axes, "_colorbar") else (*axes.images, *axes.collections)
    return [artist for artist in own if artist.get_array() is not None]


def _overlapping_bars(axes):
    bars = [[_drawn(c) for c in container.lines[2]] for container in axes.containers if _is_vertical(container)]
    for (one,), (other,) in combinations([group for group in bars if len(group) == 1], 2):
        for (x, low, high), (x2, low2, high2) in ((a, b) for a in one for b in other):
            if abs(x - x2) < 1.5 and low < high and low2 < high2 and min(high, high2) - max(low, low2) > 1:
                yield f"error bars lie on each other at pixel {x:.0f}"
                return


def _is_vertical(container):
    return isinstance(container, ErrorbarContainer) and container.has_yerr


def _drawn(collection):
    """(x, lowest, highest) of each bar, in pixels."""
    ends = [collection.get_transform().transform(segment) for segment in collection.get_segments()]
    return [(e[0][0], np.min(e[:, 1]), np.max(e[:, 1])) for e in ends]


# What each chart of a page lacks, by its id or section, as a page's own script can tell. A chart that is only a colour
# bar has no axes.
CHART_FAULTS = """() => [...document.querySelectorAll("figure.chart")].filter((figure) => figure.clientWidth)
.flatMap((figure) => {
  const plot = figure.querySelector(".plot"), found = [], name = figure.id || figure.closest("section").id;
  if (!plot || !plot.querySelector(".main-svg")) return [`${name}: not drawn`];
  const all = (selector) => [...plot.querySelectorAll(selector)];
  const texts = all("text").filter((text) => text.textContent.trim() && text.getClientRects().length);
  const page = plot.getBoundingClientRect(), bar = all(".colorbar").length > 0;
  const beside = (box) => box.left < page.left - 2 || box.right > page.right + 2;
  const outside = (box) => beside(box) || box.top < page.top - 2 || box.bottom > page.bottom + 2;
  const shown = plot.data.filter((trace) => trace.showlegend !== false && trace.name);
  const boxes = all(".errorbar path.yerror").map((path) => path.getBoundingClientRect());
  const places = boxes.map((box) => ((box.left + box.right) / 2).toFixed(0));
  if (all(".xtitle, .ytitle").length < 2 && !bar) found.push("no labels");
  if (bar && !all(".cbtitle, [class*=cbtitle]").length) found.push("no label of the colour bar");
  if (all(".xtick text, .ytick text").length < 4 && all(".cbaxis text").length < 3) found.push("no ticks");
  if (texts.some((text) => parseFloat(getComputedStyle(text).fontSize) < 12)) found.push("small letters");
  if (texts.some((text) => outside(text.getBoundingClientRect()))) found.push("cut off");
  if (shown.length > 1 && all(".legend .legendtext").length < shown.length) found.push("no legend");
  const legend = plot.querySelector(".legend")?.getBoundingClientRect();
  if (legend && legend.bottom > page.top + plot._fullLayout._size.t + 2) found.push("legend on the points");
  if (new Set(places).size < places.length) found.push("bars on each other");
  if (!(figure.querySelector("figcaption")?.textContent ?? "").trim()) found.push("no caption");
  if ((plot.getAttribute("aria-label") ?? "").length < 20) found.push("no description");
  if (figure.querySelectorAll("details td").length < 2) found.push("no table");
  return found.map((fault) => `${name}: ${fault}`);
})"""
