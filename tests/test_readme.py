"""The README's example runs as it stands, but for its size."""

import re
from pathlib import Path


def test_the_first_example_runs(capsys, here):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", readme, flags=re.DOTALL)[1]
    few = '"train.steps": 2, "train.draws": 2, "train.evaluate_sequences": 2, "train.final_sequences": 2'
    smaller = {'read_corpus("sotu")': 'read_corpus("sotu")[:5]', "range(100)": "range(2)"}
    smaller |= {'"train.steps": 200': f'{few}, "train.evaluate_fast_steps": 2', "limit=32": "limit=2, draws=2"}
    for whole, part in smaller.items():
        assert whole in code
        code = code.replace(whole, part)
    exec(code, {"__name__": "readme"})
    out = capsys.readouterr().out.splitlines()
    assert [line[0] for line in out[:2]] == ["0", "1"]
    assert out[2].startswith("|")
    assert Path("runs/mine/evaluation/validation.md").is_file()


def test_the_example_of_a_comparison_runs(capsys):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "compare_bounds" in block)
    exec(code, {"__name__": "readme"})
    assert "iwae-dreg" in capsys.readouterr().out
