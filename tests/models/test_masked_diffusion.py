"""Masked diffusion against enumeration: every text, every order of unmasking, of two or three tokens."""

import math
from functools import cache
from itertools import combinations

import pyro
import pytest
import torch
from scipy.stats import chisquare
from toys import decoder_with, every_text, large_weights

from ltm_pyro import ELBO, EmptyGuide, ImportanceWeighted, InputError, MaskedDiffusionModel
from ltm_pyro.models.masked_sequence import MaskedSequence, hide
from ltm_pyro.models.unmasking import ancestral, choose, first_hitting

V, T = 3, 3
LOSSES = ["masked", "score-entropy"]
PREVIOUS = 2


def diffusion(loss="masked", length=T, vocabulary=V, window=None):
    decoder = decoder_with(vocabulary=vocabulary, length=length, window=length, thoughts=0)
    return large_weights(MaskedDiffusionModel(decoder, loss, window), 0.5)


@pytest.fixture(params=[("masked", None), ("score-entropy", None), ("masked", 2)], ids=str)
def model(request):
    torch.manual_seed(3)
    loss, window = request.param
    return diffusion(loss, window=window)


@torch.no_grad()
def log_g(model, x, hidden):
    """Log-intensities where `hidden`, a set of places, is masked: (T, V)."""
    row = torch.tensor([[place in hidden for place in range(len(x))]])
    return model.intensities(x[None], row, torch.tensor([PREVIOUS]))[0]


def exact_log_prob(model, x, given=()):
    """Of the process that unmasks one token after another: a sum over all orders."""

    @cache
    def probability(hidden):
        if not hidden:
            return 1.0
        g = log_g(model, x, hidden).exp()
        total = sum(float(g[place].sum()) for place in hidden)
        return sum(float(g[place, x[place]]) / total * probability(hidden - {place}) for place in hidden)

    return math.log(probability(frozenset(range(len(x))) - frozenset(given)))


def exact_bound(model, x, given=()):
    """The mean of the estimate: a sum over all sets of masked places."""
    free = [place for place in range(len(x)) if place not in given]
    bound = 0.0
    for k in range(1, len(free) + 1):
        for hidden in combinations(free, k):
            g = log_g(model, x, hidden)
            nats = sum(float(g[place, x[place]] + 1 - g[place].exp().sum()) for place in hidden)
            bound += nats / k / math.comb(len(free), k)
    return bound


def fits(counts, probabilities):
    """The p-value of a chi-square test."""
    probabilities = torch.as_tensor(probabilities, dtype=torch.float64).numpy()
    return chisquare(counts, probabilities * (counts.sum() / probabilities.sum())).pvalue


def estimates(model, x, draws, mask=None):
    with torch.no_grad():
        text = MaskedSequence(model, mask, torch.tensor([PREVIOUS]), len(x), (draws, 1))
        return text.log_prob(x[None])[:, 0]


def test_the_process_is_a_distribution_and_the_bound_lies_below_it(model):
    texts = every_text(V, T)
    exact = [exact_log_prob(model, x) for x in texts]
    bounds = [exact_bound(model, x) for x in texts]
    assert sum(map(math.exp, exact)) == pytest.approx(1, abs=1e-6)
    assert all(bound <= log_p + 1e-6 for bound, log_p in zip(bounds, exact, strict=True))
    assert max(log_p - bound for bound, log_p in zip(bounds, exact, strict=True)) > 0.01  # not the same number twice


def test_the_intensities_of_mdlm_add_up_to_one_and_those_of_sedd_do_not():
    for loss, normalised in zip(LOSSES, (True, False), strict=True):
        g = log_g(diffusion(loss), torch.tensor([0, 1, 2]), {0, 2}).exp().sum(-1)
        assert torch.allclose(g, torch.ones(T).double()) == normalised


def test_the_estimate_has_the_mean_of_its_closed_form(model):
    texts = every_text(V, T)
    for x in texts[[1, 14, 22]]:
        found = torch.cat([estimates(model, x, 1) for _ in range(400)])
        error = float(found.std() / math.sqrt(len(found)))
        assert abs(float(found.mean()) - exact_bound(model, x)) < 4.5 * error
        others = [exact_bound(model, other) for other in texts[[1, 14, 22]]]
        assert any(abs(float(found.mean()) - other) > 6 * error for other in others)  # it could have failed


