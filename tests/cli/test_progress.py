"""Progress that is shown: one live line in a terminal, a line now and then elsewhere."""

import io

import pytest

from ltm_pyro.runs import progress
from ltm_pyro.runs.progress import Progress, clock, training_line


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def now(monkeypatch):
    """A clock that stands until it is moved."""
    hands = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: hands[0])
    return hands


def test_a_file_gets_the_first_the_last_and_a_line_now_and_then(now):
    file = io.StringIO()
    shown = Progress(100, stream=file)
    for step in range(1, 101):
        now[0] += 1
        shown.update(step, "all is well")
    steps = [int(line.split("/")[0]) for line in file.getvalue().splitlines()]
    assert steps == [1, 16, 31, 46, 61, 76, 91, 100]
    assert file.getvalue().splitlines()[1] == "16/100  all is well  1:24 left"


def test_a_terminal_gets_one_line_that_lives(now):
    terminal = Terminal()
    shown = Progress(10, stream=terminal)
    for text in ("a long line", "short"):
        now[0] += 1
        shown.update(1, text)
    shown.clear()
    assert "\n" not in terminal.getvalue()
    _, first, second, blank, end = terminal.getvalue().split("\r")
    assert len(second) == len(first)  # what is left of the longer line is wiped out
    assert blank.strip() == end == ""


def test_a_resumed_run_is_not_credited_with_what_it_did_before(now):
    file = io.StringIO()
    shown = Progress(100, done=90, stream=file)
    now[0] += 10
    shown.update(95)
    assert file.getvalue() == "95/100  0:10 left\n"


@pytest.mark.parametrize("done", [0, 7])
def test_nothing_is_said_of_the_time_left_before_there_is_a_pace(now, done):
    file = io.StringIO()
    shown = Progress(100, done=done, stream=file)
    shown.update(done, "reading")
    now[0] += 20
    shown.update(done, "reading")
    shown.update(100)
    assert file.getvalue().splitlines() == [f"{done}/100  reading"] * 2 + ["100/100  0:00 left"]


def test_clocks():
    assert [clock(seconds) for seconds in (0, 59.6, 61, 3600, 36_061)] == [
        "0:00",
        "1:00",
        "1:01",
        "1:00:00",
        "10:01:01",
    ]


def test_a_training_line_is_short():
    record = {"tokens": 1_234_567, "tokens_per_second": 890.1, "elbo": -1.5, "log_likelihood": -1.25, "kl": 0.25}
    line = training_line({**record, "kl_per_layer": [0.2, 0.05]})
    assert line == "1.23M tokens  890/s  ELBO -1.500  log-lik -1.250  KL 0.250 [0.200 0.050]"
    assert training_line({**record, "kl_per_layer": []}).endswith("KL 0.250")


def test_only_slow_loading_is_spoken_of():
    record = {"tokens": 10, "tokens_per_second": 5, "elbo": -1.0}
    assert "waiting" not in training_line({**record, "data_share": 0.01})
    assert training_line({**record, "data_share": 0.2}).endswith("20% waiting for data")
