"""A pretrained decoder: transformers' own likelihood, thoughts by every injection, and a cache that agrees with it."""

import itertools
from copy import deepcopy

import pytest
import torch
from pretrained_models import KINDS, LAYERS, LONGEST, causal_model, save

from ltm_pyro import (
    ELBO,
    AutoregressiveModel,
    CategoricalGuide,
    ChiUpper,
    CodebookPrior,
    DualRateSVI,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    InputError,
    LatentThoughtModel,
    MeanFieldGuide,
    PretrainedDecoder,
    ScoreFunction,
    SlowStep,
)
from ltm_pyro.models.decoder.pretrained.recomputing import recompute_parts
from ltm_pyro.testing import check_decoder

V, T = 30, 9
INJECTIONS = ("prefix", "prompt", "embedding", "cross-attention", "prefix+embedding")
EVERY = [*itertools.product(KINDS, ("prefix", "prompt"))] + [("Llama", name) for name in INJECTIONS[2:]]


@pytest.fixture(scope="module", name="folders")
def _folders(tmp_path_factory):
    """A folder of every kind of model."""
    place = tmp_path_factory.mktemp("models")
    return {kind: save(causal_model(kind), place / kind) for kind in KINDS}


def decoder(folder, injection="prefix", spread=0.5, **options):
    """A decoder whose injection is far from its start, so that thoughts matter."""
    options = {"thoughts": 2, "thought_width": 3, "length": T, "bos_id": 0, **options}
    made = PretrainedDecoder(str(folder), injection=injection, **options)
    with torch.no_grad():
        for weight in made.injection.parameters():
            weight.add_(torch.randn_like(weight) * spread)
    return made.eval()


def own_nats(model, x, bos_id=0):
    """Log-probabilities of a text by transformers' own loss, one text at a time."""
    return -torch.stack([model(input_ids=row[None], labels=row[None]).loss for row in _behind(bos_id, x)])


def shifted_nats(model, x, bos_id=0):
    """The deliberately wrong twin: every token scored where the one before it should be."""
    logits = model(input_ids=_behind(bos_id, x)).logits[:, 1:]
    return logits.log_softmax(-1).gather(-1, x[..., None]).squeeze(-1).mean(-1)


