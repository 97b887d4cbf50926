"""What a model is asked for in evaluation, against its logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tradewind.data.packed import Packed, Pairs
from tradewind.model.decoder import Decoder
from tradewind.model.decoder_config import DecoderConfig
from tradewind.train.scoring import Scorer

VOCABULARY, CONTEXT = 40, 16


@pytest.fixture(scope="module")
def scorer():
    torch.manual_seed(0)
    model = Decoder(
        DecoderConfig.preset("1m", vocabulary=VOCABULARY, context=CONTEXT, width=32, depth=2, heads=2, kv_heads=2)
    )
    with torch.no_grad():  # far from uniform, so that nothing is right by chance
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return Scorer(model.eval(), CONTEXT, torch.device("cpu"), 1)


def split(*documents, masks=None):
    starts = np.cumsum([0, *map(len, documents)])
    mask = None if masks is None else np.array([bit for one in masks for bit in one], dtype=np.uint8)
    tokens = np.array([token for one in documents for token in one], dtype=np.uint16)
    return Packed("test", tokens, starts.astype(np.int64), mask, 0)


def drawn(*lengths, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(1, VOCABULARY, length).tolist() for length in lengths]


def nats(scorer, tokens):
    """Of each token but the first, given those before it."""
    with torch.no_grad():
        logits = scorer.model(torch.tensor([tokens[:-1]]))[0]
    return -torch.log_softmax(logits, -1)[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:])].numpy()


def test_running_text_is_read_in_windows_and_every_token_is_asked_for_once(scorer):
    packed = split(*drawn(13, 30, 8))
    found = scorer.token_losses(packed)
    flat = packed.tokens.astype(int).tolist()
    expected = [nats(scorer, [flat[at - 1], *flat[at : at + CONTEXT]]) for at in range(0, len(flat), CONTEXT)]
    assert not np.isnan(found).any()
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-4, atol=1e-5)


def test_of_a_conversation_what_is_learnt_is_asked_for_and_nothing_else(scorer):
    documents = drawn(12, 7, 9)
    masks = [[0] * 5 + [1] * 3 + [0] * 2 + [1] * 2, [0] * 7, [0] * 4 + [1] * 4 + [0]]
    packed = split(*documents, masks=masks)
    found = scorer.token_losses(packed)
    assert packed.mask is not None
    assert (np.isnan(found) == (packed.mask == 0)).all()
    for document, start in zip(documents, packed.starts, strict=False):
        own = slice(start + 1, start + len(document))
        learnt = ~np.isnan(found[own])
        np.testing.assert_allclose(found[own][learnt], nats(scorer, document)[learnt], rtol=1e-4, atol=1e-5)


def test_what_a_long_conversation_lost_is_not_asked_for(scorer):
    document = drawn(40)[0]
    mask = [0] * 4 + [1] * 4 + [0] * 26 + [1] * 6
    found = scorer.token_losses(split(document, masks=[mask]))
    assert np.flatnonzero(~np.isnan(found)).tolist() == list(range(34, 40))
    np.testing.assert_allclose(found[34:], nats(scorer, document[40 - CONTEXT - 1 :])[-6:], rtol=1e-4, atol=1e-5)


def test_a_likelihood_is_the_sum_over_the_continuation_whatever_stands_beside_it(scorer):
    prompts, rests = drawn(3, 9, 1, 6), drawn(2, 5, 1, 7, seed=1)
    found = scorer.log_likelihoods(prompts, rests)
    for prompt, rest, one in zip(prompts, rests, found, strict=True):
        assert one == pytest.approx(-nats(scorer, prompt + rest)[-len(rest) :].sum(), rel=1e-4)


def test_pairs_are_scored_side_by_side(scorer):
    chosen, rejected = drawn(6, 9), drawn(8, 5, seed=2)
    sides = [split(*side, masks=[[0] * 3 + [1] * (len(one) - 3) for one in side]) for side in (chosen, rejected)]
    found = scorer.pair_log_likelihoods(Pairs(*sides))
    for side, documents in zip(found, (chosen, rejected), strict=True):
        expected = [-nats(scorer, one)[2:].sum() for one in documents]
        np.testing.assert_allclose(side, expected, rtol=1e-4)


def test_the_likeliest_token_is_written_each_time(scorer):
    prompt = drawn(5)[0]
    wrote = scorer.continuations([prompt], max_tokens=6, temperature=0.0, seed=0, stops=())[0]
    ids = list(prompt)
    for token in wrote.tokens:
        with torch.no_grad():
            assert token == int(scorer.model(torch.tensor([ids]))[0, -1].argmax())
        ids.append(token)
    assert (len(wrote.tokens), wrote.stopped) == (6, False)


def test_a_stop_ends_the_text_and_is_no_part_of_it(scorer):
    prompt = drawn(5)[0]
    tokens = scorer.continuations([prompt], max_tokens=6, temperature=0.0, seed=0, stops=())[0].tokens
    found = scorer.continuations([prompt], max_tokens=6, temperature=0.0, seed=0, stops=(tokens[0],))[0]
    assert (found.tokens, found.stopped) == ((), True)


def test_the_same_seed_writes_the_same_text(scorer):
    def ask(seed):
        return scorer.continuations(drawn(4, 4), max_tokens=8, temperature=1.0, seed=seed, stops=())

    assert ask(1) == ask(1)
    assert ask(1) != ask(2)
