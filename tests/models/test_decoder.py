"""The decoder: what it can see, what it costs, and that writing and scoring agree."""

import math

import pytest
import torch
from toys import SIZES, autoregressive_with, decoder_with, every_text

from ltm_pyro import Decoder, InputError
from ltm_pyro.models.decoder import DecoderCache

TIGHT = {"atol": 1e-10, "rtol": 0}


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_token_reaches_exactly_as_far_as_the_windows_of_all_layers(layers):
    """x_s is read at s + 1 and seen `window` - 1 further in each layer: it moves log p(x_t | ...) for
    t = s (its own) to s + 1 + L (window - 1), none before and none beyond."""
    decoder, changed, window = decoder_with(layers=layers, window=3), 5, 3
    x = torch.randint(30, (1, 20))
    other = x.clone()
    other[:, changed] = (x[:, changed] + 1) % 30
    z = torch.randn(1, *decoder.z_shape, dtype=torch.float64)
    moved = (decoder.token_log_prob(x, z) - decoder.token_log_prob(other, z)).abs()[0]
    last = changed + 1 + layers * (window - 1)
    assert moved[:changed].max() == 0
    assert moved[last + 1 :].max() < 1e-12
    assert moved[changed : last + 1].min() > 1e-9


def test_a_window_of_one_sees_nothing_but_the_token_itself():
    decoder = decoder_with(window=1)
    x = torch.randint(30, (1, 20))
    other = torch.cat((torch.randint(30, (1, 10)), x[:, 10:]), 1)
    z = torch.randn(1, *decoder.z_shape, dtype=torch.float64)
    difference = decoder.token_log_prob(x, z) - decoder.token_log_prob(other, z)
    torch.testing.assert_close(difference[:, 11:], torch.zeros(1, 9, dtype=torch.float64), **TIGHT)


def test_every_layer_listens_to_its_own_thoughts(tiny):
    for layer in range(2):
        other = tiny.z.clone()
        other[:, layer] += 1.0
        difference = tiny.decoder.token_log_prob(tiny.x, tiny.z) - tiny.decoder.token_log_prob(tiny.x, other)
        assert difference.abs().min(-1).values.min() > 1e-9  # every token of every sequence


def test_particles_in_one_pass_are_separate_passes(tiny):
    z = torch.randn(4, *tiny.z.shape, dtype=torch.float64)
    apart = torch.stack([tiny.decoder.token_log_prob(tiny.x, one) for one in z])
    torch.testing.assert_close(tiny.decoder.token_log_prob(tiny.x, z), apart, **TIGHT)


def test_particles_of_texts_in_one_pass_are_separate_passes(tiny):
    x = torch.randint(30, (4, *tiny.x.shape))
    apart = torch.stack([tiny.decoder.token_log_prob(one, tiny.z) for one in x])
    torch.testing.assert_close(tiny.decoder.token_log_prob(x, tiny.z), apart, **TIGHT)


def teacher_forced(thoughts, window):
    """A decoder, thoughts for it or None, tokens, and its logits after each of them."""
    decoder = decoder_with(thoughts=thoughts, window=window)
    z = torch.randn(3, *decoder.z_shape, dtype=torch.float64) if thoughts else None
    tokens = torch.randint(30, (3, 20))
    forced = decoder.logits(tokens, z)
    return decoder, z, tokens, forced


@pytest.mark.parametrize("thoughts", [0, 2])
@pytest.mark.parametrize("prompt", [1, 2, 4, 5, 11])  # shorter than the window of 4, as long, and longer
@pytest.mark.parametrize("window", [1, 4, 20])
def test_reading_then_stepping_gives_the_teacher_forced_logits(thoughts, prompt, window):
    decoder, z, tokens, forced = teacher_forced(thoughts, window)
    logits, cache = decoder.prefill(tokens[:, :prompt], z)
    collected = [logits] + [decoder.decode_step(token, cache) for token in tokens[:, prompt:].T]
    torch.testing.assert_close(torch.stack(collected, 1), forced[:, prompt - 1 :], **TIGHT)
    assert cache.position == 20


