"""A command is a function: what its signature and its docstring say is what the command line takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from ltm_pyro.cli import renamed
from ltm_pyro.cli.command import Command
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import Argument, Call, Quick, Seed


@dataclass(frozen=True)
class Sizes:
    """The sizes of a measurement.

    Args:
        rounds: of timing.
        steps: at which it is measured.
    """

    rounds: int = 5
    steps: tuple[int, ...] = (1, 2)


@in_range
def measure(
    run: str,
    corpus: str | None = None,
    *,
    kinds: Sequence[str] = ("a", "b"),
    files: Annotated[Mapping[str, str], Argument(metavar="KIND=PATH")] = {},
    against: Literal["tokens", "seconds"] = "tokens",
    draws: Annotated[int, whole(1)] = 16,
    shots: Annotated[Sequence[int], whole(0)] = (0, 5),
    field: str = "",
    again: Annotated[int, Argument("how often", alone=3), whole(0)] = 0,
    quick: Quick = False,
    seed: Seed = 0,
    sizes: Sizes | None = None,
    command: Sequence[str] = (),
):
    """Measure a run.

    Args:
        run: its folder.
        corpus: to measure it on.
        kinds: of measures.
        files: a file for a kind.
        against: what was spent.
        draws: S.
        shots: demonstrations.
        field: of the corpus.
        sizes: how much.
        command: that it can be repeated by.
    """
    return Call(measure, locals())


def presets(words):
    return {"sizes.rounds": 2} if "--quick" in words else {}


command = Command(measure, "ltm measure", names={"field": "data.field"}, presets=presets)


def test_what_is_left_out_has_the_functions_defaults():
    given = command.read(["here"])
    assert given.pop("sizes") == Sizes()
    assert Call(measure, {**given, "sizes": None, "command": []}).given == measure("here").given


def test_every_kind_of_argument_is_read():
    words = "here texts --kinds x y --files a=1=2 b=c --against seconds --shots 1 2 --data.field body --again --quick"
    given = command.read([*words.split(), "--sizes.steps", "[3]", "--seed=4"])
    assert given == {
        "run": "here",
        "corpus": "texts",
        "kinds": ["x", "y"],
        "files": {"a": "1=2", "b": "c"},
        "against": "seconds",
        "draws": 16,
        "shots": [1, 2],
        "field": "body",
        "again": 3,
        "quick": True,
        "seed": 4,
        "sizes": Sizes(2, (3,)),
    }
    assert command.read([*words.split(), "--again", "7", "--sizes.rounds", "9"])["sizes"].rounds == 9


def test_the_help_is_the_docstring_and_what_arguments_share(capsys):
    with pytest.raises(SystemExit):
        command(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "usage: ltm measure RUN [CORPUS] [--ARGUMENT VALUE ...] Measure a run." in told
    for part in (
        "S (type: int, default: 16)",
        "--files KIND=PATH",
        "smaller sizes, for a first look",
        "seed of all random numbers",
    ):
        assert part in told
    assert "repeated" not in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("here --draws 0", "--draws 0: expected 1 or more"),
        ("here --seed 4294967296", "--seed 4294967296: expected 4294967295 or less"),
        ("here --shots 1 -1", "--shots -1: expected 0 or more"),
        ("here --drwas 2", "Did you mean --draws?"),
        ("here --files a", "--files a: expected KIND=PATH"),
        ("here --against money", "expected one of 'tokens', 'seconds'"),
        ("--draws 1", "run"),
    ],
)
def test_what_makes_no_sense_is_refused(words, message):
    with pytest.raises(InputError) as refusal:
        command.read(words.split())
    assert message in str(refusal.value)


def test_in_python_the_same_range_holds_by_the_arguments_name():
    with pytest.raises(InputError, match=r"draws=0: expected 1 or more"):
        measure("here", draws=0)


def test_the_function_is_given_the_command_and_its_result_is_shown():
    shown = []
    code = Command(measure, "ltm some measure", lambda call: shown.append(call) or 3)(["here", "--draws", "2"])
    assert code == 3
    assert shown[0].given["command"] == ["some", "measure", "here", "--draws", "2"]


def test_an_option_by_its_old_name_is_refused_with_the_new_one(monkeypatch):
    monkeypatch.setitem(renamed.RENAMED, "ltm measure", {"samples": "draws"})
    for words in (["here", "--samples", "2"], ["here", "--samples=2"]):
        with pytest.raises(InputError, match=r"^--samples is --draws now"):
            command.read(words)
