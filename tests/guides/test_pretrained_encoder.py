"""A pretrained text encoder in the amortised guides: where q starts, what is read, what learns, and what is kept."""

import re
import shutil
from copy import deepcopy

import pytest
import torch
from runs import TINY, checkpoint, ltm, metrics, train, write_corpus
from tiny_encoders import KINDS, Words, save_encoder
from torch import nn
from toys import TinyModel, large_weights

import ltm_pyro
from ltm_pyro import (
    ELBO,
    AmortisedGuide,
    DualRateSVI,
    FastLoop,
    InputError,
    MemoryGuide,
    PretrainedEncoder,
    SemiAmortisedGuide,
    SlowStep,
)
from ltm_pyro.guides.pretrained_encoder import NAME
from ltm_pyro.pretrained import find_source
from ltm_pyro.testing import check_guide
from ltm_pyro.training.own_classes import is_own
from ltm_pyro.training.run import Run

GUIDES = (AmortisedGuide, SemiAmortisedGuide)
TIGHT = {"atol": 1e-9, "rtol": 0}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_guide = pytest.mark.parametrize("guide_class", GUIDES)


class ReadsAll(nn.Module):
    """A deliberately wrong encoder, which reads tokens that are not scored."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x, mask=None):
        return self.encoder(x)


def encoder_of(folder, **options):
    encoder = PretrainedEncoder(str(folder), **options)
    encoder.attach_tokenizer(Words())
    return encoder


def guide_of(tiny, folder, guide_class=AmortisedGuide, learned=True, **options):
    """In float64; with a head as if it had learned something, or as it is made."""
    guide = guide_class(tiny.decoder.z_shape, encoder=encoder_of(folder, **options))
    if learned:
        large_weights(guide.reader.encoder.head, 0.2)
    return guide.double()


def moments_of(guide, tiny, x, mask=None):
    guide.start(x, mask, tiny.model.prior())
    q = guide.posterior().base_dist
    return torch.stack([q.loc, q.scale], 1).detach()  # (B, 2, L, K, D)


def svi_of(tiny, guide, steps=2):
    return DualRateSVI(tiny.model, guide, FastLoop(ELBO(), steps), SlowStep(ELBO(2), learning_rate=1e-2))


# ---- q


@every_kind
@every_guide
@pytest.mark.parametrize("learns", ["head", "all"])
def test_q_starts_at_the_prior(guide_class, kind, learns, tiny, encoders):
    guide = guide_of(tiny, encoders[kind], guide_class, learned=False, learns=learns)
    guide.start(tiny.x, prior=tiny.model.prior())
    terms = ELBO().terms(tiny.model, guide, tiny.x)
    torch.testing.assert_close(terms.kl, torch.zeros_like(terms.kl), **TIGHT)


@every_guide
def test_both_guides_keep_the_contract(guide_class, encoders):
    """An amortised guide has nothing to fit, so that it may stay as far from the evidence as the prior is."""
    within = float("inf") if guide_class is AmortisedGuide else 1.5
    for learns in ("head", "all"):
        check_guide(lambda z_shape: guide_class(z_shape, encoder=encoder_of(encoders["bert"], learns=learns)), within)  # noqa: B023


def test_texts_keep_apart_and_shapes_are_those_of_the_contract(tiny, encoders):
    guide = guide_of(tiny, encoders["bert"])
    shift, log_scale = guide.reader.encoder(tiny.x)
    assert shift.shape == log_scale.shape == (3, *tiny.decoder.z_shape)
    together, alone = moments_of(guide, tiny, tiny.x), moments_of(guide, tiny, tiny.x[1:2])
    torch.testing.assert_close(together[1:2], alone, **TIGHT)
    assert (together[0] - together[1]).abs().max() > 1e-2


# ---- what is read


def assert_reads_scored_tokens_alone(guide, tiny):
    mask = torch.rand(3, 20) < 0.4
    mask[:, 3] = True
    other = torch.where(mask, tiny.x, torch.randint(30, (3, 20)))
    torch.testing.assert_close(moments_of(guide, tiny, other, mask), moments_of(guide, tiny, tiny.x, mask), **TIGHT)


@every_kind
@pytest.mark.parametrize("learns", ["head", "all"])
def test_only_scored_tokens_are_read(kind, learns, tiny, encoders):
    guide = guide_of(tiny, encoders[kind], learns=learns)
    assert_reads_scored_tokens_alone(guide, tiny)
    mask = torch.ones(3, 20, dtype=torch.bool)
    mask[:, 9:] = False
    cut = moments_of(guide, tiny, tiny.x[:, :9])
    torch.testing.assert_close(moments_of(guide, tiny, tiny.x, mask), cut, atol=1e-6, rtol=0)
    other = moments_of(guide, tiny, tiny.x + 1, mask)
    assert (other - cut).abs().max() > 1e-2  # what is scored is read


def test_an_encoder_that_reads_all_is_rejected(tiny, encoders):
    guide = guide_of(tiny, encoders["bert"])
    wrong = AmortisedGuide(tiny.decoder.z_shape, encoder=ReadsAll(guide.reader.encoder)).double()
    with pytest.raises(AssertionError, match="not close"):
        assert_reads_scored_tokens_alone(wrong, tiny)


@every_kind
@pytest.mark.parametrize("learns", ["head", "all"])
def test_a_text_of_which_nothing_is_scored_has_a_posterior_too(kind, learns, tiny, encoders):
    guide = guide_of(tiny, encoders[kind], learns=learns)
    nothing = moments_of(guide, tiny, tiny.x, torch.zeros(3, 20, dtype=torch.bool))
    assert nothing.isfinite().all()
    torch.testing.assert_close(nothing[0], nothing[1], atol=1e-6, rtol=0)
    guide.start(tiny.x, torch.zeros(3, 20, dtype=torch.bool), tiny.model.prior())
    guide.posterior().rsample().sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in guide.parameters())


# ---- what learns


@every_kind
@every_guide
def test_frozen_weights_stay_in_their_bits_and_belong_to_no_checkpoint(guide_class, kind, tiny, encoders):
    guide = guide_of(tiny, encoders[kind], guide_class, learned=False)
    frozen = {name: weight.clone() for name, weight in guide.reader.encoder.embedding.model.named_buffers()}
    before = {name: weight.clone() for name, weight in guide.named_parameters()}
    svi = svi_of(tiny, guide)
    for _ in range(3):
        svi.step(tiny.x)
    heads = {"reader.encoder.head.weight", "reader.encoder.head.bias"}
    assert set(before) == set(guide.state_dict()) == heads
    assert all((weight != before[name]).any() for name, weight in guide.named_parameters())
    after = dict(guide.reader.encoder.embedding.model.named_buffers())
    assert all(torch.equal(after[name], weight) for name, weight in frozen.items())
    assert all(not weight.requires_grad and weight.grad is None for weight in after.values())


@every_kind
def test_all_weights_learn_where_they_shall(kind, tiny, encoders):
    guide = guide_of(tiny, encoders[kind], learned=False, learns="all")
    before = {name: weight.clone() for name, weight in guide.named_parameters()}
    svi = svi_of(tiny, guide)
    for _ in range(3):  # from a head at zero no gradient reaches the encoder in the first
        svi.step(tiny.x)
    assert [name for name, weight in guide.named_parameters() if torch.equal(weight, before[name])] == []
    assert set(before) <= set(guide.state_dict())


@pytest.mark.parametrize("learns", ["head", "all"])
def test_dropout_is_off_in_training_too(learns, tiny, tmp_path):
    folder = save_encoder(tmp_path, hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5)
    guide = guide_of(tiny, folder, learns=learns).train()
    assert not any(part.training for part in guide.reader.encoder.embedding.model.modules())
    assert guide.reader.training
    first = guide.reader.encoder(tiny.x)[0]
    guide.reader.encoder._store[0]._slots.clear()
    assert torch.equal(guide.reader.encoder(tiny.x)[0], first)


# ---- what is remembered


def test_remembered_embeddings_equal_fresh_ones_whatever_their_batch(tiny, encoders):
    """Bit for bit, as a resumed run has to remember all texts again, in other batches."""
    mask = torch.rand(3, 20) < 0.5
    encoder, other = (guide_of(tiny, encoders["bert"]).reader.encoder for _ in range(2))
    read = []
    encoder.embedding.register_forward_pre_hook(lambda module, inputs: read.extend(inputs[0]))
    fresh = encoder._remembered(tiny.x, mask)
    assert len(read) == 3
    assert torch.equal(encoder._remembered(tiny.x, mask), fresh)
    assert torch.equal(encoder._remembered(tiny.x.flip(0), mask.flip(0)), fresh.flip(0))
    assert len(read) == 3
    for row in (2, 0, 1):
        assert torch.equal(other._remembered(tiny.x[row : row + 1], mask[row : row + 1])[0], fresh[row])
    whole = encoder._remembered(tiny.x, None)
    assert len(read) == 6
    assert (whole - fresh).abs().max() > 1e-2


def test_the_memory_is_bounded(tiny, encoders):
    bounded, other = (guide_of(tiny, encoders["bert"], capacity=capacity).reader.encoder for capacity in (2, None))
    other.head.load_state_dict(bounded.head.state_dict())
    x = tiny.texts(7)
    for _ in range(2):
        assert torch.equal(bounded(x)[0], other(x)[0])
        assert (len(bounded._store[0]), len(other._store[0])) == (2, 7)
    with pytest.raises(InputError, match="capacity"):
        PretrainedEncoder(str(encoders["bert"]), capacity=0)


def test_an_encoder_that_learns_remembers_nothing(tiny, encoders):
    encoder = guide_of(tiny, encoders["bert"], learns="all").reader.encoder
    encoder(tiny.x)
    assert len(encoder._store[0]) == 0


# ---- the tokenizer


def test_without_a_tokenizer_it_refuses_in_one_line(tiny, encoders):
    guide = AmortisedGuide(tiny.decoder.z_shape, encoder=PretrainedEncoder(str(encoders["bert"])))
    guide.start(tiny.x)
    with pytest.raises(InputError, match=r"call guide\.attach_tokenizer\(tokenizer\)") as refusal:
        guide.posterior()
    assert "\n" not in str(refusal.value)
    guide.attach_tokenizer(Words())
    guide.posterior()


@every_guide
def test_a_copy_has_the_same_tokenizer_and_a_state_dict_has_none(guide_class, tiny, encoders):
    guide = guide_of(tiny, encoders["bert"], guide_class)
    copy = deepcopy(guide)
    assert torch.equal(moments_of(copy, tiny, tiny.x), moments_of(guide, tiny, tiny.x))
    assert copy.reader.encoder._tokenizer is guide.reader.encoder._tokenizer
    assert not [name for name in guide.state_dict() if "token" in name]
    other = guide_of(tiny, encoders["bert"], guide_class)
    other.load_state_dict(guide.state_dict())
    assert torch.equal(moments_of(other, tiny, tiny.x), moments_of(guide, tiny, tiny.x))


def test_another_tokenizer_makes_other_texts_of_the_same_ids(tiny, encoders):
    encoder = guide_of(tiny, encoders["bert"]).reader.encoder
    before = encoder(tiny.x)[0]

    class Others:
        def decode(self, ids):
            return " ".join("peace" if number % 2 else "war" for number in ids)

    encoder.attach_tokenizer(Others())
    assert (encoder(tiny.x)[0] - before).abs().max() > 1e-2
    encoder.attach_tokenizer(Words())
    assert torch.equal(encoder(tiny.x)[0], before)


def test_it_counts_as_the_librarys_own_class(tiny, encoders):
    """The contracts of a user's classes need not be checked for it."""
    guide = guide_of(tiny, encoders["bert"])
    assert not is_own(guide)
    assert is_own(AmortisedGuide(tiny.decoder.z_shape, encoder=ReadsAll(guide.reader.encoder)))


