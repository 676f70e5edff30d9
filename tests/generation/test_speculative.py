"""Speculative sampling writes what the model alone would write, whatever the draft."""

import pytest
import torch
from scipy.stats import chisquare
from toys import TinyModel, autoregressive_with, every_text

from ltm_pyro.errors import InputError
from ltm_pyro.generation import AcceptanceStats, Sampling, speculative, write, write_speculatively

SMALL = {"vocabulary": 3, "length": 6, "window": 2, "bos_id": 0}


def pair(draft_seed=7, **sizes):
    """A model and a smaller draft of the same vocabulary, with thoughts for one text."""
    torch.manual_seed(3)
    large = TinyModel(**sizes)
    torch.manual_seed(draft_seed)
    small = TinyModel(**{**sizes, "layers": 1, "width": 8, "thoughts": 1})
    return large, small


def text_of(written):
    return torch.stack(list(written), -1)


def p_value_of(texts, expected):
    """Of a chi-square test that texts, (N, T) of 3 tokens, are drawn with these probabilities, (3^T,)."""
    place = 3 ** torch.arange(texts.shape[1]).flip(0)
    counts = torch.bincount(texts @ place, minlength=len(expected))
    assert counts[expected == 0].sum() == 0
    counts, expected = counts[expected > 0], expected[expected > 0]
    return chisquare(counts.numpy(), (len(texts) * expected / expected.sum()).numpy()).pvalue


def probabilities_of(tiny, z, prompt, length, sampling):
    """Of every text of a length behind a prompt, (3^T,), by teacher forcing."""
    continued = every_text(3, length)
    texts = torch.cat((prompt.expand(len(continued), -1), continued), 1)
    with torch.no_grad():
        logits = tiny.decoder.logits(tiny.decoder.inputs(texts), z.expand(len(texts), *z.shape[1:]))
    steps = sampling.probabilities(logits)[:, prompt.shape[1] :]
    return steps.gather(-1, continued[..., None]).squeeze(-1).prod(-1)


def drawn(large, small, z, draft_z, prompt, length, sampling, ahead, rows=20_000, **options):
    spread = [t.expand(rows, *t.shape[1:]) for t in (z, draft_z, prompt)]
    return text_of(
        write_speculatively(
            large.model, spread[0], small.model, spread[1], spread[2], length, sampling, ahead=ahead, **options
        )
    )


@pytest.mark.parametrize(
    ("prompt", "sampling", "ahead"),
    [
        ([], Sampling(), 1),
        ([], Sampling(), 2),
        ([2, 1], Sampling(), 3),
        ([1], Sampling(), 5),
        ([], Sampling(temperature=0.7), 3),
        ([2], Sampling(top_k=2), 2),
        ([], Sampling(temperature=1.5, top_p=0.8), 3),
    ],
)
def test_every_text_is_as_likely_as_the_model_says(prompt, sampling, ahead):
    large, small = pair(**SMALL)
    z, draft_z, prompt = large.z[:1], small.z[:1], torch.tensor([prompt], dtype=torch.long)
    tally = AcceptanceStats()
    texts = drawn(large, small, z, draft_z, prompt, 4, sampling, ahead, tally=tally)
    assert p_value_of(texts, probabilities_of(large, z, prompt, 4, sampling)) > 1e-3
    assert 0.1 < tally.accepted / tally.proposed < 0.95  # so that both ways to a token were gone
    assert p_value_of(texts, probabilities_of(large, large.z[1:2], prompt, 4, Sampling())) < 1e-6


def keep_all(p, q, proposed, generator=None):
    return torch.full((len(proposed),), proposed.shape[1])


def keep_by_the_models_probability(p, q, proposed, generator=None):
    ours = p.gather(-1, proposed[..., None]).squeeze(-1)
    return (torch.rand_like(ours) < ours).cumprod(1).sum(1)


WRONG = [
    ("accepted", keep_all),
    ("accepted", keep_by_the_models_probability),
    ("remainder", lambda p, q: p),
]


@pytest.mark.parametrize(("name", "rule"), WRONG)
def test_a_wrong_rule_would_be_noticed(monkeypatch, name, rule):
    large, small = pair(**SMALL)
    z, prompt = large.z[:1], torch.zeros(1, 0, dtype=torch.long)
    monkeypatch.setattr(speculative, name, rule)
    texts = drawn(large, small, z, small.z[:1], prompt, 4, Sampling(), 2)
    assert p_value_of(texts, probabilities_of(large, z, prompt, 4, Sampling())) < 1e-6


def test_each_text_of_a_batch_has_its_own_distribution_with_its_own_thoughts():
    """Texts that go on at different paces, and one of them to its end much earlier, do not touch each other."""
    large, small = pair(**SMALL)
    rows = torch.arange(20_000) % 2
    prompts = torch.tensor([[1], [2]])
    written = write_speculatively(
        large.model, large.z[rows], small.model, small.z[rows], prompts[rows], 4, eos_id=0, ahead=2
    )
    texts = text_of(written)
    for row in range(2):
        expected = probabilities_of(large, large.z[row : row + 1], prompts[row : row + 1], 4, Sampling())
        over = (every_text(3, 4) == 0).cumsum(1).clamp_max(1)  # what stands behind an end becomes end
        ended = (every_text(3, 4) * (1 - over)) @ torch.tensor([27, 9, 3, 1])
        expected = torch.zeros_like(expected).index_add(0, ended, expected)
        assert p_value_of(texts[rows == row], expected) > 1e-3
        assert p_value_of(texts[rows == 1 - row], expected) < 1e-6


