"""Generation settings of a task of lm-evaluation-harness: its `generation_kwargs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling

WRITTEN = 256  # default number of tokens
LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")  # names of one setting
KNOWN = ("until", *LENGTHS, "do_sample", "temperature", "top_k", "top_p")
WITHOUT_EFFECT = {  # values of other settings without effect
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
    """Settings for the generation of an answer.

    Attributes:
        sampling: sampling of tokens; greedy unless the task samples or gives a temperature above 0.
        tokens: largest number of tokens.
        until: stop strings.
    """

    sampling: Sampling
    tokens: int
    until: tuple[str, ...]

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> GenerationSettings:
        """Read a task's `generation_kwargs`; None counts as left out.

        Raises:
            InputError: for a setting that is not supported, by its name, or an invalid value.
        """
        settings = {name: value for name, value in given.items() if value is not None}
        for name, value in settings.items():
            if name not in KNOWN:
                _refuse_effect(name, value)
        return cls(_sampling(settings), _tokens(settings), _until(settings))

    def cut(self, text: str) -> str:
        """Text up to the first stop string."""
        for stop in self.until:
            text = text.partition(stop)[0] if stop else text
        return text


def _refuse_effect(name: str, value: Any) -> None:
    if name not in WITHOUT_EFFECT or value != WITHOUT_EFFECT[name]:
        neutral = f", or give {WITHOUT_EFFECT[name]}, which has no effect" if name in WITHOUT_EFFECT else ""
        raise InputError(
            f"generation_kwargs {name}={value!r}: this setting is not supported, only {', '.join(KNOWN)} are: leave "
            f"it out{neutral}"
        )


def _sampling(settings: Mapping[str, Any]) -> Sampling:
    """Sampling by the harness's rules: `do_sample: false` is greedy at any temperature; a temperature alone samples."""
    samples = settings.get("do_sample", bool(settings.get("temperature", 0.0)))
    if not isinstance(samples, bool):
        raise InputError(f"generation_kwargs do_sample={samples!r}: expected true or false")
    try:
        sampling = Sampling(settings.get("temperature", 1.0), settings.get("top_k", 0), settings.get("top_p", 1.0))
    except InputError as error:
        raise InputError(f"generation_kwargs {error}") from error
    return sampling if samples else Sampling(0.0)


def _tokens(settings: Mapping[str, Any]) -> int:
    lengths = {name: settings[name] for name in LENGTHS if name in settings}
    for name, tokens in lengths.items():
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
            raise InputError(f"generation_kwargs {name}={tokens!r}: expected a whole number of tokens, 1 or more")
    if len(set(lengths.values())) > 1:
        pairs = " and ".join(f"{name}={tokens}" for name, tokens in lengths.items())
        raise InputError(f"generation_kwargs {pairs} name the same length: give one of them")
    return next(iter(lengths.values()), WRITTEN)


def _until(settings: Mapping[str, Any]) -> tuple[str, ...]:
    until = settings.get("until", ())
    stops = (until,) if isinstance(until, str) else until
    if not isinstance(stops, (list, tuple)) or not all(isinstance(stop, str) for stop in stops):
        raise InputError(f"generation_kwargs until={until!r}: expected a text, or a list of texts")
    return tuple(stops)