def _behind(bos_id, x):
    return torch.cat((torch.full_like(x[:, :1], bos_id), x), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_without_thoughts_the_likelihood_is_that_of_transformers(folders, kind):
    model, ours = causal_model(kind), decoder(folders[kind], "none")
    x = torch.randint(V, (3, T))
    with torch.no_grad():
        nats = ours.token_log_prob(x).mean(-1)
        torch.testing.assert_close(nats, own_nats(model, x), rtol=0, atol=1e-5)
        assert (nats - shifted_nats(model, x)).abs().max() > 1e-2
    assert ours.z_shape[1] == 0
    assert list(ours.parameters()) == []
    assert ours.vocabulary == V


@pytest.mark.parametrize(("kind", "injection"), EVERY)
def test_every_injection_keeps_the_contract_of_a_decoder(folders, kind, injection):
    made = decoder(folders[kind], injection)
    check_decoder(made)
    x, z = torch.randint(V, (2, T)), torch.randn(2, *made.z_shape)
    assert (made.token_log_prob(x, z) - made.token_log_prob(x, -z)).abs().max() > 1e-3, "thoughts have no effect"


@pytest.mark.parametrize(
    "options",
    [
        {"window": 3},
        {"recompute": "layers"},
        {"recompute": "feed-forward"},
        {"constant": 2},
        {"per_layer": True},
        {"learns": "lora"},
        {"learns": "all"},
    ],
    ids=str,
)
def test_every_option_keeps_the_contract_of_a_decoder(folders, options):
    check_decoder(decoder(folders["Llama"], **options))
    if "window" in options:
        for injection in ("prompt", "cross-attention"):
            check_decoder(decoder(folders["GPT2"], injection, **options))


def test_a_window_hides_what_is_further_away(folders):
    made = decoder(folders["Llama"], window=2)
    x, z = torch.randint(V, (1, T)), torch.randn(1, *made.z_shape)
    changed = x.clone()
    changed[:, 0] = (x[:, 0] + 1) % V
    moved = (made.features(x, z) - made.features(changed, z)).abs().amax(-1)[0]
    reach = LAYERS + 1  # a token sees one token further in every layer
    assert (moved[:reach] > 1e-4).all()
    assert (moved[reach:] < 1e-6).all()


def counted_from_zero(made):
    """The deliberately wrong twin: positions behind a prefix that begin at 0 when a text is written."""
    twin = deepcopy(made)
    forward = twin.body.forward

    def wrong(embeddings, inserted, cache=None, positions=None, mask=None):
        growing = type(cache).__name__ == "DynamicCache"
        return forward(embeddings, inserted, cache, positions - twin.injection.places if growing else positions, mask)

    twin.body.forward = wrong
    return twin


@pytest.mark.parametrize("kind", KINDS)
def test_positions_behind_a_prefix_go_on_from_it(folders, kind):
    made = decoder(folders[kind]).double()
    x, z = torch.randint(V, (2, T)), torch.randn(2, *made.z_shape, dtype=torch.float64)
    taught = made.logits(x, z)[:, -1]
    torch.testing.assert_close(made.prefill(x, z)[0], taught)
    assert (counted_from_zero(made).prefill(x, z)[0] - taught).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_behind_closed_gates_stands_the_frozen_model_itself(folders, kind):
    gated = PretrainedDecoder(
        str(folders[kind]), injection="cross-attention", thoughts=2, thought_width=3, length=T, bos_id=0
    )
    frozen = decoder(folders[kind], "none")
    x, z = torch.randint(V, (2, T)), 10 * torch.randn(2, *gated.z_shape)
    with torch.no_grad():
        assert torch.equal(gated.logits(x, z), frozen.logits(x))
        for adapter in gated.injection.cross_attention.adapters:
            adapter.gate.fill_(0.1)
        assert not torch.equal(gated.logits(x, z), frozen.logits(x))


def test_texts_written_at_their_own_pace_agree_with_teacher_forcing(folders):
    """The cache after rewinds of unequal length, as speculative decoding makes them."""
    for options in ({}, {"window": 3}, {"injection": "prompt"}):
        made = decoder(folders["Llama"], **options).double()
        x, z = torch.randint(V, (2, T)), torch.randn(2, *made.z_shape, dtype=torch.float64)
        expected = made.logits(x, z)
        _, cache = made.prefill(x[:, :4], z, ahead=3)
        made.decode_steps(torch.randint(V, (2, 3)), cache)  # guesses, of which each text keeps another number
        cache.rewind(torch.tensor([4, 4]))
        first = made.decode_steps(torch.stack((x[0, 4:6], x[1, 4:6])), cache)
        torch.testing.assert_close(first, expected[:, 4:6])
        cache.rewind(torch.tensor([5, 6]))
        second = made.decode_steps(torch.stack((x[0, 5:7], x[1, 6:8])), cache)
        torch.testing.assert_close(second, torch.stack((expected[0, 5:7], expected[1, 6:8])))


def test_all_texts_together_have_probability_one_and_bounds_bracket_the_evidence(tmp_path):
    """V 3, T 4, five code thoughts: every text and every thought is enumerated."""
    folder = save(causal_model("Llama", 3), tmp_path / "model")
    made = decoder(folder, "prefix", thoughts=1, thought_width=4, length=4, spread=1.0).double()
    model = LatentThoughtModel(CodebookPrior((1, 1, 4), codes=5), made).double()
    with torch.no_grad():
        model.projection.weight.mul_(6)
    texts = torch.tensor(list(itertools.product(range(3), repeat=4)))
    codes = torch.eye(5, dtype=torch.float64).view(5, 1, 1, 1, 5)
    with torch.no_grad():
        given = made.token_log_prob(texts, model.thoughts(codes.expand(5, len(texts), 1, 1, 5))).sum(-1)  # (5, 81)
        evidence = (given + model.prior().log_prob(codes[:, 0]).view(5, 1)).logsumexp(0)
    assert evidence.exp().sum() == pytest.approx(1, abs=1e-9)
    x = texts[(given.amax(0) - given.amin(0)).argsort(descending=True)[:4]]
    exact = evidence[(given.amax(0) - given.amin(0)).argsort(descending=True)[:4]]
    guide = CategoricalGuide((1, 1, 5)).double()
    free = ScoreFunction()  # thoughts are discrete
    bounds = {"elbo": ELBO(2, gradient=free), "4": ImportanceWeighted(4, gradient=free)}
    bounds |= {"24": ImportanceWeighted(24, gradient=free), "upper": ChiUpper(24, gradient=free)}
    many = x.repeat(60, 1)  # sixty estimates of each text
    guide.start(many, prior=model.prior())
    with torch.no_grad():
        estimates = {name: bound.terms(model, guide, x=many).objective.view(60, -1) for name, bound in bounds.items()}
    means = {name: draws.mean(0) for name, draws in estimates.items()}
    errors = {name: 4 * draws.std(0) / len(draws) ** 0.5 for name, draws in estimates.items()}
    assert (means["elbo"] <= exact + errors["elbo"]).all()
    assert (exact - means["24"]).mean() < (exact - means["4"]).mean() < (exact - means["elbo"]).mean()
    assert ((exact - means["24"]).abs() < 0.1 + errors["24"]).all()
    assert (means["upper"] >= exact - errors["upper"]).all()


def test_a_thresholded_kl_would_exceed_the_evidence(folders):
    """The wrong twin of public code: KL terms below a threshold are left out of the reported sum."""
    made = decoder(folders["Llama"], thoughts=1, thought_width=2, thought_scale=2.0, spread=1.0).double()
    model = LatentThoughtModel(GaussianPrior(made.z_shape), made).double()
    x = torch.randint(V, (4, T))
    fast = FastLoop(ELBO(), steps=40, learning_rate=0.1)
    guide = MeanFieldGuide(made.z_shape).double()
    fast.fit(model, guide, x=x)
    grid = torch.linspace(-5, 5, 61, dtype=torch.float64)
    z = torch.cartesian_prod(grid, grid).view(-1, 1, 1, 1, 2)
    with torch.no_grad():
        given = torch.cat([made.token_log_prob(x, part.expand(-1, 4, 1, 1, 2)).sum(-1) for part in z.split(2048)])
        weight = model.prior().log_prob(z[:, 0]).view(-1, 1) + 2 * (grid[1] - grid[0]).log()
        evidence = (given + weight).logsumexp(0)
        q = guide.posterior()
        kl = torch.distributions.kl_divergence(q.base_dist, torch.distributions.Normal(0.0, 1.0))
        draws = q.sample((200,))
        reconstruction = made.token_log_prob(x, draws).sum(-1).mean(0)
    honest = reconstruction - kl.flatten(1).sum(-1)
    thresholded = reconstruction - kl.masked_fill(kl < 5.0, 0).flatten(1).sum(-1)
    assert (honest <= evidence + 0.02).all()
    assert (thresholded > evidence + 0.02).any()


@pytest.mark.parametrize("injection", INJECTIONS)
def test_frozen_weights_never_move_and_are_no_parameters(folders, injection):
    made = decoder(folders["GPT2"], injection)
    model = LatentThoughtModel(GaussianPrior(made.z_shape), made)
    frozen = {name: weight.clone() for name, weight in made.body.named_buffers()}
    learning = {name: weight.detach().clone() for name, weight in made.injection.named_parameters()}
    svi = DualRateSVI(
        model, MeanFieldGuide(made.z_shape), FastLoop(ELBO(), steps=1, learning_rate=0.1), SlowStep(ELBO(), 0.01)
    )
    x = torch.randint(V, (2, T))
    for _ in range(20):
        svi.step(x)
    assert frozen
    assert all(torch.equal(weight, frozen[name]) for name, weight in made.body.named_buffers())
    assert not any(weight.requires_grad for weight in made.body.buffers())
    assert list(made.body.parameters()) == []
    assert not any(name.startswith("body.") for name in made.state_dict())
    moved = [name for name, weight in made.injection.named_parameters() if not torch.equal(weight, learning[name])]
    assert moved


def test_in_training_mode_there_is_no_dropout(folders):
    made = decoder(folders["GPT2"]).train()
    assert made.training
    assert not any(module.training for module in made.body.modules())
    x, z = torch.randint(V, (2, T)), torch.randn(2, *made.z_shape)
    assert torch.equal(made.features(x, z), made.features(x, z))


@pytest.mark.parametrize("learns", ["lora", "all"])
def test_what_learns_is_saved_and_what_does_not_is_not(folders, learns):
    made = decoder(folders["Llama"], learns=learns)
    names = [name for name, _ in made.body.named_parameters()]
    assert names
    assert all("lora" in name for name in names) == (learns == "lora")
    saved = set(made.state_dict())
    assert {f"body.{name}" for name in names} <= saved
    fresh = decoder(folders["Llama"], learns=learns)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1)
    fresh.load_state_dict(made.state_dict())
    x, z = torch.randint(V, (2, T)), torch.randn(2, *made.z_shape)
    assert torch.equal(fresh.token_log_prob(x, z), made.token_log_prob(x, z))


