"""Mutants of a run's files, of a user's files and of command lines."""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 10**30, 1e308, -1e-300, float("nan"), float("inf"),
    "", "x", "²", "a\nb", "\ud800", "../../etc/passwd", "x" * 100_000, [], {}, [[]], {"": None}, [1, "a", None],
)  # fmt: skip
SIZES = (-1, 0, 10**6, 10**9, 2**63, 10**30)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
READERS = ("evaluate", "generate", "inspect", "plot", "push", "resume")


class Mutant(NamedTuple):
    """Damage to a copy of a run, with the command to execute on it.

    Attributes:
        name: damaged file and kind of damage.
        damage: function that damages the folder with `run` and `corpus.jsonl`.
        words: words of the command line.
        bears: True if the command needs the damaged file, so that exit code 0 would be a fault.
    """

    name: str
    damage: Callable[[Path], None]
    words: Sequence[str]
    bears: bool = False


def mutant(seed: int, number: int) -> Mutant:
    """Mutant of a seed and a number, deterministic."""
    choose = random.Random(seed * 1_000_003 + number)
    return choose.choice(KINDS)(choose)


def command(choose: random.Random, names: Sequence[str] = READERS) -> list[str]:
    """Words of a small command that reads a run."""
    small = {
        "evaluate": ["evaluate", "run", "--limit", "2", "--draws", "2"],
        "generate": ["generate", "run", "--tokens", "3", "--prompt", "the people"],
        "inspect": ["inspect", "run", "--limit", "3", "--draws", "2", "--detail", "0"],
        "plot": ["plot", "run"],
        "push": ["push", "run", "hf:nobody/nothing", "--to_folder", "copy"],
        "resume": ["train", "--resume", "run"],
    }
    return small[choose.choice(names)]


def of_json(choose: random.Random) -> Mutant:
    """Mutant with a damaged JSON file of the run: other values, other shapes, deep nesting, or truncation."""
    name = choose.choice(("data.json", "info.json", "training-state.json", "manifest.json", "tokenizer.json"))
    seed, how = choose.random(), choose.choice(("value", "value", "delete", "nest", "cut", "other"))
    words = command(choose)

    def damage(folder: Path) -> None:
        random_state = random.Random(seed)
        for path in _named(folder, name):
            path.write_text(_damaged_json(random_state, path.read_text(encoding="utf-8"), how), encoding="utf-8")
        if random_state.random() < 0.7 and name != "manifest.json":
            _seal(folder)

    ruins_file = how in ("nest", "cut", "other")
    needed = {"data.json": ("train",), "tokenizer.json": ("evaluate", "generate", "inspect", "push", "train")}
    bears = ruins_file and words[0] in needed.get(name, ())
    return Mutant(f"{name}: {how}", damage, words, bears)


def of_metrics(choose: random.Random) -> Mutant:
    """Mutant with a damaged line of the metrics."""
    seed, how = choose.random(), choose.choice(("value", "delete", "nest", "other"))

    def damage(folder: Path) -> None:
        random_state = random.Random(seed)
        path = folder / "run" / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines()
        place = random_state.randrange(len(lines) - 1)
        lines[place] = _damaged_json(random_state, lines[place], how).replace("\n", " ")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return Mutant(f"metrics.jsonl: {how}", damage, command(choose, ("plot", "push", "resume")), how == "nest")


def of_config(choose: random.Random) -> Mutant:
    """Mutant with a damaged config.yaml: a null, odd or huge value, a missing key, deep nesting, an alias bomb."""
    import yaml

    seed, how = choose.random(), choose.choice(("null", "odd", "size", "size", "delete", "bomb", "nest", "bytes"))

    def damage(folder: Path) -> None:
        random_state = random.Random(seed)
        path = folder / "run" / "config.yaml"
        text = path.read_text(encoding="utf-8")
        if how == "bomb":
            text = BOMB + text
        elif how == "nest":
            text += "extra: " + "[" * 10_000 + "]" * 10_000
        elif how == "bytes":
            place = random_state.randrange(len(text))
            text = text[:place] + random_state.choice("\0\x07:[{&*!%@`\t") + text[place + 1 :]
        else:
            content = yaml.safe_load(text)
            holder, key = random_state.choice([(h, k) for h, k in _places(content) if isinstance(h, dict)])
            if how == "delete":
                del holder[key]
            else:
                values = {"null": (None,), "odd": ODD[2:], "size": SIZES}[how]
                holder[key] = random_state.choice(values)
            text = yaml.safe_dump(content)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))

    return Mutant(f"config.yaml: {how}", damage, command(choose), how in ("bomb", "nest"))


def of_weights(choose: random.Random) -> Mutant:
    """Mutant with damaged weights: renamed tensors, other shapes, NaN, flipped bytes or a false header."""
    seed, how = choose.random(), choose.choice(("rename", "shape", "nan", "inf", "flip", "cut", "header", "dtype"))
    words = command(choose, ("evaluate", "generate", "inspect", "push", "resume"))

    def damage(folder: Path) -> None:
        random_state = random.Random(seed)
        for path in _named(folder, "model.safetensors"):
            path.write_bytes(_damaged_weights(random_state, path.read_bytes(), how))
        if how != "flip":
            _seal(folder)

    return Mutant(f"model.safetensors: {how}", damage, words, True)


