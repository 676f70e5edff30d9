"""Any decoder serves that has hidden states and logits: all else of the contract is made of these two."""

import pytest
import torch
from bag_decoder import BagDecoder
from toys import decoder_with, large_weights

from ltm_pyro import (
    ELBO,
    AbstractDecoder,
    AutoregressiveModel,
    Decoder,
    DualRateSVI,
    FastLoop,
    GaussianPrior,
    LatentThoughtModel,
    MaskedDiffusionModel,
    MeanFieldGuide,
    SlowStep,
    TokenSequence,
)
from ltm_pyro.data import id_sequences, in_order
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation import Evaluator
from ltm_pyro.generation import Sampling, write, write_speculatively
from ltm_pyro.testing import check_decoder

V, T = 13, 9
ABSTRACT = {"features", "unembed"}


def bag(**sizes):
    return large_weights(BagDecoder(V, T, bos_id=1, **sizes))


class Plain(AbstractDecoder):
    """A Transformer of ours with nothing but the two members, so that every default is asked."""

    def __init__(self, decoder):
        super().__init__(decoder.z_shape, decoder.vocabulary, decoder.length, decoder.bos_id)
        self.decoder = decoder

    def features(self, tokens, z=None):
        return self.decoder.features(tokens, z)

    def unembed(self, h):
        return self.decoder.unembed(h)


def test_two_members_are_to_be_written():
    assert AbstractDecoder.__abstractmethods__ == ABSTRACT
    assert set(vars(BagDecoder)) >= ABSTRACT
    written = {name for name in vars(BagDecoder) if not name.startswith("_")}
    assert written & set(vars(AbstractDecoder)) == ABSTRACT
    assert issubclass(Decoder, AbstractDecoder)


DECODERS = {  # every decoder of the library, and one that is none of it
    "bag": bag,
    "bag without thoughts": lambda: bag(thoughts=0),
    "Decoder": decoder_with,
    "Decoder without thoughts": lambda: decoder_with(thoughts=0),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_keep_their_contract(name):
    check_decoder(DECODERS[name]())


class Peeking(BagDecoder):
    def features(self, tokens, z=None):
        return super().features(tokens, z) + self.last(tokens).mean(-2, keepdim=True)


class Mixing(BagDecoder):
    def features(self, tokens, z=None):
        return super().features(tokens, z) + self.last(tokens).mean(0)


class Narrow(BagDecoder):
    def unembed(self, h):
        return super().unembed(h)[..., 1:]


class OneParticle(BagDecoder):
    def features(self, tokens, z=None):
        return super().features(tokens, z.flatten(0, -4)[: len(tokens)])


class Miscounting(BagDecoder):
    def decode_step(self, token, cache):
        return self.features(token[:, None], cache.z)[:, 0] @ self.head.weight.T


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Peeking, "with the tokens that follow it"),
        (Mixing, "with its batch mates"),
        (Narrow, "unembed.. returns a Tensor of shape .3, 9, 12., expected .3, 9, 13."),
        (OneParticle, "particles of z"),
        (Miscounting, "step after step"),
    ],
)
def test_a_decoder_that_does_not_is_told(wrong, message):
    with pytest.raises(AssertionError, match=message):
        check_decoder(wrong(V, T))


def test_the_defaults_are_what_the_transformer_does_faster():
    fast = decoder_with()
    slow, x, z = Plain(fast), torch.randint(30, (3, 20)), torch.randn(2, 3, *fast.z_shape, dtype=torch.float64)
    places = torch.tensor([0, 7, 19])
    for given in ({}, {"positions": places}):
        torch.testing.assert_close(slow.token_log_prob(x, z, **given), fast.token_log_prob(x, z, **given))
    assert slow.device == fast.device
    (a, one), (b, other) = slow.prefill(x[:, :6], z[0], 3), fast.prefill(x[:, :6], z[0], 3)
    torch.testing.assert_close(a, b)
    for kept in ([6, 6, 6], [9, 7, 8], [12, 9, 10]):  # every text at its own pace
        one.rewind(torch.tensor(kept))
        other.rewind(torch.tensor(kept))
        more = torch.randint(30, (3, 4))
        torch.testing.assert_close(slow.decode_steps(more, one), fast.decode_steps(more, other))
        assert one.position == other.position
    for decoder in (slow, fast):
        with pytest.raises(InputError, match="writes texts of up to 20 tokens, not 21"):
            decoder.prefill(torch.zeros(3, 21, dtype=torch.long), z[0])


@pytest.fixture
def model():
    decoder = bag()
    return LatentThoughtModel(GaussianPrior(decoder.z_shape).double(), decoder)


def test_it_is_trained_and_scored(model):
    x = torch.randint(V, (4, T))
    guide = MeanFieldGuide(model.decoder.z_shape)
    fast = FastLoop(ELBO(), 3, 0.1, tokens=0.5)  # which scores chosen positions
    fast.fit(model, guide, x)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    moved = guide.local_parameters()[0]
    assert moved.abs().max() > 0
    DualRateSVI(model, guide, fast, SlowStep(ELBO(), 0.01)).step(x)
    assert all(not torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    (batch,) = in_order(id_sequences(list(x), V, 1, T), 4)
    scores = Evaluator(model, guide, fast, draws=3).evaluate([batch]).scores
    assert {"elbo", "importance_weighted", "prior", "predictive"} <= set(scores)


def test_it_writes_what_it_scores(model):
    decoder, likeliest = model.decoder, Sampling(temperature=0.0)
    z, prompt = torch.randn(2, *decoder.z_shape, dtype=torch.float64), torch.randint(V, (2, 3))
    written = torch.stack(list(write(model, z, prompt, T - 3, likeliest)), 1)
    scored = decoder.logits(decoder.inputs(torch.cat((prompt, written), 1)), z)
    assert torch.equal(scored.argmax(-1)[:, 3:], written)
    speculative = write_speculatively(model, z, model, z.flip(0), prompt, T - 3, likeliest, ahead=2)
    assert torch.equal(torch.stack(list(speculative), 1), written)
    text = TokenSequence(decoder, z).sample()
    assert text.shape == (2, T)
    assert TokenSequence(decoder, z).log_prob(text).isfinite().all()


def test_what_it_lacks_is_refused_by_name(model):
    with pytest.raises(InputError, match="a BagDecoder says nothing of its attention to thoughts"):
        model.decoder.attention_on_thoughts(torch.zeros(1, T, dtype=torch.long), torch.zeros(1, 1, 2, 8))
    with pytest.raises(InputError, match="decoder is a BagDecoder"):
        MaskedDiffusionModel(bag(thoughts=0))
    with pytest.raises(InputError, match="compile='fast'"):
        model.compile_passes("fast")
    AutoregressiveModel(bag(thoughts=0))
