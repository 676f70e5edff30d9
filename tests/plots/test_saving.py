"""Figures as files: the style, the width, real text, a caption, whatever matplotlib has been told elsewhere."""

import re
import struct
from functools import partial

import matplotlib
import pytest
from figure_records import CURVE
from matplotlib import pyplot as plt
from matplotlib import style
from matplotlib.figure import Figure

from ltm_pyro import plots
from ltm_pyro.plots.saving import save_figure
from ltm_pyro.plots.style import colours, in_style

CAPTION = "Two budgets, nats/token. Costs: lower is better."
PANELS = [partial(plots.plot_curves, CURVE, by=by) for by in ("passes", "seconds")]


def pixels(path):
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_a_figure_is_four_files_that_are_the_same_twice(tmp_path):
    before = dict(matplotlib.rcParams)
    paths = save_figure(tmp_path / "curves", PANELS, CAPTION)
    assert [path.name for path in paths] == ["curves.png", "curves.svg", "curves.pdf", "curves.txt"]
    assert dict(matplotlib.rcParams) == before
    assert not plt.get_fignums()
    contents = [path.read_bytes() for path in paths]
    save_figure(tmp_path / "curves", PANELS, CAPTION)
    assert [path.read_bytes() for path in paths] == contents


@pytest.mark.parametrize(("width", "inches"), [("single", 3.25), ("double", 6.75)])
def test_all_files_have_the_final_width_at_200_pixels_an_inch(tmp_path, width, inches):
    png, svg, pdf, _ = save_figure(tmp_path / "curves", PANELS[:1], CAPTION, width=width)
    assert pixels(png)[0] == 200 * inches
    assert b"pHYs" + struct.pack(">II", 7874, 7874) in png.read_bytes()  # an inch of 200 pixels, in metres
    assert float(re.search(r'width="([\d.]+)pt"', svg.read_text("utf-8"))[1]) == 72 * inches
    assert float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf.read_bytes())[1]) == 72 * inches


def test_text_is_text(tmp_path):
    _, svg, pdf, _ = save_figure(tmp_path / "curves", PANELS, CAPTION)
    assert ">decoder passes per sequence</text>" in svg.read_text("utf-8")
    assert b"/FontFile2" in pdf.read_bytes()  # TrueType, embedded
    assert b"/Type3" not in pdf.read_bytes()


def test_the_caption_stands_beside_the_figure_and_not_in_it(tmp_path):
    from PIL import Image

    png, svg, pdf, caption = save_figure(tmp_path / "curves", PANELS, CAPTION)
    assert caption.read_text("utf-8") == CAPTION + "\n"
    assert Image.open(png).text["Description"] == CAPTION
    text = svg.read_text("utf-8")
    assert f"<dc:description>{CAPTION}</dc:description>" in re.sub(r">\s+|\s+<", lambda found: found[0].strip(), text)
    assert "Two budgets" not in "".join(re.findall(r"<text.*?</text>", text, re.DOTALL))
    assert b"/Subject" in pdf.read_bytes()


@pytest.mark.parametrize("name", ["ltm_pyro.plots.ltm", plots.STYLE])
def test_the_style_is_one_that_anybody_can_use(name):
    with style.context(name):
        assert matplotlib.rcParams["font.size"] == 8
        assert tuple(matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]) == colours()
        assert Figure().get_figwidth() == plots.WIDTHS["single"]
    assert matplotlib.rcParams["font.size"] == 10


def test_what_the_user_has_set_neither_changes_a_figure_nor_is_changed(tmp_path):
    (plain,) = save_figure(tmp_path / "plain", PANELS, CAPTION, kinds=("png",))
    with matplotlib.rc_context({"axes.facecolor": "black", "figure.dpi": 50, "lines.linewidth": 5, "font.size": 20}):
        (dark,) = save_figure(tmp_path / "dark", PANELS, CAPTION, kinds=("png",))
        assert matplotlib.rcParams["axes.facecolor"] == "black"
        with in_style():
            assert matplotlib.rcParams["axes.facecolor"] == "white"
    assert dark.read_bytes() == plain.read_bytes()


def test_no_program_is_run_to_set_type(tmp_path, monkeypatch):
    def run(*given, **named):
        pytest.fail("a program was started")

    monkeypatch.setattr("subprocess.Popen", run)
    monkeypatch.setattr("subprocess.check_output", run)
    with matplotlib.rc_context({"text.usetex": True}):
        paths = save_figure(tmp_path / "figure", [lambda axes: axes.set_xlabel("a")], "A caption.")
    assert all(path.stat().st_size for path in paths)
