"""`ltm_pyro.train`: objects built in Python become a run that every command opens, and goes on with bit for bit."""

import os
import runpy
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from prepared import ran
from runs import WORDS, ltm, metrics
from torch.utils.data import DataLoader, TensorDataset

import ltm_pyro
from ltm_pyro import (
    ELBO,
    AutoregressiveModel,
    Decoder,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    KLWeighted,
    LatentThoughtModel,
    LinearSchedule,
    LowRankGuide,
    MeanFieldGuide,
    MixturePrior,
    NaturalGradient,
    SlowStep,
)
from ltm_pyro.data import Batches, Document, id_sequences, id_tokenizer, parted, train_tokenizer, windows
from ltm_pyro.errors import InputError
from ltm_pyro.recorded import Recorded
from ltm_pyro.runs.session import Session
from ltm_pyro.training.run import Run

V, T = 270, 16
SHORT = {
    "train.steps": 6,
    "train.batch_size": 4,
    "train.evaluate_every": 3,
    "train.save_every": 2,
    "train.evaluate_sequences": 4,
    "train.final_sequences": 4,
    "train.evaluate_fast_steps": 2,
    "train.draws": 2,
    "train.samples": 1,
}
pytestmark = pytest.mark.usefixtures("here")


def ids(count=24, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randint(V, (int(torch.randint(3, T + 1, (), generator=draw)),), generator=draw) for _ in range(count)]


def objects(prior=GaussianPrior, guide=MeanFieldGuide, fast=None, slow=None, **sizes):
    torch.manual_seed(0)
    given = {"vocabulary": V, "width": 16, "layers": 2, "heads": 2, "thoughts": 2, "window": 4, "length": T, **sizes}
    decoder = Decoder(**given)
    prior = prior(decoder.z_shape)
    model = LatentThoughtModel(prior, decoder)
    return model, guide(prior.z_shape), fast or FastLoop(ELBO(), 2), slow or SlowStep(ELBO(), 0.02, warmup=1)


def train(*parts, batches=None, folder="mine", **further):
    settings = {**SHORT, **further.pop("settings", {})}
    return ltm_pyro.train(
        *(parts or objects()), ids() if batches is None else batches, folder=folder, settings=settings, **further
    )


@pytest.fixture
def text():
    documents = [Document(" ".join(WORDS[i % 7 :] * 3), str(i)) for i in range(12)]
    tokenizer = train_tokenizer([document.text for document in documents], V)
    return tokenizer, windows(documents, tokenizer, T)


def test_every_command_opens_it(text, capsys):
    tokenizer, sequences = text
    run = train(*objects(bos_id=tokenizer.bos_id), batches=Batches(sequences, 4), tokenizer=tokenizer)
    capsys.readouterr()
    assert ltm("evaluate", "mine", "--draws", "2", "--limit", "3", "--fixed_noise", "false") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[:7] == run.table(draws=2, limit=3).splitlines()[:7]
    assert "held-out sequences given from Python" in out
    for words in (("generate", "mine", "--prompt", "the people"), ("inspect", "mine", "--limit", "4", "--detail", "0")):
        assert ltm(*words) == 0
    for name in ("checkpoints", "figures/learning.png", "evaluation/validation.md", "samples/prior-1.txt"):
        assert Path("mine", name).exists()
    assert ltm("train", "--resume", "mine") == 2
    assert "ltm_pyro.train(..., resume=True)" in capsys.readouterr().err


def test_what_comes_back_has_the_weights_of_the_best_checkpoint_and_the_same_objects():
    prior = partial(MixturePrior, components=3)
    rising, natural = KLWeighted(LinearSchedule(0.1, 1.0, steps=4)), partial(NaturalGradient, max_kl=2.0)
    fast = FastLoop(rising, 3, 0.5, optimizer=natural)
    slow = SlowStep(ImportanceWeighted(2), 0.02, warmup=1, optimizer=torch.optim.AdamW)
    guide = partial(LowRankGuide, rank=1)
    run = train(*objects(prior, MeanFieldGuide, fast, slow))
    again = Run.open("mine").load("best")
    assert again.model.prior.components == 3
    assert again.slow.bound.particles == 2
    for name, weight in run.components.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
    assert Run.open("mine").config.fast.optimizer.init_args.max_kl == 2.0
    assert Run.open("mine").config.fast.bound.init_args.kl_weight.init_args.steps == 4
    other = train(*objects(guide=guide), folder="other")
    assert other.guide.rank == 1


def test_the_same_call_makes_the_same_run_and_leaves_the_generator_alone():
    first = train(folder="first")
    parts = objects()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    again = train(*parts, folder="again")
    assert torch.equal(torch.rand(1), expected)
    for name, weight in first.components.state_dict().items():
        assert torch.equal(weight, again.components.state_dict()[name])


def test_a_model_without_latents_is_a_run_too():
    decoder = Decoder(vocabulary=V, width=16, layers=1, heads=2, thoughts=0, window=4, length=T)
    model = AutoregressiveModel(decoder)
    from ltm_pyro import EmptyGuide

    run = train(model, EmptyGuide(decoder.z_shape), FastLoop(ELBO(), 0), SlowStep(ELBO(), 0.02))
    assert set(run.score(draws=1)[0]) >= {"exact", "tokens"}


