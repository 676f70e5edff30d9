"""`ltm serve`: the page over HTTP and in a browser."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import pyro
import pyro.distributions as dist
import pytest
import torch
from legibility import CHART_FAULTS
from runs import ltm

from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.evaluation.inspection.attribution import nats_gained
from ltm_pyro.generation import great_circle
from ltm_pyro.report import plotly_js
from ltm_pyro.runs.loading import load
from ltm_pyro.serving import DemoService, Worker, make_app, serve, server_config
from ltm_pyro.serving.worker import WAITING, BusyError
from ltm_pyro.training.run import Run

uvicorn = pytest.importorskip("uvicorn")
ASKED = {"text": "the union of people", "steps": 5, "seed": 0}
WRITING = {**ASKED, "tokens": 6, "temperature": 1.0}


@pytest.fixture(scope="module")
def desk(trained):
    run = Run.open(trained)
    return DemoService("a run", load(run, "best")[0], run.tokenizer)


@contextlib.contextmanager
def serving(desk):
    """A running server; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(desk), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def address(desk):
    with serving(desk) as found:
        yield found


def get(address, path, **headers):
    request = urllib.request.Request(address + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


def post(address, path, body, kind="application/json", **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": kind, **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, [json.loads(line) for line in answer.read().decode().splitlines()]
    except urllib.error.HTTPError as error:
        return error.code, [json.loads(error.read().decode())] if error.code != 400 else [error.read().decode()]


def test_a_fit_is_told_step_by_step_and_scored_with_fresh_noise(address):
    status, events = post(address, "/fit", ASKED)
    assert status == 200
    assert [event["step"] for event in events if "step" in event] == [1, 2, 3, 4, 5]
    (layers,) = (event["thoughts"] for event in events if "thoughts" in event)
    (numbers,) = (event["numbers"] for event in events if "numbers" in event)
    assert [len(layer) for layer in layers] == [2, 2]
    (told,) = (event for event in events if "tokens" in event)
    assert sum(map(sum, layers)) / told["tokens"] == pytest.approx(numbers["kl"], rel=1e-5)
    assert numbers["importance_weighted"] <= numbers["elbo"] + 1e-6
    assert events[-1] == {"done": True}
    assert post(address, "/fit", ASKED)[1] == events  # one seed, one answer: nothing of a request stays
    assert post(address, "/fit", {**ASKED, "seed": 1})[1] != events


def test_watching_changes_nothing(desk):
    heard = []
    desk.fit(ASKED, heard.append)
    x = desk._row(desk.tokenizer.encode(ASKED["text"]).tolist())
    with evaluation_mode(desk.model, desk.guide, 0):
        desk.fast.lasting(5).fit(desk.model, desk.guide, x)
        again = desk._thoughts()
    assert [event["thoughts"] for event in heard if "thoughts" in event] == [again]


def test_a_text_is_continued_and_written_between_two(address):
    status, events = post(address, "/write", WRITING)
    assert status == 200
    assert "".join(event.get("piece", "") for event in events)
    between = {**WRITING, "other": "war", "share": 0.5}
    assert post(address, "/write", between)[1] == post(address, "/write", between)[1]
    assert post(address, "/write", {**WRITING, "text": ""})[1][-1] == {"done": True}  # thoughts from the prior


def test_between_two_texts_the_thoughts_are_between_theirs(desk, monkeypatch):
    taken = {}

    def written(model, z, *given):
        taken[share] = z.clone()
        return iter(())

    monkeypatch.setattr("ltm_pyro.serving.demo_service.write", written)
    for share in (0.0, 0.5, 1.0):
        desk.write({**WRITING, "other": "war", "share": share}, lambda event: None)
    assert not torch.allclose(taken[0.0], taken[1.0])
    torch.testing.assert_close(taken[0.5], great_circle(taken[0.0], taken[1.0], 0.5))


@pytest.mark.parametrize(
    ("path", "changed", "told"),
    [
        ("/fit", {"text": "  "}, "type some text"),
        ("/fit", {"text": 7}, "type some text"),
        ("/fit", {"text": "a" * 20_001}, "at most 20,000"),
        ("/fit", {"steps": 10_000}, "expected a whole number from 0 to 256"),
        ("/fit", {"steps": True}, "expected a whole number"),
        ("/fit", {"seed": -1}, "expected a whole number"),
        ("/write", {"tokens": 17}, "expected a whole number from 1 to 16"),
        ("/write", {"other": "", "share": 0.5}, "other: type some text"),
        ("/write", {"other": "war", "share": 2}, "expected a number from 0 to 1"),
        ("/write", {"other": "war"}, "share=None"),
    ],
)
def test_bad_input_is_told_and_breaks_nothing(address, path, changed, told):
    status, events = post(address, path, {**WRITING, **changed})
    assert status == 200
    assert told in events[-1]["error"]
    assert post(address, "/fit", ASKED)[1][-1] == {"done": True}


def test_what_is_no_request_is_refused(address):
    assert post(address, "/fit", b"{", "application/json")[0] == 400
    assert post(address, "/fit", [1])[0] == 400
    assert post(address, "/fit", b"[" * 90_000)[0] == 400
    assert post(address, "/fit", ASKED, "text/plain")[0] == 415  # what a form of another site could send
    assert post(address, "/fit", {"text": "a" * 200_000})[0] == 413
    assert get(address, "/fit")[0] == 405


@pytest.mark.parametrize("path", ["/config.yaml", "/../app.py", "/%2e%2e/app.py", "/static/", "/page.html", "/docs"])
def test_nothing_else_is_there(address, path):
    status, _, headers = get(address, path)
    assert status == 404
    assert "default-src 'none'" in {name.lower(): value for name, value in headers.items()}["content-security-policy"]


def test_other_hosts_and_other_sites_are_kept_out(address):
    assert get(address, "/", Host="evil.example")[0] == 400
    assert post(address, "/fit", ASKED, Host="evil.example")[0] == 400
    status, _, headers = get(address, "/", Origin="http://evil.example")
    names = {name.lower(): value for name, value in headers.items()}
    assert status == 200
    assert "access-control-allow-origin" not in names
    assert "default-src 'none'" in names["content-security-policy"]
    assert names["x-content-type-options"] == "nosniff"


def test_a_long_text_is_cut_and_says_so(address):
    _, events = post(address, "/fit", {**ASKED, "text": "war and peace " * 40})
    assert {"tokens": 16, "cut": True, "of": "text"} in events
    _, events = post(address, "/write", {**WRITING, "other": "war and peace " * 40, "share": 0.5})
    assert [(event["of"], event["cut"]) for event in events if "cut" in event] == [("text", False), ("other", True)]


def test_each_step_is_told_with_the_text_that_it_fits(address):
    """Two fits are two curves, whose steps begin anew, and not one with a cliff."""
    _, events = post(address, "/write", {**WRITING, "other": "war", "share": 0.5})
    steps = [(event["of"], event["step"]) for event in events if "step" in event]
    assert steps == [(of, step) for of in ("text", "other") for step in range(1, 6)]
    for path in ("/fit", "/write"):
        assert {event["of"] for event in post(address, path, WRITING)[1] if "step" in event} == {"text"}


@pytest.mark.parametrize(
    ("action", "answers"),
    [
        ("fit", ["fitting", "numbers", "thoughts", "reading"]),
        ("continue", ["fitting", "history"]),
        ("between", ["fitting", "history"]),
    ],
)
def test_an_answer_stands_below_its_button_and_in_its_panel(address, action, answers):
    page = get(address, "/")[1]
    (panel,) = (part for part in page.split("<section") if f'id="{action}-part"' in part)
    button = panel.index(f'<button id="{action}"')
    for answer in ("status", *answers):
        (place,) = (match.start() for match in re.finditer(rf'(?:id|class)="(?:chart )?{answer}"', panel))
        assert place > button
    assert "<figcaption" in panel


def test_the_running_mean_is_that_of_the_latest_steps(address):
    _, events = post(address, "/fit", {**ASKED, "steps": 12})
    costs = [event["cost"] for event in events if "step" in event]
    means = [event["mean"] for event in events if "step" in event]
    window = json.loads(get(address, "/about")[1])["window"]
    assert means == pytest.approx([sum(costs[max(0, n - window) : n]) / min(n, window) for n in range(1, 13)])


def test_the_gain_of_the_tokens_adds_up_to_that_of_the_text(desk, monkeypatch):
    """With one z from either, the gains add up to the difference of log p(x | z)."""
    events = []
    desk.fit(ASKED, events.append)
    (reading,) = (event["reading"] for event in events if "reading" in event)
    assert "".join(reading["tokens"]) == ASKED["text"]
    assert len(reading["gained"]) == len(reading["tokens"])
    x = desk._row(desk.tokenizer.encode(ASKED["text"]).tolist())
    with evaluation_mode(desk.model, desk.guide, 0), torch.no_grad():
        desk.guide.start(x, None, desk.model.prior())
        z, prior_z = torch.randn(2, 1, *desk.model.prior.z_shape)
        monkeypatch.setattr(
            type(desk.guide), "forward", lambda guide, x, *_: pyro.sample("z", dist.Delta(z, event_dim=3))
        )
        monkeypatch.setattr(type(desk.model.prior), "forward", lambda prior: dist.Delta(prior_z[0], event_dim=3))
        gained = nats_gained(desk.model, desk.guide, 1, x=x)
        with_q, with_p = (desk.model.decoder.token_log_prob(x, desk.model.thoughts(each)) for each in (z, prior_z))
    torch.testing.assert_close(gained, with_q - with_p)
    assert gained.abs().max() > 0


def test_plotly_is_served_from_this_machine_and_may_be_kept(address):
    status, script, headers = get(address, "/plotly.js")
    names = {name.lower(): value for name, value in headers.items()}
    assert status == 200
    assert script == plotly_js()
    assert names["cache-control"] == "private, max-age=3600"
    assert "no-store" in {name.lower(): value for name, value in get(address, "/")[2].items()}["cache-control"]
    rules = dict(rule.strip().split(" ", 1) for rule in names["content-security-policy"].split(";"))
    assert rules["script-src"] == rules["connect-src"] == "'self'"


def test_visitors_wait_their_turn_and_too_many_are_sent_away():
    worker, held, order = Worker(), threading.Event(), []

    def job(wanted, tell):
        order.append(wanted["who"])
        held.wait(20)
        tell({"who": wanted["who"]})

    async def visit(who):
        return [event async for event in worker.events(job, {"who": who})]

    async def all_of_them():
        visits = [asyncio.create_task(visit(who)) for who in range(WAITING)]
        await asyncio.sleep(0.2)
        with pytest.raises(BusyError):
            await visit("late")
        assert order == [0]
        held.set()
        return await asyncio.gather(*visits)

    told = asyncio.run(all_of_them())
    worker.close()
    assert order == list(range(WAITING))
    assert told[3][0] == {"waiting": 3}
    assert all(events[-2:] == [{"who": who}, {"done": True}] for who, events in enumerate(told))


def test_a_visitor_who_leaves_stops_the_work():
    worker, steps, ended = Worker(), [], threading.Event()

    def job(wanted, tell):
        try:
            for step in range(10_000):
                steps.append(step)
                time.sleep(0.005)
                tell({"step": step})
        finally:
            ended.set()

    async def leave():
        events = worker.events(job, {})
        async for event in events:
            if event.get("step") == 3:
                break
        await events.aclose()

    asyncio.run(leave())
    assert ended.wait(10)
    worker.close()
    assert len(steps) < 100


def test_what_fails_inside_is_not_shown():
    worker = Worker()

    def job(wanted, tell):
        raise RuntimeError("a secret")

    async def visit():
        return [event async for event in worker.events(job, {})]

    told = asyncio.run(visit())
    worker.close()
    assert told[-1]["error"] == "the server failed: see its terminal"


def test_what_cannot_be_served_is_refused(trained, reference, capsys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert ltm("serve", trained, "--port", port) == 2
        assert "Give another --port" in capsys.readouterr().err
    assert ltm("serve", reference, "--port", 0) == 2
    assert "has no thoughts to show" in capsys.readouterr().err
    assert ltm("serve", trained, "--host", "0.0.0.0", "--port", 0) == 2
    assert "give --names" in capsys.readouterr().err
    assert serve.hosts_of("0.0.0.0", ["box"]) == ["127.0.0.1", "localhost", "box"]
    with pytest.raises(InputError):
        serve.listen("203.0.113.7", 0)


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "light")])
def test_the_page_works_in_a_browser(address, width, scheme):
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    errors, requests = [], []
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 740}, color_scheme=scheme)
        page.on(
            "console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        page.locator("#about", has_text="2 layers of 2 thoughts").wait_for()
        assert page.title() == "Thoughts of a run"
        page.fill("#text", "<b>war</b> & peace")
        page.locator("#steps").fill("7")
        assert page.inner_text("#steps-told") == "7"
        page.locator("#fit").press("Enter")
        page.locator("#fit-part .status", has_text="Done").wait_for()
        assert "importance-weighted" in page.inner_text("#numbers")
        assert page.locator("#thoughts .plot .point").count() == 4
        assert page.text_content("#reading-tokens").startswith("<b>war</b>")
        fits = page.locator("#fit-part .fitting .plot")
        assert fits.evaluate("(plot) => plot.data.map((trace) => trace.x.length)") == [7, 7]
        assert "7 steps" in fits.get_attribute("aria-label")
        page.locator("#tokens").fill("8")
        page.fill("#one", "<i>war</i>")
        for action, curves in (("continue", 1), ("between", 2), ("continue", 1)):
            page.click(f"#{action}")
            panel = page.locator(f"#{action}-part")
            panel.locator(".status", has_text="Done").wait_for()
            assert panel.locator(".answer").last.text_content() != ""
            assert panel.locator(".legendtext").count() == 2 * curves  # each step, and the running mean
        assert page.locator("#continue-part .history li").count() == 2
        asked = [box.text_content() for box in page.locator("#between-part .asked > div").all()]
        assert asked == ["<i>war</i>", page.input_value("#other")]
        one, other = (page.locator(f"#{name}").bounding_box() for name in ("one", "other"))
        assert (one["y"] == other["y"]) == (width > 1000)  # side by side where there is room
        assert page.evaluate(CHART_FAULTS) == []
        page.locator("#fit-part summary").first.press("Enter")
        assert page.locator("#fit-part td").first.is_visible()
        before = page.evaluate("getComputedStyle(document.querySelector('#thoughts .xtitle')).fill")
        page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        page.wait_for_function(
            "(old) => getComputedStyle(document.querySelector('#thoughts .xtitle')).fill !== old", arg=before
        )
        page.click("#continue-part .clear")
        assert page.locator("#continue-part .history li").count() == 0
        page.fill("#text", "")
        page.click("#fit")
        page.locator("#fit-part .status.bad").wait_for()
        assert "type some text" in page.inner_text("#fit-part .status")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        unnamed = "[...document.querySelectorAll('input, textarea')].filter((input) => !input.labels.length).length"
        assert page.evaluate(unnamed) == 0
        browser.close()
    assert errors == []
    assert all(url.startswith((address, "data:")) for url in requests)


@contextlib.contextmanager
def bounded(seconds):
    """The server as `ltm serve` starts it, with short limits, around an application that answers at once."""

    async def answer(scope, receive, send):
        body = b"x" * (50_000_000 if scope["path"] == "/large" else 1)
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_config(answer, header_seconds=seconds, send_seconds=seconds))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_connections_that_send_nothing_more_are_closed(begun):
    with bounded(0.3) as address:
        slow = [socket.create_connection(address, timeout=20) for _ in range(10)]
        for connection in slow:
            connection.sendall(begun)
        for connection in slow:
            with contextlib.suppress(ConnectionError):
                assert connection.recv(100) == b""  # closed, and not by us
            connection.close()
        assert get(f"http://{address[0]}:{address[1]}", "/")[0] == 200


def test_a_connection_is_for_one_request():
    with bounded(5) as address:
        headers = get(f"http://{address[0]}:{address[1]}", "/")[2]
        assert {name.lower(): value for name, value in headers.items()}["connection"] == "close"


@pytest.mark.parametrize("how", ["reset", "not taken"])
def test_a_visitor_who_leaves_in_the_middle_costs_one_line(how, caplog):
    with bounded(0.3) as address:
        connection = socket.create_connection(address)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        if how == "reset":
            connection.recv(10)
            connection.close()
        time.sleep(1)
        connection.close()
    assert "Traceback" not in caplog.text
    assert len(caplog.text.splitlines()) <= 2


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b'{"text": NaN}',
        b'{"text": ["a"]}',
        b'{"text": {"a": 1}}',
        b"[]",
        b'"x"',
        b"\xff",
        b'{"a": ' * 9_000,
    ],
)
def test_odd_bodies_are_refused_in_one_line(address, body):
    status, answer = post(address, "/fit", body)
    assert status == 400
    (message,) = (json.loads(text)["error"] for text in answer)
    assert "the body cannot be read" in message
    assert "\n" not in message