@pytest.mark.parametrize("ahead", [0, 3])
def test_the_cache_keeps_no_more_than_the_window_and_what_is_ahead(tiny, ahead):
    _, cache = tiny.decoder.prefill(tiny.x[:, :15], tiny.z, ahead)
    tiny.decoder.decode_step(tiny.x[:, 15], cache)
    assert {block.cache.ring.shape[-2] for block in cache.blocks} == {SIZES["window"] + ahead}
    with pytest.raises(RuntimeError, match=f"takes {1 + ahead} tokens, not {2 + ahead}"):
        tiny.decoder.decode_steps(tiny.x[:, : 2 + ahead], cache)
    assert isinstance(cache, DecoderCache)


@pytest.mark.parametrize("thoughts", [0, 2])
@pytest.mark.parametrize("prompt", [1, 3, 9])
@pytest.mark.parametrize("window", [1, 4, 20])
def test_several_tokens_read_at_once_give_the_teacher_forced_logits(thoughts, prompt, window):
    decoder, z, tokens, forced = teacher_forced(thoughts, window)
    _, cache = decoder.prefill(tokens[:, :prompt], z, ahead=4)
    collected = [decoder.decode_steps(chunk, cache) for chunk in tokens[:, prompt : prompt + 11].split([5, 1, 3, 2], 1)]
    torch.testing.assert_close(torch.cat(collected, 1), forced[:, prompt : prompt + 11], **TIGHT)


@pytest.mark.parametrize("window", [1, 4, 20])
def test_what_is_forgotten_leaves_no_trace(window):
    """Each text goes back by another number of tokens, up to all that can be forgotten, and then reads others."""
    decoder = decoder_with(window=window)
    z = torch.randn(6, *decoder.z_shape, dtype=torch.float64)
    tokens, wrong = torch.randint(30, (6, 20)), torch.randint(30, (6, 20))
    forced = decoder.logits(tokens, z)
    _, cache = decoder.prefill(tokens[:, :8], z, ahead=4)
    read = torch.full((6,), 8)
    for back in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 2, 2, 2, 2, 2]):
        right = 5 - torch.tensor(back)  # so many of the five tokens that are read stay
        ours = tokens.gather(1, read[:, None] + torch.arange(5))
        theirs = torch.where(torch.arange(5) < right[:, None], ours, wrong[:, :5])
        logits = decoder.decode_steps(theirs, cache)
        for row in range(6):
            start, stop = int(read[row]), int(read[row] + right[row])
            torch.testing.assert_close(logits[row, : stop - start], forced[row, start:stop], **TIGHT)
        read = read + right
        cache.rewind(read)
        assert cache.position == read.max()
    singly = decoder.decode_step(tokens.gather(1, read[:, None])[:, 0], cache)
    torch.testing.assert_close(singly, forced[torch.arange(6), read], **TIGHT)


def test_writing_takes_the_weights_of_norms_and_of_every_projection():
    """The joined weights that writing uses: with any one of them changed, what is written changes as scoring does."""
    decoder = decoder_with()
    z, tokens = torch.randn(1, *decoder.z_shape, dtype=torch.float64), torch.randint(30, (1, 12))
    for parameter in decoder.parameters():
        with torch.no_grad():
            parameter.mul_(1.0 + 0.3 * torch.rand_like(parameter))
        logits, cache = decoder.prefill(tokens[:, :6], z)
        written = torch.stack([logits, *(decoder.decode_step(token, cache) for token in tokens[:, 6:].T)], 1)
        torch.testing.assert_close(written, decoder.logits(tokens, z)[:, 5:], **TIGHT)


def test_the_probabilities_of_all_texts_add_up_to_one():
    decoder = decoder_with(vocabulary=3, length=3, window=2)
    z = torch.randn(1, *decoder.z_shape, dtype=torch.float64)
    total = decoder.token_log_prob(every_text(3, 3), z).sum(-1).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total), **TIGHT)


def test_the_probabilities_of_all_texts_add_up_to_one_without_thoughts():
    model = autoregressive_with(vocabulary=3, length=3, window=2)
    total = model.decoder.token_log_prob(every_text(3, 3)).sum(-1).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total), **TIGHT)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
