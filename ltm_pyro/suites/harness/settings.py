"""The settings of a task of lm-evaluation-harness for a written answer: its `generation_kwargs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling

WRITTEN = 256  # tokens, where a task does not say
LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")  # names of one setting
KNOWN = ("until", *LENGTHS, "do_sample", "temperature", "top_k", "top_p")
WITHOUT_EFFECT = {  # the values of other settings at which they do nothing
    "num_beams": 1,
    "num_beam_groups": 1,
    "num_return_sequences": 1,
    "n": 1,
    "best_of": 1,
    "repetition_penalty": 1,
    "length_penalty": 1,
    "diversity_penalty": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "encoder_repetition_penalty": 1,
    "no_repeat_ngram_size": 0,
    "typical_p": 1,
    "min_p": 0,
    "epsilon_cutoff": 0,
    "eta_cutoff": 0,
    "min_length": 0,
    "min_new_tokens": 0,
    "min_tokens": 0,
    "penalty_alpha": 0,
    "early_stopping": False,
    "ignore_eos": False,
}


class GenerationSettings(NamedTuple):
    """How an answer is written.

    Attributes:
        sampling: how a token is drawn; greedy unless the task samples or gives a temperature above 0.
        tokens: the most to write.
        until: texts at which the answer ends.
    """

    sampling: Sampling
    tokens: int
    until: tuple[str, ...]

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> GenerationSettings:
        """The settings that a task's `generation_kwargs` ask for; a value of None is as if it were left out.

        Raises:
            InputError: for a setting that is not followed, by its name, or a value that cannot be.
        """
        settings = {name: value for name, value in given.items() if value is not None}
        for name, value in settings.items():
            if name not in KNOWN:
                _refuse_effect(name, value)
        return cls(_sampling(settings), _tokens(settings), _until(settings))

    def cut(self, text: str) -> str:
        """A text up to the first of the texts at which it ends."""
        for stop in self.until:
            text = text.partition(stop)[0] if stop else text
        return text


def _refuse_effect(name: str, value: Any) -> None:
    if name not in WITHOUT_EFFECT or value != WITHOUT_EFFECT[name]:
        neutral = f", or give {WITHOUT_EFFECT[name]}, which does nothing" if name in WITHOUT_EFFECT else ""
        raise InputError(
            f"generation_kwargs {name}={value!r}: this setting is not followed, only {', '.join(KNOWN)} are: leave "
            f"it out{neutral}"
        )


def _sampling(settings: Mapping[str, Any]) -> Sampling:
    """As the harness has it: `do_sample: false` is greedy whatever the temperature; a temperature alone samples."""
    samples = settings.get("do_sample", bool(settings.get("temperature", 0.0)))
    if not isinstance(samples, bool):
        raise InputError(f"generation_kwargs do_sample={samples!r}: expected true or false")
    try:
        asked = Sampling(settings.get("temperature", 1.0), settings.get("top_k", 0), settings.get("top_p", 1.0))
    except InputError as error:
        raise InputError(f"generation_kwargs {error}") from error
    return asked if samples else Sampling(0.0)


def _tokens(settings: Mapping[str, Any]) -> int:
    given = {name: settings[name] for name in LENGTHS if name in settings}
    for name, tokens in given.items():
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
            raise InputError(f"generation_kwargs {name}={tokens!r}: expected a whole number of tokens, 1 or more")
    if len(set(given.values())) > 1:
        told = " and ".join(f"{name}={tokens}" for name, tokens in given.items())
        raise InputError(f"generation_kwargs {told} name the same length: give one of them")
    return next(iter(given.values()), WRITTEN)


def _until(settings: Mapping[str, Any]) -> tuple[str, ...]:
    until = settings.get("until", ())
    stops = (until,) if isinstance(until, str) else until
    if not isinstance(stops, (list, tuple)) or not all(isinstance(stop, str) for stop in stops):
        raise InputError(f"generation_kwargs until={until!r}: expected a text, or a list of texts")
    return tuple(stops)
