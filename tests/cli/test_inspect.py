"""`ltm inspect` writes what is in a run's thoughts, and a page that works in a browser."""

import json
import shutil
from pathlib import Path

import pytest
from legibility import CHART_FAULTS
from runs import ltm, newest

from ltm_pyro.report import page

pytestmark = pytest.mark.usefixtures("here")
FEW = ("--draws", "2", "--limit", "5", "--batch_size", "2", "--detail", "2")


def test_everything_is_printed_and_kept(run, capsys):
    assert ltm("inspect", "run", *FEW) == 0
    out, err = capsys.readouterr()
    name = "validation-draws-2-limit-5-detail-2"
    assert out == (run / "inspection" / f"{name}.md").read_text()
    assert f"Open run/inspection/{name}.html" in err
    found = json.loads((run / "inspection" / f"{name}.json").read_text())["inspection"]
    assert found["units"] == 2 * 2 * 16
    assert len(found["probe"]) == 3
    assert {path.suffix for path in (run / "inspection").iterdir()} == {
        ".md",
        ".json",
        ".html",
        ".png",
        ".svg",
        ".pdf",
        ".txt",
    }


def test_a_run_without_thoughts_is_refused(reference, capsys):
    shutil.copytree(reference, "reference")
    assert ltm("inspect", "reference", *FEW) == 2
    assert "this run has no thoughts to inspect: it is autoregressive" in capsys.readouterr().err
    assert not Path("reference/inspection").exists()


def test_an_interrupt_keeps_what_is_done(run, capsys, monkeypatch):
    from ltm_pyro.evaluation.inspection import Inspector

    whole = Inspector._look

    def look(self, batch):
        if self.done >= 2:
            raise KeyboardInterrupt
        whole(self, batch)

    monkeypatch.setattr(Inspector, "_look", look)
    assert ltm("inspect", "run", *FEW) == 130
    assert "of the 2 texts done so far" in capsys.readouterr().err
    found = json.loads(newest(run / "inspection", "validation*.json").read_text())
    assert found["inspection"]["sequences"] == 2


def test_text_cannot_end_the_script():
    data = {"text": "</script><script>alert(1)</script>"}
    written = page("a <b>", "@@DATA@@ & co", True, [("<i>", [["x"], ["<td>"]], "")], data)
    assert "</script><script>alert" not in written
    assert "a &lt;b&gt;" in written
    assert "@@DATA@@ &amp; co" in written
    assert "<td>&lt;td&gt;</td>" in written


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_works_in_a_browser(run, scheme):
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    Path("odd.txt").write_text("peace </script><b>war</b> & union " * 12)
    assert ltm("inspect", "run", "odd.txt", *FEW) == 0
    errors, requests = [], []
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        sheet = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
        sheet.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        sheet.on("pageerror", lambda error: errors.append(str(error)))
        sheet.on("request", lambda request: requests.append(request.url))
        sheet.goto(newest(run / "inspection", "odd*.html").resolve().as_uri())
        colour = "getComputedStyle(document.body).backgroundColor"
        before, scale = sheet.evaluate(colour), sheet.inner_text("#scale")
        assert "first axis (" in sheet.text_content("#map")
        assert sheet.evaluate(CHART_FAULTS) == []
        sheet.select_option("#thought", "3")
        assert sheet.inner_text("#scale") != scale
        sheet.locator("#map circle").first.dispatch_event("click")
        assert "</script><b" in sheet.inner_text("#text")
        sheet.select_option("#colour", "length")
        assert "length" in sheet.inner_text("#key.ramp")
        shown = {}
        for dial, told in (("#steps", "#steps-told"), ("#share", "#share-told")):
            shown[told] = sheet.inner_text(told)
            sheet.locator(dial).fill("3")
            assert sheet.inner_text(told) != shown[told]
        spoken = sheet.inner_text("#reading-told")
        sheet.select_option("#by", "1")
        sheet.select_option("#how", "attention")
        assert "% on average" in sheet.inner_text("#reading-told") != spoken
        assert "an even share" in sheet.inner_text("#reading-key")
        text = sheet.inner_text("#reading")
        sheet.select_option("#which", "1")
        assert sheet.inner_text("#reading") not in ("", text)
        sheet.click("#theme")
        assert sheet.evaluate(colour) != before
        assert sheet.evaluate("document.documentElement.scrollWidth") <= 360
        browser.close()
    assert errors == []
    assert all(url.startswith(("file:", "data:")) for url in requests)


BROKEN = {
    "no labels": 'svg.querySelectorAll(".axis").forEach((text) => text.remove())',
    "no ticks": 'svg.querySelectorAll(".tick").forEach((text) => text.remove())',
    "small letters": 'svg.querySelectorAll(".tick").forEach((text) => { text.style.fontSize = "8px"; })',
    "no legend": 'document.getElementById("dial-key").replaceChildren()',
    "bars on each other": 'svg.append(svg.querySelector(".error").cloneNode())',
    "no caption": 'document.querySelectorAll("figcaption").forEach((text) => text.replaceChildren())',
}


def test_what_a_chart_lacks_is_noticed(tmp_path):
    """A page of made-up numbers is sound, and each part that is taken from its charts is missed."""
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    dial = [
        {"steps": n, "kl": 0.1, "elbo": 4 - n / 9, "elbo_error": 0.1, "elbo_change": [-n / 9, 0.01]}
        | {"iw": 3.9 - n / 9, "iw_error": 0.1, "iw_change": [-n / 9, 0.01]}
        for n in (0, 1, 2)
    ]
    points = [{"place": [x, x * x], "name": "a", "text": "b", "near": [], "about": {"order": x}} for x in (0, 1, 2)]
    data = {"thoughts": [{"name": "t", "kl": [2.0, 1.0, 0.5]}], "points": points, "axes": ["first", "second"]}
    data |= {"dial": dial, "even": 0.5, "texts": [], "way": None}
    (tmp_path / "page.html").write_text(page("t", "v", False, [], data))
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        sheet = browser.new_page(viewport={"width": 390, "height": 740})
        for fault, change in {"": "", **BROKEN}.items():
            sheet.goto((tmp_path / "page.html").as_uri())
            sheet.evaluate(f'() => {{ const svg = document.getElementById("dial"); {change} }}')
            found = sheet.evaluate(CHART_FAULTS)
            assert (f"dial: {fault}" in found) if fault else found == [], found
        browser.close()
