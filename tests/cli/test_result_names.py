"""Results are named by what they are of, so that none replaces another."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from runs import ltm

from ltm_pyro.cli.evaluate import command
from ltm_pyro.errors import InputError
from ltm_pyro.runs.arguments import Call
from ltm_pyro.runs.evaluate import evaluate
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.runs.result_names import LONGEST, place_name, result_name
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.sharing.card import _numbers

pytestmark = pytest.mark.usefixtures("here")
FEW = ("--draws", "2", "--limit", "2", "--fixed_noise", "false")


def names(*words):
    return result_name("validation", Call(evaluate, command.read(["run", *words])))


def test_every_option_that_changes_the_numbers_is_in_the_name_and_none_else():
    assert names() == names("--batch_size", "3") == "validation"
    assert names("--limit", "8") == "validation-limit-8"
    every = [("--limit", "9"), ("--draws", "4"), ("--fast_steps", "3"), ("--seed", "1"), ("--data.field", "body")]
    every += [("--fixed_noise", "false"), ("--checkpoint", "latest"), ("--baseline", "other"), ("--limit", "8")]
    found = {names(*words) for words in every}
    assert len(found | {"validation"}) == len(every) + 1
    assert len(names("--baseline", "/a/long/path" * 50, "--data.field", "x" * 500)) <= LONGEST


def test_a_place_is_named_whole(tmp_path):
    for folder in ("news", "law"):
        Path(folder).mkdir()
        Path(folder, "test.jsonl").touch()
    assert place_name("news/test.jsonl") == place_name(str(tmp_path / "news/test.jsonl")) == "news-test.jsonl"
    assert place_name("law/test.jsonl") == "law-test.jsonl"
    assert place_name("other text.txt") == "other-text"
    assert place_name("a.txt,b.txt") != place_name("a.txt,c.txt")
    assert place_name("hf:one/data:x") != place_name("hf:two/data:x")
    elsewhere = [place_name(f"/somewhere/{name}/deep/test.jsonl") for name in ("secret", "other")]
    assert len(set(elsewhere)) == 2
    assert not any("secret" in name for name in elsewhere)  # tables are shared by their names


def test_the_runs_own_table_stays_and_the_card_shows_the_fullest(run):
    own = (run / "evaluation/validation.md").read_text()
    assert ltm("evaluate", "run", *FEW) == 0
    assert (run / "evaluation/validation.md").read_text() == own
    assert (run / "evaluation/validation-draws-2-limit-2-fixed_noise-False.md").is_file()
    step = int(re.search(r"weights after step (\d+)", own)[1])
    assert own.strip() in _numbers(SimpleNamespace(folder=run), step)
    assert "Not measured" in _numbers(SimpleNamespace(folder=run), step + 1)
    (run / "evaluation/validation-seed-1.md").write_text(own.replace("ELBO", "of another seed"))
    assert own.strip() in _numbers(SimpleNamespace(folder=run), step)
    (run / "evaluation/validation-limit-9.md").write_text(own.replace("4 sequences", "9 sequences"))
    assert "9 sequences" in _numbers(SimpleNamespace(folder=run), step)


def test_files_of_one_name_have_results_of_their_own(run):
    for folder, text in (("news", "people and peace "), ("law", "war and congress ")):
        Path(folder).mkdir()
        Path(folder, "test.txt").write_text(text * 8)
        assert ltm("evaluate", "run", f"{folder}/test.txt", *FEW) == 0
    made = {path.name for path in (run / "evaluation").glob("*test*.json")}
    assert len(made) == 2
    tables = [json.loads((run / "evaluation" / name).read_text())["about"] for name in sorted(made)]
    assert all(table.startswith("test.txt, 1 documents; weights after step") for table in tables)


def compare(*, limit=None, quick=False, out=None, resume=False, shots=3):
    """A function whose results are named by its arguments."""
    return Call(compare, locals())


def test_comparisons_keep_apart_and_a_named_folder_is_not_replaced():
    def begun(**given):
        call = compare(**given)
        settings = {key: call.given[key] for key in ("limit", "quick", "shots")}
        folder = comparison_folder(Path("guides"), call, settings)
        folder.begin(["compare"])
        folder.keep({"piece": [{"limit": call.given["limit"]}]})
        return folder.path

    assert begun() == begun() == Path("guides")
    assert begun(limit=8) == Path("guides-limit-8")
    assert begun(quick=True) == Path("guides-quick")
    other = begun(shots=5)
    assert other.name.startswith("guides-")
    assert begun(shots=5) == other
    assert json.loads(Path("guides/results.json").read_text())["pieces"]["piece"] == [{"limit": None}]
    assert begun(out="mine") == begun(out="mine") == Path("mine")
    with pytest.raises(InputError, match=r"mine holds a comparison with another limit \(null, now 8\)"):
        begun(out="mine", limit=8)


def test_what_an_earlier_version_began_is_gone_on_with_where_it_lies():
    old = ComparisonFolder(Path("guides"), {"limit": 8})
    old.begin(["compare"])
    call = compare(limit=8, resume=True)
    assert comparison_folder(Path("guides"), call, {"limit": 8}).path == Path("guides")
    shutil.rmtree("guides")
    assert comparison_folder(Path("guides"), call, {"limit": 8}).path == Path("guides-limit-8")


def test_sequences_are_called_limit_now_and_what_they_began_is_gone_on_with():
    old = ComparisonFolder(Path("guides-sequences-8"), {"sequences": 8, "quick": False})
    old.begin(["compare"])
    old.keep({"piece": [{"limit": 8}]})
    folder = comparison_folder(Path("guides"), compare(limit=8, resume=True), {"limit": 8, "quick": False})
    assert folder.path == Path("guides-sequences-8")
    assert folder.done() == {"piece": [{"limit": 8}]}


def test_a_run_is_itself_by_every_path_to_it(tmp_path):
    first = ComparisonFolder(Path("one"), {"run": "some/run"})
    first.begin(["compare"])
    ComparisonFolder(Path("one"), {"run": str(tmp_path / "some" / "run")}).begin(["compare"])