def test_weights_that_learn_are_not_those_of_the_file(folders):
    one, other = (decoder(folders["Llama"], learns="all") for _ in range(2))
    with torch.no_grad():
        next(one.body.parameters()).add_(1)
    assert not torch.equal(next(one.body.parameters()), next(other.body.parameters()))


def test_attention_on_thoughts_is_what_tokens_attend_to(folders):
    x = torch.randint(V, (2, T))
    for options in ({}, {"injection": "prompt"}, {"per_layer": True}, {"constant": 1}, {"window": 2}):
        made = decoder(folders["Llama"], **options)
        shares = made.attention_on_thoughts(x, torch.randn(2, *made.z_shape))
        assert shares.shape == (2, *made.z_shape[:2], T)
        assert (shares > 0).all()
        assert (shares.sum((-3, -2)) < made.z_shape[0] + 1e-5).all()
    made = decoder(folders["Llama"], "embedding")
    with pytest.raises(InputError, match="attention"):
        made.attention_on_thoughts(x, torch.randn(2, *made.z_shape))


def test_recomputed_layers_give_the_same_gradients(folders):
    for injection in ("prefix", "cross-attention"):
        slopes = []
        for recompute in ("none", "feed-forward", "layers"):
            torch.manual_seed(0)
            made = decoder(folders["Llama"], injection, recompute=recompute)
            made.token_log_prob(torch.arange(T)[None] % V, torch.ones(1, *made.z_shape)).sum().backward()
            slopes.append([weight.grad for weight in made.parameters()])
        for kept, *again in zip(*slopes, strict=True):
            for slope in again:
                torch.testing.assert_close(kept, slope)


