"""The likelihood as a distribution: what is scored, what is context, what is written."""

import pytest
import torch
from scipy.stats import chisquare
from toys import decoder_with, every_text

from ltm_pyro import InputError, TokenSequence

TIGHT = {"atol": 1e-10, "rtol": 0}


def ending_in_padding(lengths, size):
    return torch.arange(size) < torch.tensor(lengths)[:, None]  # (B, T)


def scored(tiny, x, mask, z=None):
    return TokenSequence(tiny.decoder, tiny.z if z is None else z, mask).log_prob(x)


def test_padding_contributes_exactly_nothing(tiny):
    mask = ending_in_padding([20, 13, 1], 20)
    other = torch.where(mask, tiny.x, tiny.texts(3))
    assert not torch.equal(other, tiny.x)
    assert torch.equal(scored(tiny, tiny.x, mask), scored(tiny, other, mask))


def test_padding_has_exactly_no_gradient(tiny):
    z = tiny.z.requires_grad_()
    wanted = [z, *tiny.decoder.parameters()]
    mask = ending_in_padding([20, 13, 1], 20)
    gradients = [
        torch.autograd.grad(scored(tiny, torch.where(mask, tiny.x, padding), mask, z).sum(), wanted)
        for padding in (tiny.texts(3), torch.zeros_like(tiny.x))
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-13, rtol=0)
    nothing = torch.autograd.grad(scored(tiny, tiny.x, torch.zeros_like(mask), z).sum(), wanted)
    assert all(gradient.abs().max() == 0 for gradient in nothing)


def test_a_text_that_is_all_padding_is_certain(tiny):
    assert scored(tiny, tiny.x, ending_in_padding([0, 0, 5], 20))[:2].tolist() == [0.0, 0.0]


def test_a_shorter_text_is_the_longer_one_with_padding(tiny):
    mask = ending_in_padding([13, 13, 13], 20)
    short = TokenSequence(tiny.decoder, tiny.z).log_prob(tiny.x[:, :13])
    torch.testing.assert_close(scored(tiny, tiny.x, mask), short, **TIGHT)


def test_a_masked_prefix_is_context_and_not_scored(tiny):
    mask = ~ending_in_padding([7, 7, 7], 20)
    tail = tiny.decoder.token_log_prob(tiny.x, tiny.z)[:, 7:].sum(-1)
    torch.testing.assert_close(scored(tiny, tiny.x, mask), tail, **TIGHT)
    other = torch.cat((tiny.texts(3)[:, :7], tiny.x[:, 7:]), 1)
    assert (scored(tiny, other, mask) - tail).abs().min() > 1e-6  # it is read


def test_the_token_before_a_text_is_read_in_place_of_begin(tiny):
    previous = torch.tensor([4, 5, 1])
    nats = TokenSequence(tiny.decoder, tiny.z, previous=previous).log_prob(tiny.x)
    plain = TokenSequence(tiny.decoder, tiny.z).log_prob(tiny.x)
    assert ((nats - plain).abs() > 1e-6).tolist() == [True, True, False]  # begin is 1
    seen = torch.cat((previous[:, None], tiny.x[:, :-1]), 1)
    logits = tiny.decoder.logits(seen, tiny.z).log_softmax(-1)
    torch.testing.assert_close(nats, logits.gather(-1, tiny.x[..., None]).sum((1, 2)), **TIGHT)


def test_no_sequence_depends_on_its_batch_mates(tiny):
    other = torch.cat((tiny.x[:1], tiny.texts(2)))
    z = torch.cat((tiny.z[:1], torch.randn_like(tiny.z[1:])))
    one, two = scored(tiny, tiny.x, None), scored(tiny, other, None, z)
    torch.testing.assert_close(one[0], two[0], **TIGHT)
    assert (one - two)[1:].abs().min() > 1e-6


@pytest.mark.parametrize("sample_shape", [(), (5,), (2, 5)])
@pytest.mark.parametrize("batch_shape", [(), (3,), (4, 3)])
def test_samples_have_the_shape_that_is_asked_for_and_can_be_scored(sample_shape, batch_shape):
    decoder = decoder_with(length=6)
    z = torch.randn(*batch_shape, *decoder.z_shape, dtype=torch.float64)
    text = TokenSequence(decoder, z)
    x = text.sample(sample_shape)
    assert x.shape == (*sample_shape, *batch_shape, 6)
    nats = text.log_prob(x)
    assert nats.shape == (*sample_shape, *batch_shape)
    flat_z = z.expand(*sample_shape, *z.shape).reshape(-1, *decoder.z_shape)
    torch.testing.assert_close(nats.flatten(), TokenSequence(decoder, flat_z).log_prob(x.view(-1, 6)), **TIGHT)