def of_place(choose: random.Random) -> Mutant:
    """Mutant with a link, a pipe, a folder or nothing in the place of a file."""
    name = choose.choice(("config.yaml", "tokenizer.json", "metrics.jsonl", "data.json", "evaluation/validation.json"))
    name = choose.choice((name, "info.json", "model.safetensors", "checkpoints", "evaluation"))
    how = choose.choice(("link", "pipe", "folder", "missing", "empty"))

    def damage(folder: Path) -> None:
        for path in _named(folder, name):
            (folder / "elsewhere").write_text("secret")
            path.rename(folder / f"gone-{path.parent.name}-{path.name}")
            if how == "link":
                path.symlink_to(folder / "elsewhere")
            elif how == "pipe":
                os.mkfifo(path)
            elif how == "folder":
                path.mkdir()
            elif how == "empty":
                path.write_bytes(b"")

    return Mutant(f"{name}: {how}", damage, command(choose), how in ("link", "pipe"))


def of_words(choose: random.Random) -> Mutant:
    """Mutant with odd values on the command line."""
    odd = choose.choice(
        ("²", "-1", "1e400", "nan", "", "null", "10" * 3000, "a\nb", "\udcff", "[", "{", "٣", "0x10", "9" * 30)
    )
    lines = (
        ["evaluate", "run", "--checkpoint", odd],
        ["generate", "run", "--tokens", "2", "--checkpoint", odd],
        ["evaluate", choose.choice(("r" * 300, "run\n", "\udcff", "/dev/null", "run/config.yaml", ""))],
        ["train", "corpus.jsonl", "--run", choose.choice(("r" * 300, "/proc/x", "corpus.jsonl/x", "/dev/null/x"))],
        ["evaluate", "run", "--limit", odd],
        ["evaluate", "run", "--draws", odd, "--limit", "1"],
        ["evaluate", "run", "--seed", odd, "--limit", "1"],
        ["evaluate", "run", odd, "--limit", "1"],
        ["generate", "run", "--tokens", odd],
        ["generate", "run", "--temperature", odd, "--tokens", "2"],
        ["generate", "run", "--prompt", odd, "--tokens", "2"],
        ["inspect", "run", "--limit", odd, "--detail", "0"],
        ["plot", "run", "--limit", odd],
        ["plot", "run", "run"],
        ["train", "--resume", f"run/checkpoints/step-{odd}"],
        [
            "train",
            "corpus.jsonl",
            "--run",
            "new",
            f"--{choose.choice(TRAINED)}",
            choose.choice((odd, *map(str, SIZES))),
        ],
        ["train", "--config", choose.choice(("corpus.jsonl", "run/tokenizer.json", odd)), "--run", "new"],
        ["pull", odd],
        ["import-weights", choose.choice(("corpus.jsonl", "run/config.yaml", odd))],
    )
    words = choose.choice(lines)
    return Mutant(f"words: {words[0]} {' '.join(words[1:])[:60]!r}", lambda folder: None, words)


TRAINED = (
    "decoder.width", "decoder.layers", "decoder.thoughts", "decoder.heads", "decoder.window", "data.length",
    "data.vocabulary", "data.validation", "train.batch_size", "train.seed", "fast.learning_rate", "slow.clip",
    "prior.sigma", "guide.sigma",
)  # fmt: skip


def _named(folder: Path, name: str) -> list[Path]:
    """Files of a run with the given name, or those of all its checkpoints."""
    path = folder / "run" / name
    return [path] if path.exists() else sorted((folder / "run").glob(f"checkpoints/*/{name}"))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Positions in nested values, as pairs of container and key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


def _damaged_json(choose: random.Random, text: str, how: str) -> str:
    if how == "nest":
        return "[" * 10_000 + "]" * 10_000
    if how == "cut":
        return text[: choose.randrange(len(text) // 2)]
    if how == "other":
        return json.dumps(choose.choice([[], "x", 7, None, [1, 2], {"a": 1}]))
    content = json.loads(text)
    holder, key = choose.choice(_places(content))
    if how == "delete":
        del holder[key]
    else:
        holder[key] = choose.choice(ODD)
    return json.dumps(content)


def _damaged_weights(choose: random.Random, content: bytes, how: str) -> bytes:
    size = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + size]), bytearray(content[8 + size :])
    name = choose.choice([key for key in header if key != "__metadata__"])
    begin, end = header[name]["data_offsets"]
    if how == "header":
        return struct.pack("<Q", choose.choice((2**63, 10**9, 0, size + 1))) + content[8:]
    if how == "cut":
        return content[: choose.randrange(len(content))]
    if how == "rename":
        header[choose.choice((name + "x", "", "model"))] = header.pop(name)
    elif how == "shape":
        header[name]["shape"] = [*header[name]["shape"], 1]
    elif how == "dtype":
        header[name]["dtype"] = "I32"
    elif how in ("nan", "inf"):
        place = begin + 4 * choose.randrange((end - begin) // 4)
        data[place : place + 4] = struct.pack("<f", float(how))
    elif how == "flip":
        data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + bytes(data)


def _seal(folder: Path) -> None:
    """Rewrite every checkpoint's manifest, as an attacker would."""
    for path in (folder / "run").glob("checkpoints/*"):
        files = [file for file in path.iterdir() if file.name != "manifest.json"]
        sums = {f.name: {"size": f.stat().st_size, "sha256": hashlib.sha256(f.read_bytes()).hexdigest()} for f in files}
        (path / "manifest.json").write_text(json.dumps({"files": sums}))


KINDS: tuple[Callable[[random.Random], Mutant], ...] = (
    of_json, of_json, of_metrics, of_config, of_config, of_weights, of_place, of_words, of_words,
)  # fmt: skip
