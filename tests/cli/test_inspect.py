"""`ltm inspect` writes what is in a run's thoughts, and a page that works in a browser."""

import base64
import contextlib
import hashlib
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from legibility import CHART_FAULTS
from runs import ltm, newest

from ltm_pyro.evaluation.inspection.charts import change_view, path_views, sweep_view, thought_views
from ltm_pyro.evaluation.inspection.dial import StepSweepPoint
from ltm_pyro.evaluation.inspection.map_chart import map_views
from ltm_pyro.evaluation.inspection.path import InterpolationPoint
from ltm_pyro.evaluation.inspection.report import properties
from ltm_pyro.evaluation.score import Score
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


EMPTY = {"charts": {}, "points": [], "even": 0.5, "readings": []}


def test_text_cannot_end_the_script():
    data = {**EMPTY, "text": "</script><script>alert(1)</script>"}
    written = page("a <b>", "@@DATA@@ & co", True, [("<i>", [["x"], ["<td>"]], "")], data)
    assert "</script><script>alert" not in written
    assert "a &lt;b&gt;" in written
    assert "@@DATA@@ &amp; co" in written
    assert "<td>&lt;td&gt;</td>" in written


def test_the_page_admits_its_own_scripts_alone():
    written = page("t", "v", False, [], EMPTY)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', written)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    scripts = re.findall(r"<script>(.*?)</script>", written, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 3
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert rules["default-src"] == "'none'"
    assert "unsafe-eval" not in policy


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    with api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextlib.contextmanager
def sheet_of(browser, path, width=390, scheme="light"):
    """The page of a file, which must ask for nothing else and report no error."""
    errors, requests = [], []
    sheet = browser.new_page(viewport={"width": width, "height": 740}, color_scheme=scheme)
    sheet.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    sheet.on("pageerror", lambda error: errors.append(str(error)))
    sheet.on("request", lambda request: requests.append(request.url))
    sheet.goto(Path(path).resolve().as_uri())
    yield sheet
    sheet.close()
    assert errors == []
    assert all(url.startswith(("file:", "data:")) for url in requests)


def test_the_page_works_in_a_browser(run, browser):
    Path("odd.txt").write_text("peace </script><b>war</b> & union " * 12)
    assert ltm("inspect", "run", "odd.txt", *FEW) == 0
    path = newest(run / "inspection", "odd*.html")
    for width, scheme in ((390, "light"), (390, "dark"), (1280, "dark")):
        try_all(path, browser, width, scheme)


def try_all(path, browser, width, scheme):
    """Use of every control of a page, by mouse and by keyboard."""
    with sheet_of(browser, path, width, scheme) as sheet:
        colour = "getComputedStyle(document.body).backgroundColor"
        letters = "getComputedStyle(document.querySelector('#map .xtitle')).fill"
        assert "first axis (" in sheet.text_content("#map")
        assert sheet.evaluate(CHART_FAULTS) == []
        before = sheet.inner_text("#thoughts .said")
        sheet.select_option("#thought", "3")
        assert sheet.inner_text("#thoughts .said") != before
        sheet.select_option("#point", "2")
        assert "</b> & union" in sheet.inner_text("#text")
        sheet.select_option("#colour", label="length")
        assert "length" in sheet.text_content("#map .infolayer")
        assert "length" in sheet.locator("#map .plot").get_attribute("aria-label")
        before = sheet.inner_text("#share-said")
        sheet.locator("#share").focus()
        sheet.keyboard.press("ArrowRight")
        assert sheet.inner_text("#share-said") != before
        before = sheet.inner_text("#reading-said")
        sheet.select_option("#by", "1")
        sheet.select_option("#measure", "attention")
        assert "on average" in sheet.inner_text("#reading-said") != before
        low, high = sheet.evaluate(
            "(({ cmin, cmax }) => [cmin, cmax])(document.querySelector('#tokens .plot').data[0].marker)"
        )
        shares = [float(cell.replace("−", "-")) for cell in sheet.locator("#tokens td:last-child").all_text_contents()]
        assert low <= min(shares) <= max(shares) <= high
        assert high - low <= max(0.0101, 2.01 * max(abs(share - 0.5) for share in shares))
        text = sheet.inner_text("#reading")
        sheet.select_option("#which", "1")
        assert sheet.inner_text("#reading") not in ("", text)
        assert sheet.evaluate(CHART_FAULTS) == []
        before = sheet.evaluate(colour), sheet.evaluate(letters)
        sheet.locator("#theme").press("Enter")
        assert all(
            old != new for old, new in zip(before, (sheet.evaluate(colour), sheet.evaluate(letters)), strict=True)
        )
        sheet.locator("#sweep summary").press("Enter")
        assert sheet.locator("#sweep td").first.is_visible()
        assert sheet.evaluate("document.documentElement.scrollWidth") <= width


def score(*nats):
    return Score("cost", np.array(nats), np.full(len(nats), 4.0), np.full(len(nats), 16.0))


def made_up(tmp_path, name="a"):
    """A page of made-up numbers, whose texts have this name."""
    dial = [StepSweepPoint(n, score(16.0, 15 - n), score(15.9, 14 - n), 0.1) for n in (0, 1, 2)]
    points = [
        {"place": [x, x * x], "name": name, "text": name, "near": [["words", 0]], "about": {"order": x, "kind": name}}
        for x in (0, 1, 2)
    ]
    path = [InterpolationPoint(share, 3 + share, 4 - share, []) for share in (0.0, 0.5, 1.0)]
    views = {
        "thoughts": thought_views(SimpleNamespace(kl=torch.tensor([[[2.0, 1.0, 0.5]]]))),
        "map": map_views(points, ["first", "second"]),
        "sweep": [sweep_view(dial)],
        "change": [change_view(dial)],
        "path": path_views(path, (name, name), [name, name, name]),
    }
    charts = {chart: [view.to_dict() for view in shown] for chart, shown in views.items()}
    reading = {
        "name": name,
        "tokens": [name, "b"],
        "attention": [[0.45, 0.55]],
        "told": [[0.1, -0.2]],
        "all": [0.1, -0.3],
    }
    data = {**EMPTY, "charts": charts, "points": points, "readings": [reading]}
    (tmp_path / "page.html").write_text(page(name, name, False, [(name, [[name], [name]], name)], data))
    return tmp_path / "page.html"