@pytest.mark.parametrize("batch_shape", [(), (3,)])
def test_samples_without_thoughts_have_the_shape_that_is_asked_for(batch_shape):
    text = TokenSequence(decoder_with(thoughts=0, length=6), batch_shape=batch_shape)
    assert text.sample((5,)).shape == (5, *batch_shape, 6)
    assert text.log_prob(text.sample((5,))).shape == (5, *batch_shape)


def test_one_seed_writes_one_text(tiny):
    text = TokenSequence(tiny.decoder, tiny.z)
    torch.manual_seed(3)
    first = text.sample()
    assert not torch.equal(first, text.sample())
    torch.manual_seed(3)
    assert torch.equal(first, text.sample())


def test_texts_are_written_as_often_as_their_probability_says():
    decoder = decoder_with(vocabulary=3, length=3, window=2)
    z, other = torch.randn(2, *decoder.z_shape, dtype=torch.float64)
    texts, place = every_text(3, 3), torch.tensor([9, 3, 1])
    written = TokenSequence(decoder, z).sample((20_000,))
    counts = torch.bincount(written @ place, minlength=27)

    def p_value(thoughts):
        expected = TokenSequence(decoder, thoughts).log_prob(texts).exp().detach()
        return chisquare(counts.numpy(), (20_000 * expected / expected.sum()).numpy()).pvalue

    assert p_value(z) > 1e-3
    assert p_value(other) < 1e-6  # other thoughts write other texts


def test_writing_starts_from_the_token_before():
    decoder = decoder_with(vocabulary=3, length=2)
    z, previous = torch.randn(2, *decoder.z_shape, dtype=torch.float64), torch.tensor([0, 2])
    written = TokenSequence(decoder, z, previous=previous).sample((20_000,))
    for row in range(2):
        expected = decoder.logits(previous[row : row + 1, None], z[row : row + 1]).softmax(-1).flatten().detach()
        counts = torch.bincount(written[:, row, 0], minlength=3)
        assert chisquare(counts.numpy(), (20_000 * expected).numpy()).pvalue > 1e-3


def test_expanding_repeats_the_scores(tiny):
    text = TokenSequence(tiny.decoder, tiny.z)
    torch.testing.assert_close(text.expand((4, 3)).log_prob(tiny.x), text.log_prob(tiny.x).expand(4, 3), **TIGHT)


def test_the_length_is_the_masks_or_the_decoders_or_the_one_given(tiny):
    assert TokenSequence(tiny.decoder, tiny.z).event_shape == (20,)
    assert TokenSequence(tiny.decoder, tiny.z, torch.ones(3, 8, dtype=torch.bool)).event_shape == (8,)
    assert TokenSequence(tiny.decoder, tiny.z, length=5).sample().shape == (3, 5)


@pytest.mark.parametrize(
    ("x", "mask", "message"),
    [
        (torch.full((3, 20), 30), None, "from 0 to 29"),
        (torch.full((3, 20), -1), None, "from 0 to 29"),
        (torch.zeros(3, 20), None, "token ids, whole numbers"),
        (torch.zeros(3, 20, dtype=torch.long), torch.ones(3, 19, dtype=torch.bool), r"\(3, 19\)"),
        (torch.zeros(3, 20, dtype=torch.long), torch.ones(2, 20, dtype=torch.bool), r"\(2, 20\)"),
        (torch.zeros(3, 20, dtype=torch.long), torch.ones(3, 20, dtype=torch.long), "booleans"),
        (torch.zeros(3, 21, dtype=torch.long), None, "length=21"),
    ],
)
def test_what_cannot_be_scored_is_refused(tiny, x, mask, message):
    with pytest.raises(InputError, match=message):
        TokenSequence(tiny.decoder, tiny.z, mask).log_prob(x)


def test_what_cannot_be_scored_is_refused_in_several_particles_too(tiny):
    with pytest.raises(InputError, match="from 0 to 29"):
        TokenSequence(tiny.decoder, tiny.z).expand((4, 3)).log_prob(tiny.x + 30)


def test_thoughts_of_another_shape_are_refused(tiny):
    with pytest.raises(InputError, match=r"\(2, 3, 16\).*\(2, 2, 16\)"):
        TokenSequence(tiny.decoder, torch.zeros(3, 2, 3, 16))
