"""Signals become requests, and only while asked to."""

import os
import signal
import threading

import pytest

from ltm_pyro.training.interruption import Interruption


def send(number):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def _known_handlers():
    """A test that fails must not end the test run: a stray signal raises instead."""

    def stray(number, frame):
        raise RuntimeError(f"stray {signal.Signals(number).name}")

    before = {number: signal.signal(number, stray) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_becomes_a_request(number):
    with Interruption() as interruption:
        assert interruption.requested is None
        send(number)
        assert interruption.requested == number.name


def test_a_second_sigint_is_a_keyboard_interrupt():
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        send(signal.SIGINT)
        assert interruption.requested == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_echo_of_the_first_sigint_is_no_second_one(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("ltm_pyro.training.interruption.time.monotonic", lambda: clock[0])
    with Interruption(echo=2.0) as interruption:
        for _ in range(3):
            send(signal.SIGINT)
            clock[0] += 0.5
        assert (interruption.requested, interruption.number) == ("SIGINT", signal.SIGINT)
        clock[0] += 2.0
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_after_a_second_sigint_python_s_default_is_back():
    with Interruption():
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_never_raises_and_the_first_signal_is_named():
    with Interruption() as interruption:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            send(number)
        assert interruption.requested == "SIGTERM"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_previous_handlers_come_back(number):
    with pytest.raises(ZeroDivisionError):
        with Interruption():
            raise ZeroDivisionError
    with pytest.raises(RuntimeError, match=f"stray {number.name}"):
        send(number)


def test_it_can_be_used_again():
    interruption = Interruption()
    for _ in range(2):
        with interruption:
            assert interruption.requested is None
            send(signal.SIGINT)
            assert interruption.requested == "SIGINT"


def test_ignored_signals_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption() as interruption:
        send(signal.SIGINT)
        send(signal.SIGINT)
        assert interruption.requested is None
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_in_another_thread_it_does_nothing():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with Interruption() as interruption:
            seen.append((interruption.requested, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]