def test_two_tokens_of_different_texts_are_independent():
    """Neither is drawn from, nor kept by, the other's random numbers."""
    large, small = pair(**SMALL)
    generator = torch.Generator().manual_seed(1)
    rows = 10_000
    z, draft_z = large.z[:1].expand(2 * rows, -1, -1, -1), small.z[:1].expand(2 * rows, -1, -1, -1)
    empty = torch.zeros(2 * rows, 0, dtype=torch.long)
    texts = text_of(write_speculatively(large.model, z, small.model, draft_z, empty, 3, ahead=2, generator=generator))
    pairs = texts[:, 2].view(rows, 2)
    joint = torch.bincount(3 * pairs[:, 0] + pairs[:, 1], minlength=9).double()
    margin = torch.bincount(texts[:, 2], minlength=3).double() / (2 * rows)
    assert chisquare(joint.numpy(), (rows * torch.outer(margin, margin).flatten()).numpy()).pvalue > 1e-3


@pytest.mark.parametrize("ahead", [1, 3, 8])
@pytest.mark.parametrize("prompt", [0, 1, 9])
@pytest.mark.parametrize("sampling", [Sampling(0), Sampling(top_k=1)])
def test_the_likeliest_tokens_are_those_of_the_model_alone_well_past_the_window(tiny, sampling, prompt, ahead):
    torch.manual_seed(5)
    small = TinyModel(layers=1, width=8, window=3)
    tally = AcceptanceStats()
    arguments = (tiny.x[:, :prompt], 20 - prompt, sampling)
    alone = text_of(write(tiny.model, tiny.z, *arguments))
    pairwise = text_of(
        write_speculatively(tiny.model, tiny.z, small.model, small.z, *arguments, ahead=ahead, tally=tally)
    )
    assert torch.equal(pairwise, alone)
    assert tally.accepted < tally.proposed


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0), Sampling(0.7, 5, 0.9)])
def test_a_draft_that_is_the_model_itself_has_everything_accepted(tiny, sampling):
    tally = AcceptanceStats()
    twice = (tiny.model, tiny.z, tiny.model, tiny.z)
    texts = text_of(write_speculatively(*twice, tiny.x[:, :2], 18, sampling, ahead=4, tally=tally))
    assert texts.shape == (3, 18)
    assert tally.accepted == tally.proposed
    assert tally.tokens == 3 * 17  # all but the first, which takes no pass of its own
    assert tally.passes == 3 * 4  # 17 = 5 + 5 + 5 + 2
    assert tally.proposed == 3 * (4 + 4 + 4 + 1)


def test_a_model_without_thoughts_drafts_for_one_with_and_the_other_way_round(tiny):
    plain = autoregressive_with(layers=1)
    prompt = tiny.x[:, :2]
    for model, z, draft, draft_z in ((tiny.model, tiny.z, plain, None), (plain, None, tiny.model, tiny.z)):
        expected = text_of(write(model, z, prompt, 18, Sampling(0)))
        assert torch.equal(text_of(write_speculatively(model, z, draft, draft_z, prompt, 18, Sampling(0))), expected)


def test_each_text_ends_by_itself_and_writing_when_all_have(tiny):
    alone = text_of(write(tiny.model, tiny.z, tiny.x[:, :0], 20, Sampling(0)))
    eos_id = int(alone[0, 6])
    expected = text_of(write(tiny.model, tiny.z, tiny.x[:, :0], 20, Sampling(0), eos_id=eos_id))
    small = TinyModel(layers=1, width=8)
    for rows in (slice(0, 1), slice(None)):
        models = (tiny.model, tiny.z[rows], small.model, small.z[rows])
        found = text_of(write_speculatively(*models, tiny.x[rows, :0], 20, Sampling(0), eos_id=eos_id, ahead=3))
        ended = (expected[rows] == eos_id).cumsum(1).clamp_max(1)
        last = 20 if (ended[:, -1] == 0).any() else int((1 - ended).sum(1).max()) + 1
        assert torch.equal(found, expected[rows, :last])


def test_equal_seeds_write_equal_texts_and_others_do_not(tiny):
    small = TinyModel(layers=1, width=8)

    def text(seed):
        models = (tiny.model, tiny.z, small.model, small.z)
        return text_of(write_speculatively(*models, tiny.x[:, :2], 18, generator=torch.Generator().manual_seed(seed)))

    assert torch.equal(text(0), text(0))
    assert not torch.equal(text(0), text(1))


def test_one_token_is_written_without_the_draft(tiny):
    tally = AcceptanceStats()
    texts = text_of(write_speculatively(tiny.model, tiny.z, tiny.model, tiny.z, tiny.x[:, :19], 1, tally=tally))
    assert texts.shape == (3, 1)
    assert tally == AcceptanceStats()


def test_what_is_written_may_go_on_into_a_pass_with_gradients(tiny):
    small = TinyModel(layers=1, width=8)
    for written in (
        write(tiny.model, tiny.z, tiny.x[:, :2], 18),
        write_speculatively(tiny.model, tiny.z, small.model, small.z, tiny.x[:, :2], 18),
    ):
        tiny.decoder.token_log_prob(text_of(written), tiny.z).sum().backward()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ({"vocabulary": 31}, {}, "the draft's vocabulary has 31 tokens, the model's 30"),
        ({"length": 12}, {}, "exceed the 12 tokens the draft was built for"),
        ({}, {"ahead": 0}, "ahead=0"),
        ({}, {"tokens": 19}, "exceed the 20 tokens this model was built for"),
    ],
)
def test_a_pair_that_does_not_fit_is_refused_at_once(tiny, sizes, options, message):
    small = TinyModel(**sizes)
    options = {"tokens": 18, **options}
    with pytest.raises(InputError, match=message):
        write_speculatively(tiny.model, tiny.z, small.model, small.z, tiny.x[:, :2], **options)