def test_it_learns_and_goes_on_bit_for_bit_where_it_was_interrupted(monkeypatch):
    whole = train(folder="whole")
    show = Session._show

    def interrupting(self, record):
        show(self, record)
        if record["step"] == 3 and "validation" not in record:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Session, "_show", interrupting)
        with pytest.raises(KeyboardInterrupt):
            train(folder="cut")
    with pytest.raises(InputError, match="cut exists"):
        train(folder="cut")
    again = train(folder="cut", resume=True)
    assert metrics(Path("cut")) == metrics(Path("whole"))
    for name, weight in whole.components.state_dict().items():
        assert torch.equal(weight, again.components.state_dict()[name])
    fresh, *_ = objects()
    assert not torch.equal(whole.model.decoder.embedding.weight, fresh.decoder.embedding.weight)


def test_a_finished_run_is_trained_further_by_the_same_call_with_more_steps():
    parts = objects()
    train(*parts)
    run = train(
        *parts, settings={"train.steps": 9}, resume=True
    )  # with the objects of the first call, or with new ones
    assert train(settings={"train.steps": 9}, resume=True).ending == run.ending
    assert run.ending["reason"] == "steps"
    assert (run.settings["train"]["steps"], run.settings["train"]["schedule_steps"]) == (9, 6)
    rates = [record["learning_rate"] for record in metrics("mine") if "validation" not in record]
    assert rates[5:] == pytest.approx([0.002] * 4)
    assert Path("mine/history/until-step-6/config.yaml").is_file()
    with pytest.raises(InputError, match="a resume takes no fewer"):
        train(settings={"train.steps": 8}, resume=True)


def test_another_run_is_not_gone_on_with():
    train()
    with pytest.raises(InputError, match="begun with other objects or settings"):
        train(*objects(partial(GaussianPrior, sigma=2.0)), resume=True)
    with pytest.raises(InputError, match="begun with other sequences"):
        train(batches=ids(seed=1), resume=True)


def rows_of(sequences):
    return [sequences.tokens[a:b].tolist() for a, b in zip(sequences.bounds[:-1], sequences.bounds[1:], strict=True)]


def test_whatever_holds_the_ids_the_sequences_are_the_same():
    rows = ids(6)
    expected = [row.tolist() for row in rows]
    padded = torch.stack([torch.nn.functional.pad(row, (0, T - len(row))) for row in rows])
    mask = torch.stack([torch.arange(T) < len(row) for row in rows])
    dataset = TensorDataset(padded, mask)
    held = {"input_ids": padded, "attention_mask": mask.long()}
    loader = DataLoader([{"x": padded[i], "mask": mask[i]} for i in range(6)], batch_size=4)
    for given in (rows, [row.numpy() for row in rows], expected, loader, [held], iter(rows)):
        assert rows_of(id_sequences(given, V, 0, T)) == expected
    assert [len(row) for row in rows_of(id_sequences(dataset, V, 0, T))] == [T] * 6  # the first part, and no mask
    assert rows_of(id_sequences(padded, V, 0, T)) == padded.tolist()
    again = id_sequences(rows, V, 0, T)
    assert id_sequences(again, V, 0, T) is again
    assert id_sequences(Batches(again, 2), V, 0, T) is again


def test_what_is_held_out_is_no_longer_learned_from():
    sequences = id_sequences(ids(40), V, 0, T)
    training, held_out = parted(sequences, 0.25, seed=0)
    assert (len(training), len(held_out)) == (30, 10)
    assert sorted(rows_of(training) + rows_of(held_out)) == sorted(rows_of(sequences))
    assert rows_of(parted(sequences, 0.25, seed=0)[1]) == rows_of(held_out)
    assert rows_of(parted(sequences, 0.25, seed=1)[1]) != rows_of(held_out)
    with pytest.raises(InputError, match="too few to hold out"):
        parted(id_sequences(ids(2), V, 0, T), 0.05, seed=0)


def test_ids_without_text_have_no_bytes(capsys):
    run = train(validation=ids(5, seed=3))
    assert len(run.score(draws=1)) == 5
    assert "no bytes to count" in Path("mine/evaluation/validation.md").read_text()
    tokenizer = id_tokenizer(V, eos_id=7)
    assert tokenizer.encode("12 0 269").tolist() == [12, 0, 269]
    assert tokenizer.decode([12, 0, 269]) == "12 0 269"
    assert (tokenizer.eos_id, tokenizer.bos_id, tokenizer.vocabulary) == (7, 7, V)


def test_an_object_says_what_it_was_made_with():
    class Outer(MixturePrior):
        def __init__(self, z_shape, width=2, **further):
            super().__init__(z_shape, components=width + 1, **further)

    assert Outer((1, 2, 4), 3, spread=0.5).made_with == {"z_shape": (1, 2, 4), "width": 3, "spread": 0.5}
    assert ELBO().made_with == {}
    assert isinstance(FastLoop(ELBO()), Recorded)