def test_the_draws_of_a_text_and_the_texts_of_a_batch_are_spread():
    for texts, draws in ((1, 6), (6, 1), (2, 6)):
        hidden, _ = hide(torch.ones(texts * draws, 3, dtype=torch.bool), draws)
        counts = hidden.sum(-1).view(draws, texts)
        assert torch.bincount(counts.flatten(), minlength=4).tolist()[1:] == [texts * draws // 3] * 3
        if draws > 1:
            assert all(torch.bincount(own, minlength=4).tolist()[1:] == [2, 2, 2] for own in counts.T)


def test_what_is_given_is_never_masked(model):
    x, mask = torch.tensor([0, 2, 1]), torch.tensor([[False, True, True]])
    found = torch.cat([estimates(model, x, 1, mask) for _ in range(400)])
    error = float(found.std() / math.sqrt(len(found)))
    assert abs(float(found.mean()) - exact_bound(model, x, given=(0,))) < 4.5 * error
    assert exact_bound(model, x, given=(0,)) <= exact_log_prob(model, x, given=(0,))


def frequencies(texts):
    places = V ** torch.arange(texts.shape[1] - 1, -1, -1)
    return torch.bincount((texts * places).sum(-1), minlength=V ** texts.shape[1]).numpy()


def test_the_first_hitting_sampler_is_the_process(model):
    previous = torch.full((4000,), PREVIOUS)
    counts = frequencies(first_hitting(model, torch.zeros(4000, 0, dtype=torch.long), previous))
    assert fits(counts, [math.exp(exact_log_prob(model, x)) for x in every_text(V, T)]) > 1e-4
    prompt = torch.ones(4000, 1, dtype=torch.long)
    counts = frequencies(first_hitting(model, prompt, previous))
    begun = [place for place, x in enumerate(every_text(V, T)) if x[0] == 1]
    assert counts[begun].sum() == 4000
    expected = [math.exp(exact_log_prob(model, x, given=(0,))) for x in every_text(V, T)[begun]]
    assert fits(counts[begun], expected) > 1e-4


def ancestral_probabilities(model, steps):
    """Of every text of two tokens: what is masked after each step, and with which tokens, followed exactly."""
    states = {(None, None): 1.0}
    for step in range(steps):
        following = {}
        for state, p in states.items():
            hidden = {place for place, token in enumerate(state) if token is None}
            x = torch.tensor([0 if token is None else token for token in state])
            g = log_g(model, x, hidden).exp()
            moves = [[(state[place], 1.0)] for place in range(2)]
            for place in hidden:
                total = float(g[place].sum())
                stays = (1 - 1 / (steps - step)) ** total
                jumps = [(token, (1 - stays) * float(g[place, token]) / total) for token in range(V)]
                moves[place] = [*jumps, *([(None, stays)] if stays else [])]
            for first, q in moves[0]:
                for second, r in moves[1]:
                    key = (first, second)
                    following[key] = following.get(key, 0.0) + p * q * r
        states = following
    return torch.tensor([states[tuple(x.tolist())] for x in every_text(V, 2)])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_ancestral_sampler_has_the_marginals_of_its_steps(loss):
    torch.manual_seed(5)
    two = diffusion(loss, length=2)
    expected = ancestral_probabilities(two, 2)
    assert float(expected.sum()) == pytest.approx(1)
    previous = torch.full((40000,), PREVIOUS)
    nothing = torch.zeros(40000, 0, dtype=torch.long)
    counts = frequencies(ancestral(two, nothing, previous, 2))
    assert fits(counts, expected) > 1e-4
    at_once = frequencies(ancestral(two, nothing, previous, 1))  # another process, which the test tells apart
    assert fits(at_once, expected) < 1e-6


def test_many_steps_come_near_the_process(model):
    previous, nothing = torch.full((1500,), PREVIOUS), torch.zeros(1500, 0, dtype=torch.long)
    expected = [math.exp(exact_log_prob(model, x)) for x in every_text(V, T)]
    assert fits(frequencies(ancestral(model, nothing, previous, 100)), expected) > 1e-4
    assert fits(frequencies(ancestral(model, nothing, previous, 1)), expected) < 1e-6  # which another process does not


def test_what_is_masked_is_uniform_in_number_and_place():
    free = torch.ones(6000, 4, dtype=torch.bool)
    free[:, 3] = False
    hidden, weight = hide(free)
    assert not hidden[:, 3].any()
    assert chisquare(torch.bincount(hidden.sum(-1), minlength=4)[1:].numpy()).pvalue > 1e-4
    one = hidden[hidden.sum(-1) == 1][:, :3].sum(0)
    assert chisquare(one.numpy()).pvalue > 1e-4
    assert torch.equal(weight, 3 / hidden.sum(-1))
    assert hide(torch.zeros(2, 4, dtype=torch.bool))[1].tolist() == [0, 0]


def test_filling_belongs_to_the_text_whatever_its_batch_is_padded_to():
    model = diffusion(length=6, vocabulary=5)
    x = torch.tensor([[3, 4, 0, 0], [2, 2, 2, 3]])
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    text, free = model.filled(x, mask)
    assert text.tolist() == [[3, 4, 1, 1, 1, 1], [2, 2, 2, 3, 1, 1]]
    assert free.all()
    alone, _ = model.filled(torch.tensor([[3, 4]]), None)
    assert torch.equal(alone[0], text[0])
    begun = torch.tensor([[False, True, False, False], [False, False, True, True]])
    assert model.filled(x, begun)[1].tolist() == [[False] + [True] * 5, [False, False] + [True] * 4]


def test_it_is_a_pyro_program_whose_elbo_is_the_estimate(model):
    x = torch.tensor([[0, 2, 1], [1, 1, 0]])
    bound = ELBO(64)
    with torch.no_grad():
        found = torch.stack([bound.terms(model, EmptyGuide(), x=x).objective for _ in range(40)])
    assert bound.linear
    error = found.std(0) / math.sqrt(len(found))
    with torch.no_grad():
        text = MaskedSequence(model, None, None, T, (4000, 2)).log_prob(x)
    assert ((found.mean(0) - text.mean(0)).abs() < 5 * (error**2 + text.var(0) / 4000).sqrt()).all()
    assert model(batch_size=4).shape == (4, T)
    assert pyro.condition(model, {"x": x})(batch_size=2).tolist() == x.tolist()


def test_a_bound_that_takes_a_logarithm_of_a_mean_is_refused(model):
    x = torch.tensor([[0, 2, 1]])
    with pytest.raises(InputError, match="ImportanceWeighted does not go with MaskedSequence at site 'x'"):
        ImportanceWeighted(4).terms(model, EmptyGuide(), x=x)


def test_gradients_are_those_of_the_masked_tokens(model):
    x, hidden = torch.tensor([[0, 2, 1]]), torch.tensor([[True, False, True]])
    previous = torch.tensor([PREVIOUS])
    g = model.intensities(x, hidden, previous)[0]
    plain = sum(g[place, x[0, place]] + 1 - g[place].exp().sum() for place in (0, 2))
    nats = model.token_nats(x, hidden, previous)[0]
    torch.testing.assert_close(nats, plain)
    weights = list(model.parameters())
    ours, theirs = (torch.autograd.grad(loss, weights) for loss in (nats, plain))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def influence(window, layers, length=24):
    """Mask of the tokens that change the answer in the middle of a text whose middle is masked: (T,)."""
    torch.manual_seed(0)
    sizes = {"vocabulary": 5, "length": length, "window": length, "thoughts": 0, "layers": layers}
    model = large_weights(MaskedDiffusionModel(decoder_with(**sizes), window=window), 0.5)
    rows = torch.arange(length)
    texts = torch.zeros(length + 1, length, dtype=torch.long)
    texts[rows + 1, rows] = 1  # each text but the first has one token changed
    hidden = torch.zeros_like(texts, dtype=torch.bool)
    hidden[:, length // 2] = True
    with torch.no_grad():
        answers = model.intensities(texts, hidden, torch.zeros(length + 1, dtype=torch.long))[:, length // 2]
    return (answers[1:] - answers[0]).abs().amax(-1) > 0


@pytest.mark.parametrize(("window", "layers"), [(3, 1), (3, 2), (5, 2)])
def test_a_token_sees_a_window_on_either_side_and_layers_widen_it(window, layers):
    places = torch.arange(24)
    reach = layers * (window - 1)
    assert (influence(window, layers) == ((places != 12) & ((places - 12).abs() <= reach))).all()
    assert (influence(None, layers) == (places != 12)).all()


def test_a_window_that_holds_the_text_is_none():
    torch.manual_seed(1)
    wide, whole = diffusion(window=T + 1), diffusion()
    whole.load_state_dict(wide.state_dict())
    x = torch.tensor([0, 1, 2])
    assert log_g(wide, x, {0, 2}) == pytest.approx(log_g(whole, x, {0, 2}), abs=1e-12)


def test_choose_follows_intensities():
    tokens = choose(torch.tensor([0.2, 0.6, 1.2]).log().expand(4000, 3))
    assert chisquare(torch.bincount(tokens).numpy(), [400, 1200, 2400]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("sizes", "loss", "message"),
    [
        ({"thoughts": 2}, "masked", "thoughts=0"),
        ({"thoughts": 0}, "l2", "loss='l2': expected one of masked, score-entropy"),
    ],
)
def test_what_does_not_fit_is_refused(sizes, loss, message):
    with pytest.raises(InputError, match=message):
        MaskedDiffusionModel(decoder_with(**sizes), loss)


def test_a_window_in_which_no_neighbour_is_seen_is_refused():
    with pytest.raises(InputError, match="window=1: expected 2 or more"):
        diffusion(window=1)


def test_compiled_passes_are_the_ones_that_score_and_an_unknown_mode_is_refused(monkeypatch):
    torch.manual_seed(3)
    model, x, calls = diffusion(), torch.tensor([[0, 2, 1], [1, 1, 0]]), []

    def compiled(function, mode):
        def counted(*given):
            calls.append(mode)
            return function(*given)

        return counted

    with pytest.raises(InputError, match="compile='fast': expected one of default, "):
        model.compile_passes("fast")
    pyro.set_rng_seed(1)
    before = ELBO().terms(model, EmptyGuide(), x).bound
    monkeypatch.setattr(torch, "compile", compiled)
    model.compile_passes()
    pyro.set_rng_seed(1)
    assert torch.equal(ELBO().terms(model, EmptyGuide(), x).bound, before)
    assert calls == ["default"]