def test_a_memory_hands_the_tokenizer_on(tiny, encoders):
    encoder = PretrainedEncoder(str(encoders["bert"]))
    guide = MemoryGuide(tiny.decoder.z_shape, lambda z_shape: SemiAmortisedGuide(z_shape, encoder=encoder)).double()
    guide.attach_tokenizer(Words())
    guide.start(tiny.x, prior=tiny.model.prior())
    assert guide.rows == 3


def test_it_belongs_to_guides_of_one_shape(encoders):
    encoder = encoder_of(encoders["bert"])
    with pytest.raises(InputError, match="give it to a guide"):
        encoder(torch.zeros(1, 4, dtype=torch.long))
    AmortisedGuide((2, 1, 3), encoder=encoder)
    SemiAmortisedGuide((2, 1, 3), encoder=encoder)
    with pytest.raises(InputError, match=r"belongs to a guide of z_shape \(2, 1, 3\): make another for \(1, 1, 3\)"):
        AmortisedGuide((1, 1, 3), encoder=encoder)


# ---- runs

WITH = ["--guide", "SemiAmortisedGuide", "--guide.encoder", "PretrainedEncoder", "--guide.encoder.name"]


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus.jsonl")


@pytest.mark.parametrize("further", [[], ["--guide.encoder.learns", "all"], ["--guide.through", "refinement"]])
def test_a_run_trains_with_it_is_evaluated_and_goes_on_bit_for_bit(further, corpus, tmp_path, encoders, monkeypatch):
    monkeypatch.chdir(encoders["bert"].parent)
    words = [*WITH, "bert", *further]  # a relative path
    assert train(corpus, tmp_path / "whole", *words) == 0
    assert train(corpus, tmp_path / "parts", *words) == 0
    run = Run.open(tmp_path / "parts")
    shutil.rmtree(run.find("6"))  # as if the process had been killed before
    monkeypatch.chdir(tmp_path)
    assert ltm("train", "--resume", tmp_path / "parts") == 0
    assert metrics(tmp_path / "parts")[-1] == metrics(tmp_path / "whole")[-1]
    one, other = (checkpoint(tmp_path / name).weights for name in ("whole", "parts"))
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())
    assert one["guide.reader.encoder.head.weight"].any()  # it has learned
    has_encoder = any(name.startswith("guide.reader.encoder.embedding") for name in one)
    assert has_encoder is ("all" in further)
    assert ltm("evaluate", tmp_path / "whole", "--limit", "4", "--draws", "2") == 0