def a_function(parameters, lr):
    return torch.optim.SGD(parameters, lr)


class Changed(GaussianPrior):
    """Weights that no argument tells of."""

    def __init__(self, z_shape: tuple[int, int, int]) -> None:
        super().__init__(z_shape)
        if not Changed.hidden:
            self.extra = torch.nn.Parameter(torch.zeros(3))

    hidden = False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: {"parts": objects()[::-1]}, "fast is a MeanFieldGuide|fast is a"),
        (lambda: {"settings": {"prior": {}}}, "settings name prior"),
        (lambda: {"settings": {"train.stepz": 3}}, "stepz"),
        (lambda: {"batches": "text"}, "batches is a str"),
        (lambda: {"batches": []}, "no sequence of token ids"),
        (lambda: {"batches": [torch.rand(4)]}, "expected whole numbers"),
        (lambda: {"batches": [torch.tensor([V])]}, f"expected 0 to {V - 1}"),
        (lambda: {"batches": [torch.zeros(T + 1, dtype=torch.long)]}, "expected 1 to 16, the decoder's length"),
        (lambda: {"batches": [{"tokens": [1]}]}, "expected `x` or `input_ids`"),
        (lambda: {"tokenizer": id_tokenizer(V + 1, 0)}, "make them agree"),
        (lambda: {"parts": objects(fast=FastLoop(ELBO(), 2, optimizer=a_function))}, "optimizer is a function"),
        (lambda: {"parts": objects(slow=SlowStep(ELBO(), steps=9)), "settings": {"train.steps": 6}}, "within 9 steps"),
    ],
)
def test_what_makes_no_run_is_refused_before_any_work(change, message):
    given = change()
    with pytest.raises(InputError, match=message):
        train(*given.pop("parts", ()), **given)
    assert not Path("mine").exists()


def test_weights_that_no_argument_tells_of_are_refused(monkeypatch):
    parts = objects(Changed)
    monkeypatch.setattr(Changed, "hidden", True)
    with pytest.raises(InputError, match=r"could not be opened again: .* differ in model\.prior\.extra"):
        train(*parts)
    assert not Path("mine").exists()


def test_a_damaged_file_of_what_was_held_out_is_named(capsys):
    train()
    file = Path("mine/held-out.safetensors")
    from safetensors.numpy import load_file, save_file

    columns = load_file(file)
    save_file({name: np.zeros_like(column) for name, column in columns.items()}, file)
    assert ltm("evaluate", "mine", "--limit", "2") == 2
    assert "held-out" in capsys.readouterr().err
    file.unlink()
    assert ltm("evaluate", "mine", "--limit", "2") == 2
    assert "its held-out sequences are not in the folder" in capsys.readouterr().err


def test_ids_of_a_file_that_are_none_of_the_vocabulary_are_refused(capsys):
    train()
    from ltm_pyro.training.state_files import load_state, save_state

    state = load_state(Path("mine"), "held-out")
    state["tokens"][:] = V + 7
    state["lost"] = "\x1b[2J" + "x" * 1000
    save_state(Path("mine"), "held-out", state)
    assert ltm("evaluate", "mine", "--limit", "2") == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "\x1b" not in err


TWO = """
import os
import sys

import torch

import ltm_pyro
from ltm_pyro import ELBO, Decoder, FastLoop, GaussianPrior, LatentThoughtModel, MeanFieldGuide, SlowStep
from ltm_pyro.errors import InputError


def trained(folder, seed, slices):
    torch.manual_seed(seed)
    decoder = Decoder(vocabulary=20, length=8, width=16, layers=1, heads=2, window=4, thoughts=1, bos_id=1)
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    ids = torch.arange(24 * 8).view(24, 8) % 18 + 2
    sizes = {"train": {"steps": 4, "batch_size": 4, "evaluate_every": 4, "draws": 2, "final_sequences": 2}}
    sizes["train"]["accumulate"] = slices
    loops = FastLoop(ELBO(), steps=2), SlowStep(ELBO(), learning_rate=1e-2)
    ltm_pyro.train(model, MeanFieldGuide(decoder.z_shape), *loops, ids, folder=folder, settings=sizes)


if __name__ == "__main__":
    try:
        trained("unlike", int(os.environ["RANK"]), 1)
    except InputError as error:
        print(error, file=sys.stderr)
    trained("together", 0, 1)
"""


def test_two_processes_share_a_batch_as_two_slices_of_one_do():
    Path("two.py").write_text(TWO)
    run_it = "import runpy; runpy.run_path('two.py', run_name='__main__')"
    first, second = ran(2, ["-c", run_it], os.getcwd())
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "does not begin with the same numbers in all 2 processes: give all of them one seed" in first.stderr
    assert not Path("unlike").exists()
    runpy.run_path("two.py")["trained"]("alone", 0, 2)
    assert [one["objective"] for one in metrics("alone") if "objective" in one] == [
        one["objective"] for one in metrics("together") if "objective" in one
    ]
