"""`ltm`: the entry point, which calls a command; each command has its own module."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from ltm_pyro import __version__
from ltm_pyro.allocation import keep_freed_memory
from ltm_pyro.device import on_device
from ltm_pyro.errors import InputError
from ltm_pyro.runs.keeping import NotKeptError, reason_of
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.spinning import spin_briefly
from ltm_pyro.training.launch import launched
from ltm_pyro.training.memory import is_out_of_memory

COMMANDS = {
    "train": "train a model on a corpus (the built-in one if none is given)",
    "evaluate": "score a run on held-out or other text: bounds, KL, perplexity",
    "export": "write a run's posteriors and numbers, text by text, for ArviZ, xarray or pandas",
    "inspect": "report on a run's thoughts: the information in each, and in all of them",
    "generate": "write text with a trained run",
    "control": "let a field of the corpus, such as a label, control a run's thoughts",
    "refine": "refine a run on its own attempts at questions, as a new run",
    "sums": "write a task that a small model can learn: sums with carries, as chains",
    "compare": "compare runs, or bounds, guides and priors",
    "scale": "train and score a grid of sizes and fast steps; figures and a law against compute",
    "plot": "draw the learning curves of several runs",
    "serve": "open a web page to explore a run's thoughts",
    "push": "put a run on the Hugging Face hub, with a model card",
    "pull": "fetch a run from the Hugging Face hub",
    "import-weights": "make a run from weights of the paper's released code",
}

ON_A_DEVICE = ("train", "evaluate", "export", "inspect", "generate", "control", "refine", "compare", "scale", "serve")
OF_THE_DISK = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT, errno.EIO, errno.EFBIG}

GREETING = f"""ltm {__version__}: Latent Thought Models as Pyro programs.

usage: ltm COMMAND ...          (ltm COMMAND --help lists its arguments)

{chr(10).join(f"  {name:15} {summary}" for name, summary in COMMANDS.items())}

Commands that run a model take --device cpu, cuda or cuda:1; by default a GPU if there is one.

To begin:
  ltm train                     trains the default model on the built-in corpus, in a few minutes
  ltm evaluate RUN              its four numbers; RUN is the folder that `ltm train` names
  ltm generate RUN              text from it
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    Exit codes: 0 success; 1 a run that diverged, or results that were shown but could not be saved; 2 bad input; 130
    and 143 stopped by SIGINT and SIGTERM; 141 the reader of the output has gone.
    """
    spin_briefly()  # before anything imports torch
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # text may hold characters that the terminal's encoding lacks
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except InputError as error:
        print(f"ltm: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or ["allocation failed"])[0]
        print(f"ltm: memory ran out ({reason}): give smaller sizes, or a smaller batch", file=sys.stderr)
        return 2
    except NotKeptError as error:
        print(f"ltm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nltm: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `ltm generate RUN | head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        print(f"ltm: {reason_of(error)}. Free some space, or give a folder that can be written", file=sys.stderr)
        return 2


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(GREETING, end="")
        return 0
    if argv[0] == "--version":
        print(f"ltm_pyro {__version__}")
        return 0
    command, (device, words) = _command(argv[0]), _device_in(argv)
    try:
        with on_device(device):
            return command(words)
    except SystemExit as end:  # raised by the parser after --help and --print_config
        return int(end.code or 0)


def _device_in(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of `--device`, if the command has that option, and the other words after the command."""
    device, words = None, list(argv[1:])
    for place, word in enumerate(words if argv[0] in ON_A_DEVICE else []):
        if word == "--device" or word.startswith("--device="):
            width = 2 if word == "--device" else 1
            if place + width > len(words):
                raise InputError("--device: expected a device after it, such as cpu or cuda")
            device = words[place + 1] if width == 2 else word.partition("=")[2]
            return device, words[:place] + words[place + width :]
    return device, words


def _command(name: str) -> Callable[[Sequence[str]], int]:
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS)
        raise InputError(f"unknown command {name!r}: {hint}The commands are {', '.join(COMMANDS)}")
    if name != "train" and launched() > 1:
        raise InputError(f"several processes were launched, but only `ltm train` shares its work: start {name} alone")
    return import_module(f"ltm_pyro.cli.{name.replace('-', '_')}").main


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        sys.path.pop(0)  # the current folder, which `python -m` puts before all others
    sys.exit(main())
