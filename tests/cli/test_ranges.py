"""Every number of every command has a range: what is outside it is refused by name, before a run is looked for."""

import re
from importlib import import_module

import pytest
from runs import ltm

from ltm_pyro.cli.suites import SUITES, suite_command

COMMANDS = {  # by its module, or the suite, the words before its options
    "compare_bounds": ["compare", "bounds", "nowhere"],
    "compare_guides": ["compare", "guides", "nowhere"],
    "compare_models": ["compare", "models", "nowhere", "elsewhere"],
    "control": ["control", "nowhere", "--attribute", "label"],
    "evaluate": ["evaluate", "nowhere"],
    "generate": ["generate", "nowhere"],
    "import_weights": ["import-weights", "nowhere"],
    "inspect": ["inspect", "nowhere"],
    "plot": ["plot", "nowhere"],
    "refine": ["refine", "nowhere", "--questions", "none", "--checker", "sums"],
    "serve": ["serve", "nowhere"],
    "sums": ["sums", "nowhere"],
    "generation": ["evaluate", "nowhere", "--suite", "generation"],
    "gsm8k": ["evaluate", "nowhere", "--suite", "gsm8k"],
    "harness": ["evaluate", "nowhere", "--suite", "harness", "--tasks", "sciq"],
    "zero-shot": ["evaluate", "nowhere", "--suite", "zero-shot"],
}
BY_HAND = [
    "compare priors --seeds",
    "compare priors --seconds",
    *(f"scale --thoughts 1 --{name}" for name in ("processes", "limit", "seed")),
]


def parser_of(module):
    if module in SUITES:
        return suite_command(module).parser()
    commands = import_module(f"ltm_pyro.cli.{module}")
    return getattr(commands, "command", commands.main).parser()


def numbers(module):
    """The options of a command that are numbers, and whether they may be fractions."""
    for action in parser_of(module)._actions:
        kind = str(getattr(action, "type", None) or getattr(action, "_typehint", ""))
        if re.search(r"\b(int|float)\b", kind) and action.option_strings:
            yield action.option_strings[0], "float" in kind, re.search(r"tuple|list", kind) is not None


@pytest.mark.parametrize("module", [*COMMANDS, "pull", "push"])
def test_every_argument_says_what_it_is(module):
    said = {action.dest: action.help or "" for action in parser_of(module)._actions}
    unsaid = [name for name, text in said.items() if not text or "runs.arguments" in text]
    assert unsaid == []


def test_the_walk_finds_what_it_is_for():
    found = {f"{module} {option}" for module in COMMANDS for option, *_ in numbers(module)}
    assert found >= {
        "evaluate --draws",
        "generate --temperature",
        "plot --points",
        "gsm8k --shots",
        "serve --port",
    }
    assert len(found) > 60


@pytest.mark.parametrize("module", COMMANDS)
def test_numbers_out_of_range_are_refused_by_name(module, capsys):
    let_through = []
    for option, fraction, several in numbers(module):
        for value in ("-1", "nan" if fraction else str(10**30)):
            code = ltm(*COMMANDS[module], f"{option}=[{value}]" if several else f"{option}={value}")
            message = capsys.readouterr().err
            if code != 2 or option.rsplit(".", 1)[-1].lstrip("-") not in message or "is not a run" in message:
                let_through.append(f"{option}={value}: {message}")
    assert let_through == []


@pytest.mark.parametrize("words", BY_HAND)
@pytest.mark.parametrize("value", ["-1", "100000000000000000000"])
def test_studies_refuse_them_too(words, value, capsys):
    if (words, value) == ("compare priors --seconds", "100000000000000000000"):
        value = "inf"
    assert ltm(*words.split(), value) == 2
    assert words.split()[-1].lstrip("-") in capsys.readouterr().err