def held(made):
    """Numbers that a pass keeps for its backward pass, frozen weights left out."""
    weights, kept = {weight.untyped_storage().data_ptr() for weight in made.body.buffers()}, {}

    def count(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    z = torch.randn(4, *made.z_shape, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        nats = made.token_log_prob(torch.zeros(4, T, dtype=torch.long), z)
    assert nats.requires_grad
    return sum(size for place, size in kept.items() if place not in weights)


def test_what_is_computed_again_is_not_kept(folders):
    kept = {name: held(decoder(folders["Llama"], recompute=name)) for name in ("none", "feed-forward", "layers")}
    assert kept["none"] > kept["feed-forward"] > kept["layers"]
    with pytest.raises(InputError, match="recompute='half': expected none, feed-forward, layers"):
        recompute_parts([], "half")


def test_a_copy_that_recomputes_has_weights_of_its_own(folders):
    made = decoder(folders["Llama"], recompute="layers")
    copy, x, z = deepcopy(made), torch.randint(V, (1, T)), torch.randn(1, *made.z_shape)
    expected = copy.token_log_prob(x, z)
    for weight in made.body.buffers():
        weight.zero_()
    torch.testing.assert_close(copy.token_log_prob(x, z), expected)


def test_half_precision_stays_near_and_scores_in_float32(folders):
    exact, half = (decoder(folders["Llama"], dtype=dtype, spread=0) for dtype in ("float32", "bfloat16"))
    x, z = torch.randint(V, (2, T)), torch.randn(2, *exact.z_shape)
    half.injection.load_state_dict(exact.injection.state_dict())
    nats = half.token_log_prob(x, z)
    assert nats.dtype == torch.float32
    assert half.body.dtype == torch.bfloat16
    torch.testing.assert_close(nats, exact.token_log_prob(x, z), rtol=0.1, atol=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("injection", ["prefix", "prompt"])
def test_compiled_passes_have_the_same_numbers(folders, injection):
    made = decoder(folders["Llama"], injection)
    x, z = torch.randint(V, (2, T)), torch.randn(2, *made.z_shape)
    expected = made.token_log_prob(x, z)
    made.compile_passes()
    called, compiled = [], made.body.compiled
    made.body.compiled = lambda **inputs: called.append(None) or compiled(**inputs)
    torch.testing.assert_close(made.token_log_prob(x, z), expected)
    assert called


def test_a_constant_prompt_alone_is_a_decoder_without_thoughts(folders):
    made = decoder(folders["Llama"], thoughts=0, constant=3)
    assert made.z_shape[1] == 0
    x = torch.randint(V, (2, T))
    made.token_log_prob(x).sum().backward()
    assert all(weight.grad is not None for weight in made.parameters())
    svi = AutoregressiveModel(made)
    assert svi(x).shape == x.shape
    check_decoder(made)


def test_the_begin_of_the_bias_is_the_model_behind_its_own_begin_tokens(folders):
    """At z = 0 a fresh prefix is what the frozen model makes of as many begin tokens before the text."""
    options = {"name": str(folders["Llama"]), "length": T + 4, "bos_id": 0}
    made, frozen = PretrainedDecoder(**options), PretrainedDecoder(injection="none", **options)
    x = torch.randint(V, (2, T))
    begun = torch.cat((torch.zeros(2, 4, dtype=torch.long), x), 1)
    h = made.features(x, torch.zeros(2, *made.z_shape))
    torch.testing.assert_close(h, frozen.features(begun)[:, 4:], rtol=1e-4, atol=1e-5)


REFUSALS = {
    "": "is missing: give a folder",
    "no/such/folder/here": "could not be fetched from the hub",
    "/no/such/folder": "there is no such file or folder",
    "a-name-of-the-hub": "could not be fetched from the hub",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_model_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match=REFUSALS[name]) as refusal:
        PretrainedDecoder(name)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": LONGEST - 1}, f"knows {LONGEST} positions, fewer than texts of {LONGEST - 1} tokens behind 2 pos"),
        ({"vocabulary": V + 1}, f"the tokenizer has {V + 1} ids, and .* only {V}"),
        ({"injection": "suffix"}, "injection 'suffix': expected one of prefix, prompt"),
        ({"injection": "prefix+prompt"}, "several that go together"),
        ({"injection": "prefix+cross-attention", "every": 1}, "different numbers of layers"),
        ({"sha256": "0" * 64}, "has other weights"),
        ({"revision": "main"}, "is a path, which has no revision"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(folders, options, message):
    with pytest.raises(InputError, match=message):
        decoder(folders["Llama"], **options)


def test_models_of_other_kinds_are_refused(tmp_path):
    import transformers

    small = {"d_model": 16, "d_ff": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8}
    both = transformers.T5ForConditionalGeneration(transformers.T5Config(vocab_size=V, **small))
    with pytest.raises(InputError, match="is an encoder–decoder"):
        PretrainedDecoder(str(save(both, tmp_path / "t5")))
    state = transformers.MambaForCausalLM(
        transformers.MambaConfig(vocab_size=V, hidden_size=16, num_hidden_layers=2, state_size=4)
    )
    with pytest.raises(InputError, match="which has no cache of keys and values"):
        PretrainedDecoder(str(save(state, tmp_path / "mamba")))
    capped = transformers.Gemma2ForCausalLM(
        transformers.Gemma2Config(
            vocab_size=V,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
            final_logit_softcapping=0.5,
            pad_token_id=0,
        )
    )
    with pytest.raises(InputError, match="scales or caps them"):
        PretrainedDecoder(str(save(capped, tmp_path / "gemma")))
    own = save(causal_model("Llama"), tmp_path / "own")
    settings = (own / "config.json").read_text().replace("{", '{"auto_map": {"AutoModelForCausalLM": "code.Mine"},', 1)
    (own / "config.json").write_text(settings)
    with pytest.raises(InputError, match="trust_remote_code"):
        PretrainedDecoder(str(own))


def test_pickled_weights_are_never_opened(tmp_path):
    folder = save(causal_model("Llama"), tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickles execute code"):
        PretrainedDecoder(str(folder))


def test_weights_beyond_memory_are_refused_before_they_are_read(folders, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 10)
    with pytest.raises(InputError, match=r"its weights take .* and this machine has .*: take a smaller model"):
        decoder(folders["Llama"])


def test_a_longer_text_is_refused(folders):
    made = decoder(folders["Llama"])
    with pytest.raises(InputError, match=f"longer than the decoder's {T}"):
        made.token_log_prob(torch.zeros(1, T + 1, dtype=torch.long), torch.zeros(1, *made.z_shape))
    with pytest.raises(InputError, match="z is missing"):
        made.features(torch.zeros(1, 2, dtype=torch.long))