EVIL = "<a href='https://evil.example'>x</a><b onmouseover=alert(1)>y</b><img src=x onerror=alert(2)>$a$ %{x} @@DATA@@"


def test_text_of_a_run_is_inert_in_the_browser(tmp_path, browser):
    with sheet_of(browser, made_up(tmp_path, EVIL)) as sheet:
        sheet.select_option("#colour", label="kind")
        assert sheet.locator("main a, main img, svg a").count() == 0
        assert sheet.locator("main b, svg b").count() == 0
        assert "<a href" in sheet.text_content("#map .legend")
        assert "<a href" in sheet.text_content("#path .legend")
        assert EVIL in sheet.inner_text("#text")
        assert sheet.text_content("#reading").startswith(EVIL)


def test_a_script_that_is_put_into_the_page_does_not_run(tmp_path, browser):
    path = made_up(tmp_path)
    path.write_text(path.read_text().replace("</main>", "</main><script>document.title = 'taken'</script>"))
    errors = []
    sheet = browser.new_page()
    sheet.on("console", lambda message: errors.append(message.text))
    sheet.goto(path.as_uri())
    assert sheet.title() == "a"
    assert any("Content Security Policy" in error for error in errors)
    sheet.close()


BROKEN = {
    "not drawn": "plot.replaceChildren()",
    "no labels": 'plot.querySelector(".ytitle").remove()',
    "no ticks": 'plot.querySelectorAll(".xtick, .ytick").forEach((tick) => tick.remove())',
    "small letters": 'plot.querySelectorAll(".xtick text").forEach((text) => { text.style.fontSize = "8px"; })',
    "cut off": 'plot.querySelector(".ytitle").setAttribute("transform", "translate(0 900)")',
    "no legend": 'plot.querySelector(".legend").remove()',
    "legend on the points": 'plot.querySelector(".legend").setAttribute("transform", "translate(0 90)")',
    "bars on each other": 'plot.querySelector(".errorbar").after(plot.querySelector(".errorbar").cloneNode(true))',
    "no caption": 'figure.querySelector("figcaption").replaceChildren()',
    "no description": 'plot.setAttribute("aria-label", "")',
    "no table": 'figure.querySelector("table").replaceChildren()',
}


def test_what_a_chart_lacks_is_noticed(tmp_path, browser):
    """A page of made-up numbers is sound, and each part that is taken from its charts is missed."""
    with sheet_of(browser, made_up(tmp_path)) as sheet:
        sheet.select_option("#colour", label="kind")
        assert sheet.evaluate(CHART_FAULTS) == []
        for fault, change in {"": "", **BROKEN}.items():
            sheet.reload()
            sheet.evaluate(f'() => {{ const figure = at("sweep"), plot = figure.querySelector(".plot"); {change} }}')
            found = sheet.evaluate(CHART_FAULTS)
            assert (f"sweep: {fault}" in found) if fault else found == [], found


def test_a_click_on_the_map_chooses_its_text(tmp_path, browser):
    with sheet_of(browser, made_up(tmp_path), width=1280) as sheet:
        assert sheet.input_value("#point") == "0"
        sheet.select_option("#colour", label="kind")
        point = sheet.locator("#map .scatterlayer .point").nth(2)
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        sheet.mouse.move(*place)
        sheet.mouse.click(*place)
        sheet.wait_for_function("at('point').value === '2'")


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("1792-Washington-1", {"year": 1792, "president": "Washington"}),
        ("Lincoln_1861", {"year": 1861, "president": "Lincoln"}),
        ("odd.txt+144", {}),
    ],
)
def test_the_name_of_an_address_gives_its_year_and_president(name, about):
    assert properties(name) == about


def test_error_bars_stand_beside_each_other_and_are_paired():
    dial = [StepSweepPoint(n, score(16.0, 15 - n), score(15.0, 14 - n), 0.1) for n in (0, 1, 2)]
    cost, change = (view(dial).figure.to_plotly_json()["data"] for view in (sweep_view, change_view))
    assert not set(cost[0]["x"]) & set(cost[1]["x"])
    assert cost[0]["error_y"]["array"][2] == pytest.approx(dial[2].elbo.standard_error)
    assert change[0]["y"][0] == 0
    assert change[0]["error_y"]["array"][2] == pytest.approx(dial[2].elbo.minus(dial[0].elbo)[1])


def test_texts_on_the_map_are_told_apart_by_colour_bar_or_by_symbols():
    points = [
        {"place": [0.0, n], "name": str(n), "about": {"order": n, **({"kind": f"k{n}"} if n else {})}} for n in range(9)
    ]
    order, kind = map_views(points, ["first", "second"])
    (numbers,) = order.figure.to_plotly_json()["data"]
    assert numbers["marker"]["color"] == list(range(9))
    assert numbers["marker"]["coloraxis"] == "coloraxis"
    categories = kind.figure.to_plotly_json()["data"]
    looks = [(place % 6, trace["marker"]["symbol"]) for place, trace in enumerate(categories)]
    assert [trace["name"] for trace in categories] == [*(f"k{n}" for n in range(1, 9)), "unknown"]
    assert len(set(looks)) == len(looks)