def test_a_run_records_place_and_hash_and_refuses_other_weights(corpus, tmp_path, capsys, monkeypatch):
    folder = save_encoder(tmp_path / "encoder")
    monkeypatch.chdir(tmp_path)
    assert train(corpus, "run", *WITH, "encoder") == 0
    recorded = Run.open("run").config.guide.init_args.encoder.init_args
    assert recorded.name == str(folder)
    assert recorded.sha256 == find_source(str(folder), None, NAME).sha256
    shutil.rmtree(folder)
    save_encoder(folder, seed=1)
    capsys.readouterr()
    assert ltm("evaluate", "run", "--limit", "4", "--draws", "2") == 2
    message = capsys.readouterr().err
    assert f"--guide.encoder.name {folder} has other weights (sha256" in message
    assert_one_line(message)
    shutil.rmtree(folder)
    assert ltm("evaluate", "run", "--limit", "4", "--draws", "2") == 2
    message = capsys.readouterr().err
    assert f"--guide.encoder.name {folder}: there is no such file or folder" in message
    assert_one_line(message)
    moved = save_encoder(tmp_path / "moved")  # the same weights elsewhere
    config = tmp_path / "run/config.yaml"
    config.write_text(config.read_text().replace(str(folder), str(moved)))
    assert ltm("evaluate", "run", "--limit", "4", "--draws", "2") == 0


