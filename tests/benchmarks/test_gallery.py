"""Stored figures: drawn again from committed records, the same twice, legible, each with its caption in the pages."""

import io
import shutil

import numpy as np
import pytest
from legibility import faults
from PIL import Image

from benchmarks.gallery.__main__ import PAGES, main
from benchmarks.gallery.captions import PICTURE, captioned, is_caption
from benchmarks.gallery.pictures import ROOT, pictures
from benchmarks.gallery.records import read_csv, read_tables, with_errors
from ltm_pyro.plots import save_drawing
from ltm_pyro.plots.layout import drawn

FOUND = {str(stem.relative_to(ROOT)): drawing for stem, drawing in pictures()}
FEW = (
    "benchmarks/compare-bounds/weights",
    "benchmarks/compare-priors/differences",
    "benchmarks/scale/results/widths/flops",
    "benchmarks/threads/results/threads",
)


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=int)


@pytest.mark.figures
@pytest.mark.parametrize("name", FEW)
def test_a_figure_is_the_same_twice_and_as_stored(name, tmp_path):
    first, second = (save_drawing(tmp_path / stem, FOUND[name], ("png",))[0].read_bytes() for stem in "ab")
    assert first == second
    stored = pixels((ROOT / f"{name}.png").read_bytes())
    assert stored.shape == pixels(first).shape
    assert np.abs(stored - pixels(first)).mean() < 1  # of 255; another version of a font may differ a little
    other = next(other for other in FEW if other != name)
    assert pixels((ROOT / f"{other}.png").read_bytes()).shape != stored.shape or name == other


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FEW else [pytest.mark.slow]) for name in FOUND]
)
def test_a_stored_figure_has_all_that_a_reader_needs(name):
    assert list(faults(drawn(FOUND[name]))) == []


def test_captions_are_stored_beside_the_figures_and_below_them_in_all_pages():
    for name, drawing in FOUND.items():
        assert (ROOT / f"{name}.txt").read_text("utf-8") == drawing.caption + "\n"
        assert Image.open(ROOT / f"{name}.png").text["Description"] == drawing.caption
    for page in (page for pattern in PAGES for page in ROOT.glob(pattern)):
        text = page.read_text("utf-8")
        assert captioned(text, page.parent) == text, f"{page.name}: run python -m benchmarks.gallery"


def test_every_figure_of_the_gallery_has_a_caption():
    page = ROOT / "docs" / "gallery.md"
    paragraphs = page.read_text("utf-8").split("\n\n")
    places = [place for place, paragraph in enumerate(paragraphs) if PICTURE.match(paragraph.strip())]
    assert len(places) > 10
    assert [paragraphs[place] for place in places if not is_caption(paragraphs[place + 1])] == []


def test_a_caption_is_written_replaced_and_left_where_there_is_none(tmp_path):
    (tmp_path / "a.txt").write_text("Costs, nats/token.\n", encoding="utf-8")
    page = "# Page\n\n![A](a.png)\n\n![B](b.png)\n\n*A remark.*\n\nText.\n"
    once = captioned(page, tmp_path)
    assert once == page.replace("![A](a.png)", "![A](a.png)\n\n*Costs, nats/token.*")
    assert captioned(once, tmp_path) == once
    (tmp_path / "a.txt").write_text("Bounds.\n", encoding="utf-8")
    assert captioned(once, tmp_path) == once.replace("Costs, nats/token.", "Bounds.")
    assert captioned("![A](a.png)\n", tmp_path) == "![A](a.png)\n\n*Bounds.*\n"


def test_the_command_draws_those_that_are_named_and_writes_captions(tmp_path, capsys):
    for part in ("docs", "benchmarks"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("_build", "notebooks", "*.py"))
    shutil.copy(ROOT / "README.md", tmp_path)
    gallery = tmp_path / "docs" / "gallery.md"
    before = gallery.read_text("utf-8")
    gallery.write_text(before.replace("*Minus the mean", "*Minus a mean"), encoding="utf-8")
    (tmp_path / "benchmarks" / "compare-bounds" / "weights.png").write_bytes(b"")
    written = main(["compare-bounds/weights"], tmp_path)
    assert [path.name for path in written] == ["weights.png"]
    assert written[0].stat().st_size > 0
    assert gallery.read_text("utf-8") == before
    with pytest.raises(SystemExit):
        main(["nowhere"], tmp_path)
    assert "no figure's path contains nowhere" in capsys.readouterr().err


def test_tables_and_numbers_are_read_as_they_are_written(tmp_path):
    path = tmp_path / "table.md"
    path.write_text(
        "# T\n\n| a | b | a |\n| - | - | - |\n| 1 | x | 2 |\n\ntext\n\n| c |\n| - |\n| 3 |\n", encoding="utf-8"
    )
    assert list(read_tables(path)) == [[{"a": "1", "b": "x"}], [{"c": "3"}]]
    assert with_errors("-0.0131 ± 0.0075 (0.0097)", "k", "e", "s") == {"k": -0.0131, "e": 0.0075, "s": 0.0097}
    assert with_errors("+0.09 ± 0.004", "k", "e", "s") == {"k": 0.09, "e": 0.004}
    assert with_errors("first", "k", "e", "s") == {}
    csv = tmp_path / "records.csv"
    csv.write_text("a,b,c,d\n1,0.5,,True\nx,nan,2,False\n", encoding="utf-8")
    first, second = read_csv(csv)
    assert first == {"a": 1, "b": 0.5, "d": True}
    assert second["a"] == "x"
    assert np.isnan(second["b"])
    assert second["c"] == 2
    assert second["d"] is False
