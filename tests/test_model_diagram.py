"""The diagram of the docs' first page is readable in light and dark, and stored as it is drawn."""

import importlib.util
import itertools
import re
from pathlib import Path

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

FIGURES = Path(__file__).parent.parent / "docs" / "figures"
GROUNDS = {"light": "#ffffff", "dark": "#131416"}  # of the site's pages


@pytest.fixture(scope="module")
def diagram():
    spec = importlib.util.spec_from_file_location("model_diagram", FIGURES / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def luminance(colour):
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(colour)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), channels, strict=True))


def contrast(one, other):
    """The ratio of WCAG 2.2, from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def texts(figure):
    return [text for text in figure.axes[0].texts if text.get_text()]


def overlaps(figure):
    """Pairs of texts that lie on each other."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(figure)]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.overlaps(other)]


@pytest.mark.parametrize("name", GROUNDS)
def test_every_colour_of_a_letter_stands_out(diagram, name):
    palette = diagram.PALETTES[name]
    for text in texts(diagram.draw(palette)):
        assert text.get_fontsize() >= 7
        for ground in (GROUNDS[name], palette.face):
            assert contrast(text.get_color(), ground) >= 4.5, (text.get_text(), ground)
    assert contrast("#999999", "#ffffff") < 4.5  # a grey that would be refused


@pytest.mark.parametrize("name", GROUNDS)
def test_no_text_lies_on_another_or_leaves_the_page(diagram, name):
    figure = diagram.draw(diagram.PALETTES[name])
    assert overlaps(figure) == []
    renderer, page = FigureCanvasAgg(figure).get_renderer(), figure.bbox
    for text in texts(figure):
        extent = text.get_window_extent(renderer)
        assert page.x0 <= extent.x0 <= extent.x1 <= page.x1, text
        assert page.y0 <= extent.y0 <= extent.y1 <= page.y1, text
    figure.axes[0].text(*texts(figure)[0].get_position(), "on another")
    assert overlaps(figure)


@pytest.mark.parametrize("name", GROUNDS)
def test_the_stored_file_is_what_the_code_draws(diagram, name, tmp_path):
    stored = (FIGURES / f"model-{name}.svg").read_text("utf-8")
    assert diagram.TITLE in stored
    if f"Matplotlib v{matplotlib.__version__}," not in stored:
        pytest.skip("drawn by another version of matplotlib, whose paths may differ")
    diagram.save(tmp_path)
    assert re.sub(r"\s+", " ", (tmp_path / f"model-{name}.svg").read_text("utf-8")) == re.sub(r"\s+", " ", stored)
