"""Operations of the products of matrices in a training step, if no product is avoidable."""

from __future__ import annotations

from benchmarks.timing.sizes import Sizes


def flops_of_step(sizes: Sizes) -> float:
    """Of fast steps, of what they share, and of the slow step; an addition and a multiplication are two."""
    return flops_of_reading(sizes) + sizes.fast_steps * flops_of_fast_step(sizes) + flops_of_slow_step(sizes)


def flops_of_reading(sizes: Sizes) -> float:
    """FLOPs once a batch, of all before z matters: the first layer's self-attention and its queries to the thoughts."""
    return sizes.tokens * (_look_back(sizes) + _seen(sizes) + _ask(sizes))


def flops_of_fast_step(sizes: Sizes) -> float:
    """The rest of the pass, and its gradient by its inputs alone.

    A matrix of weights takes one product forward and one backward. Attention takes two products forward and four
    backward, but for the first layer's, whose queries need no gradient.
    """
    above = sizes.layers - 1
    linear = above * (_look_back(sizes) + _ask(sizes)) + sizes.layers * _answer(sizes) + _logits(sizes)
    attention = 3 * (above * _seen(sizes) + sizes.layers * _thought_of(sizes)) - 0.5 * _thought_of(sizes)
    return sizes.tokens * (2 * linear + attention) + 2 * _thoughts(sizes)


def flops_of_slow_step(sizes: Sizes) -> float:
    """A pass with gradients by inputs and by weights; thoughts, whose keys and values start there, by weights alone."""
    linear = sizes.layers * (_look_back(sizes) + _ask(sizes) + _answer(sizes)) + _logits(sizes)
    attention = sizes.layers * (_seen(sizes) + _thought_of(sizes))
    return sizes.tokens * 3 * (linear + attention) + 2 * _thoughts(sizes)


def _look_back(sizes: Sizes) -> float:
    """A token's query, key, value and output."""
    return 4 * 2 * sizes.width**2


def _seen(sizes: Sizes) -> float:
    """Attention of a token on the mean number of tokens in its window."""
    whole = min(sizes.window, sizes.length)
    mean = whole - whole * (whole - 1) / (2 * sizes.length)
    return 2 * 2 * mean * sizes.width


def _ask(sizes: Sizes) -> float:
    return 2 * sizes.width**2


def _answer(sizes: Sizes) -> float:
    """The output of attention to thoughts, and the feed-forward layer."""
    inner = -(-(8 * sizes.width // 3) // 32) * 32
    return 2 * sizes.width**2 + 3 * 2 * sizes.width * inner


def _thought_of(sizes: Sizes) -> float:
    return 2 * 2 * sizes.thoughts * sizes.width


def _thoughts(sizes: Sizes) -> float:
    """Keys and values of all thoughts of a batch."""
    return sizes.batch * sizes.layers * sizes.thoughts * 2 * 2 * sizes.width**2


def _logits(sizes: Sizes) -> float:
    return 2 * sizes.width * sizes.vocabulary