@pytest.mark.parametrize("particles", [(), (2,)])
def test_the_fused_log_probability_and_its_gradients_are_those_of_log_softmax(dtype, close, particles):
    decoder = decoder_with().to(dtype)
    x = torch.randint(30, (14, 20))  # 280 tokens and more: over one chunk of the fused kernel
    z = torch.randn(*particles, 14, *decoder.z_shape, dtype=dtype, requires_grad=True)
    wanted = [z, *decoder.parameters()]

    def plain():
        nats = decoder.logits(decoder.inputs(x), z).log_softmax(-1)
        return nats.gather(-1, x.expand(nats.shape[:-1])[..., None]).squeeze(-1)

    upstream = torch.randn(*particles, 14, 20, dtype=dtype)
    fused_nats, plain_nats = decoder.token_log_prob(x, z), plain()
    torch.testing.assert_close(fused_nats, plain_nats, atol=close, rtol=close)
    fused = torch.autograd.grad(fused_nats, wanted, upstream)
    for one, other in zip(fused, torch.autograd.grad(plain_nats, wanted, upstream), strict=True):
        scale = other.abs().max()
        torch.testing.assert_close(one / scale, other / scale, atol=close, rtol=0)


@pytest.mark.parametrize(
    ("width", "initial_scale", "scale"), [(512, None, 0.02), (128, None, 0.04), (128, 0.1, 0.1)], ids=str
)
def test_the_initial_weights_have_the_papers_scale_at_its_width(width, initial_scale, scale):
    decoder = Decoder(vocabulary=500, width=width, layers=3, heads=4, initial_scale=initial_scale)
    for name, parameter in decoder.named_parameters():
        if parameter.dim() == 1:
            assert torch.equal(parameter, torch.ones_like(parameter))
            continue
        expected = scale / math.sqrt(6) if name.endswith(("output.weight", "down.weight")) else scale
        # the standard deviation of n normal numbers is known to 1 / sqrt(2n)
        assert abs(parameter.std().item() / expected - 1) < 5 / math.sqrt(2 * parameter.numel()), name


def test_there_are_no_biases_and_no_second_embedding():
    names = [name for name, _ in decoder_with().named_parameters()]
    assert not [name for name in names if "bias" in name]
    assert [name for name in names if "embedding" in name] == ["embedding.weight"]


def test_without_thoughts_there_is_no_cross_attention():
    assert not [name for name, _ in decoder_with(thoughts=0).named_parameters() if "cross" in name or "norm_2" in name]


@pytest.mark.parametrize(("layers", "thoughts", "millions"), [(3, 8, 38), (6, 4, 51), (12, 8, 76)])
def test_the_papers_sizes_have_the_papers_number_of_parameters(layers, thoughts, millions):
    with torch.device("meta"):
        decoder = Decoder(50_258, 512, layers, 8, thoughts, window=256, length=1024)
    count = sum(parameter.numel() for parameter in decoder.parameters())
    assert count == pytest.approx(50_258 * 512 + layers * 4.21e6, rel=0.005)
    assert round(count / 1e6) == millions


def test_the_tables_follow_the_weights_but_are_not_saved(tiny):
    assert tiny.decoder.rotary.dtype == torch.float64
    assert set(tiny.decoder.state_dict()) == {name for name, _ in tiny.decoder.named_parameters()}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"vocabulary": 0}, "vocabulary=0"),
        ({"width": 0}, "width=0"),
        ({"layers": 0}, "layers=0"),
        ({"heads": 0}, "heads=0"),
        ({"window": 0}, "window=0"),
        ({"width": 18, "heads": 4}, "width=16 would do"),
        ({"width": 6, "heads": 2}, "even number of channels"),
        ({"length": 1}, "length=1"),
        ({"thoughts": -1}, "thoughts=-1"),
        ({"bos_id": 30}, "bos_id=30"),
        ({"bos_id": -1}, "bos_id=-1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_name(sizes, message):
    with pytest.raises(InputError, match=message):
        Decoder(**{**SIZES, **sizes})


def test_a_remedy_that_is_offered_works():
    Decoder(**{**SIZES, "width": 16, "heads": 4})


def test_texts_longer_than_the_decoder_are_refused(tiny):
    with pytest.raises(InputError, match="length=21"):
        tiny.decoder.token_log_prob(tiny.texts(3, 21), tiny.z)
    with pytest.raises(InputError, match="up to 20 tokens"):
        tiny.decoder.prefill(tiny.texts(3, 21), tiny.z)
    _, cache = tiny.decoder.prefill(tiny.texts(3, 20), tiny.z)
    with pytest.raises(InputError, match="not 21"):
        tiny.decoder.decode_step(tiny.x[:, 0], cache)


def test_a_decoder_with_thoughts_does_not_go_without(tiny):
    with pytest.raises(InputError, match="z is missing"):
        tiny.decoder.token_log_prob(tiny.x)
