"""Parts of a refinement: verdicts, questions, records, and thoughts that no answer has reached."""

import numpy as np
import pytest
import torch
from toys import SIZES

from ltm_pyro import ELBO, FastLoop, InputError, SlowStep
from ltm_pyro.refining.checkers import CHECKERS
from ltm_pyro.refining.learning import Preferences
from ltm_pyro.refining.lines import append_lines, read_lines
from ltm_pyro.refining.pair_batches import EncodedPairs, PairBatch
from ltm_pyro.refining.records import Attempt, AttemptRecord, chains_of, pairs_of
from ltm_pyro.training.components import RunComponents


@pytest.mark.parametrize(
    ("name", "question", "answer", "gold", "verdict"),
    [
        ("sums", "47+85=", "7+5=12\n4+8+1=13\n#### 132", "", True),
        ("sums", "47+85=", "7+5=12\n#### 131", "", False),
        ("number", "How many?", "so\n#### 1250", "as they say\n#### 1,250", True),
        ("number", "How many?", "so\n#### 1251", "as they say\n#### 1,250", False),
        ("number", "How many?", "1250", "as they say\n#### 1,250", False),
    ],
)
def test_verdicts(name, question, answer, gold, verdict):
    assert CHECKERS[name].is_right(question, answer, gold) is verdict


def attempt(text, right, ended=True):
    return Attempt(text=text, tokens=list(map(ord, text)) + [0] * ended, ended=ended, right=right)


def record(question, *attempts):
    return AttemptRecord(round=1, batch=0, row=0, question=question, prompt=f"{question}\n", attempts=list(attempts))


RECORDS = [
    record("a", attempt("1", True), attempt("1", True), attempt("2", False), attempt("3", False, ended=False)),
    record("b", attempt("4", True, ended=False), attempt("5", False)),
    record("c", attempt("6", True), attempt("7", True)),
]


def test_pairs_are_of_one_question_and_each_answer_is_in_one():
    pairs = pairs_of(RECORDS)
    assert [(pair["prompt"], pair["chosen"], pair["rejected"]) for pair in pairs] == [("a\n", "1", "2")]
    assert pairs[0]["chosen_tokens"] == [ord("1"), 0]
    assert [(chain["question"], chain["answer"]) for chain in chains_of(RECORDS)] == [
        ("a", "1"),
        ("c", "6"),
        ("c", "7"),
    ]


def test_records_are_read_back_and_damage_is_named(tmp_path):
    path = tmp_path / "attempts.jsonl"
    append_lines(path, RECORDS[:2])
    append_lines(path, RECORDS[2:])
    assert read_lines(path, AttemptRecord) == RECORDS
    whole = path.read_text()
    path.write_text(whole + '{"round"')
    assert read_lines(path, AttemptRecord) == RECORDS
    path.write_text(whole.replace('"right": true', '"right": "yes"', 1))
    with pytest.raises(InputError, match=r"attempts.jsonl, line 1 cannot be read: attempts\[0\].right"):
        read_lines(path, AttemptRecord)


class Letters:
    """A tokenizer of characters."""

    vocabulary, bos_id, eos_id, pad = 30, 1, 0, 0

    def encode(self, text):
        return np.array([ord(letter) - ord("a") + 2 for letter in text])


def letters_pair(prompt, chosen, rejected):
    tokens = {"chosen_tokens": chosen, "rejected_tokens": rejected}
    return {"round": 1, "prompt": prompt, "chosen": "", "rejected": "", **tokens}


def test_pairs_are_batched_behind_their_prompts():
    pairs = EncodedPairs([letters_pair("ab", [7, 0], [8, 9, 9]), letters_pair("c", [5], [6, 0])], Letters(), 20)
    batch = pairs.batch([0, 1])
    assert batch.x.tolist() == [[2, 3, 7, 0, 0], [4, 5, 0, 0, 0], [2, 3, 8, 9, 9], [4, 6, 0, 0, 0]]
    assert batch.mask.int().tolist() == [[0, 0, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 1, 1, 0, 0]]
    prompts = batch.prompt_inputs()
    assert prompts["x"].tolist() == [[2, 3], [4, 1]]
    assert prompts["mask"].int().tolist() == [[1, 1], [1, 0]]
    with pytest.raises(InputError, match="a pair has the token 30, and the run's vocabulary ends at 29"):
        EncodedPairs([letters_pair("ab", [30], [2])], Letters(), 20)


@pytest.fixture(name="tiny_preferences")
def _preferences(tiny):
    fast = FastLoop(ELBO(), 20, 0.2)
    components = RunComponents(tiny.model, type(tiny.guide)(tiny.decoder.z_shape), fast, SlowStep(ELBO()))
    return lambda is_evidence=True: Preferences(components, is_evidence, draws=4)


def thoughts(preferences, batch):
    torch.manual_seed(0)
    return preferences.thoughts(batch).z


def test_thoughts_are_those_of_prompts_and_know_no_answer(tiny_preferences):
    preferences = tiny_preferences()
    prompts = torch.tensor([5, 3])
    x = torch.randint(SIZES["vocabulary"], (4, 12))
    x[2:, :5] = x[:2, :5]
    batch = PairBatch(x, torch.arange(12) >= prompts.repeat(2)[:, None], torch.ones(4, dtype=torch.long), prompts)
    other = batch._replace(x=torch.where(batch.mask, (x + 7) % 30, x))
    z = thoughts(preferences, batch)
    assert z.shape[:2] == (4, 4)
    assert torch.equal(z[:, :2], z[:, 2:])
    assert torch.equal(z, thoughts(preferences, other))
    leaking = PairBatch(*batch[:3], torch.full((2,), 12))  # fitted on the answers too
    assert not torch.allclose(
        thoughts(preferences, leaking), thoughts(preferences, leaking._replace(x=other.x)), atol=1e-3
    )


def test_a_prompt_that_is_context_leaves_the_prior(tiny_preferences):
    batch = PairBatch(
        torch.randint(30, (4, 6)), torch.ones(4, 6) > 0, torch.ones(4, dtype=torch.long), torch.tensor([3, 2])
    )
    preferences = tiny_preferences(is_evidence=False)
    z = thoughts(preferences, batch)
    assert torch.equal(z, thoughts(preferences, batch._replace(x=(batch.x + 5) % 30)))
    torch.manual_seed(0)
    assert torch.equal(z[:, :2], preferences.reference.prior().sample((4, 2)))