def assert_one_line(message):
    assert len(message.strip().splitlines()) == 1, message


@pytest.mark.parametrize("fault", ["missing", "hub", "code", "pickle", "bound"])
def test_an_encoder_that_cannot_be_had_is_refused_before_any_work(fault, corpus, tmp_path, capsys):
    name, further, expected = _faulty(fault, tmp_path / "encoder")
    assert train(corpus, tmp_path / "run", *WITH, name, *further) == 2
    message = capsys.readouterr().err
    assert re.search(expected, message), message
    assert_one_line(message)
    assert not (tmp_path / "run").exists()


def _faulty(fault, folder):
    if fault == "missing":
        return folder, [], "there is no such file or folder"
    if fault == "hub":
        return "someone/nothing", [], "could not be fetched from the hub"
    save_encoder(folder)
    config = folder / "config.json"
    if fault == "code":
        config.write_text(config.read_text().replace("{", '{"auto_map": {"AutoModel": "mine.Model"},', 1))
        return folder, [], "needs code of its own"
    if fault == "pickle":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        return folder, [], r"no weights as \.safetensors"
    return folder, ["--guide.encoder.pooling", "max"], r"--guide\.encoder\.pooling max: expected one of 'mean', 'first'"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "--guide.encoder ltm_pyro.PretrainedEncoder: give --guide.encoder.name too, which has no default"),
        (["--guide.encoder.poling", "mean"], "takes no argument 'poling'. Did you mean --guide.encoder.pooling?"),
    ],
)
def test_arguments_that_are_missing_or_unknown_are_named(words, expected, corpus, tmp_path, capsys):
    assert train(corpus, tmp_path / "run", *WITH[:4], *words) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert_one_line(message)


def test_objects_from_python_become_a_run_that_opens_again(tmp_path, encoders, monkeypatch):
    monkeypatch.chdir(encoders["bert"].parent)
    tiny = TinyModel(vocabulary=30)
    model = tiny.model.float()
    guide = AmortisedGuide(tiny.decoder.z_shape, encoder=PretrainedEncoder("bert"))
    names = ("train.steps", "train.batch_size", "train.evaluate_every", "train.evaluate_sequences")
    settings = {name: TINY[name] for name in (*names, "train.final_sequences", "train.draws", "train.samples")}
    x = torch.randint(2, 30, (12, 20))
    run = ltm_pyro.train(
        model, guide, FastLoop(ELBO(), 2), SlowStep(ELBO(), 0.02), x, folder=tmp_path / "run", settings=settings
    )
    monkeypatch.chdir(tmp_path)
    again = ltm_pyro.load(tmp_path / "run")
    assert again.settings["guide"]["init_args"]["encoder"]["init_args"]["name"] == str(encoders["bert"])
    first, second = (of.components.state_dict() for of in (run, again))
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    assert again.settings["guide"]["init_args"]["encoder"]["init_args"]["sha256"]
