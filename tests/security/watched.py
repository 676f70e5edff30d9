"""A process that opens hostile runs and notices whatever is executed, imported, written elsewhere or connected to.

`python watched.py` in a folder with a run `run` and hostile modules; writes its findings as JSON.
"""

import contextlib
import io
import json
import os
import resource
import sys
import time
from pathlib import Path

HERE = Path.cwd()
BAD = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "socket.bind"}
SEEN: list[str] = []


def watch(event, given):
    if event in BAD:
        SEEN.append(f"{event} {given[0]}")
    elif event == "exec" and _is_hostile(Path(getattr(given[0], "co_filename", ""))):
        SEEN.append(f"executed {given[0].co_filename}")
    elif event in ("open", "os.mkdir") and isinstance(given[0], str) and _writes(event, given):
        SEEN.append(f"{event} {given[0]}")


def _is_hostile(file):
    return HERE in file.parents or file.stem in ("antigravity", "cpp_extension")


def _writes(event, given):
    path = Path(os.path.abspath(given[0]))
    writing = event == "os.mkdir" or (isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    own = HERE / "run" in path.parents or str(path).startswith("/dev/") or "torchinductor" in path.name
    return bool(writing) and not own


def limit_memory(more):
    """No more than so many bytes beyond what is mapped now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)


def opened(action):
    """The end of one attempt, its message, and what was noticed meanwhile."""
    del SEEN[:]
    out, err, began = io.StringIO(), io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = action()
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    marked = [f"made {name}" for name in ("PWNED",) if Path(name).exists()]
    for name in marked:
        Path(name.removeprefix("made ")).unlink()
    return {"code": code, "err": err.getvalue(), "seen": [*SEEN, *marked], "seconds": time.monotonic() - began}


def commands(main):
    """Every command that opens a run, with `run` in each place where it takes one."""
    words = {
        "evaluate": "evaluate run",
        "evaluate --baseline": "evaluate mine text.jsonl --baseline run",
        "export": "export run out.nc",
        "inspect": "inspect run",
        "control": "control run --attribute label",
        "generate": "generate run",
        "generate --draft": "generate mine --draft run",
        "generate --given": "generate run --given x",
        "serve": "serve run --port 0",
        "push": "push run hf:me/it --to_folder run/pushed",
        "plot": "plot run",
        "compare bounds": "compare bounds run --out run/compared",
        "compare guides": "compare guides run --out run/compared",
        "compare models": "compare models mine run --out run/compared",
        "suite generation": "evaluate run --suite generation",
        "suite gsm8k": "evaluate run --suite gsm8k",
        "suite zero-shot": "evaluate run --suite zero-shot",
        "suite harness": "evaluate run --suite harness --tasks x",
        "train --resume": "train --resume run",
        "train --config": "train --config run/config.yaml --run run/again",
        "train --train.start_from": "train text.jsonl --train.start_from run --run run/again",
    }
    return {name: lambda line=line: main(line.split()) for name, line in words.items()}


def attempts(edits, every, first):
    """Each hostile run through `first` doors, and the one that is named in `every` through all of them."""
    import yaml
    from hostile_runs import NEED_CONSENT

    from ltm_pyro import TrainedRun
    from ltm_pyro.cli.main import main
    from ltm_pyro.training.run import Run

    config = yaml.safe_load(Path("run/config.yaml").read_text())
    doors = {**commands(main), "Run.open": lambda: Run.open("run") and 0, "load": lambda: bool(Run.open("run").load())}
    doors["from_pretrained"] = lambda: bool(TrainedRun.from_pretrained("run"))
    for name, (edit, _) in edits.items():
        Path("run/config.yaml").write_text(edit(config))
        for door in doors if name == every else first:
            yield name, door, opened(doors[door])
    Path("run/config.yaml").write_text(NEED_CONSENT["a module of the current folder"][0](config))
    yield (
        "the watch itself",
        "Run.open",
        opened(lambda: sys.path.append("") or (Run.open("run", trust_code=True) and 0)),
    )


if __name__ == "__main__":
    from hostile_runs import NEED_CONSENT, REFUSED

    import ltm_pyro.cli.evaluate
    import ltm_pyro.cli.train  # noqa: F401  (what is imported before is not what is watched)

    sys.addaudithook(watch)
    limit_memory(2**31)
    found = attempts({**NEED_CONSENT, **REFUSED}, "a function", ("evaluate", "train --config"))
    json.dump([{"name": name, "door": door, **result} for name, door, result in found], sys.stdout)
