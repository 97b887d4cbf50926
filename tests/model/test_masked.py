"""Masked words: who is masked, that padding is not seen, and the whole way to a text column's `pretrained:`."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tradewind.errors import ModelError
from tradewind.features.column import ColumnSpec
from tradewind.features.feature_set import FeatureSet
from tradewind.features.language import LanguageTokenizer
from tradewind.features.target import fit_target
from tradewind.model import pretrained, text
from tradewind.model.masked import MaskedConfig, MaskedEncoder, mask_tokens, save_masked
from tradewind.product import Model

transformers = pytest.importorskip("transformers")

V, MASK = 50, 50
TEXTS = ["the parcel came late", "the parcel is here", "快递没有到", "快递到了", "parcel", "late again"]


def encoder(**changes):
    torch.manual_seed(0)
    settings = {"vocabulary": V, "width": 16, "depth": 2, "heads": 2, "hidden": 32, "context": 20, **changes}
    model = MaskedEncoder(MaskedConfig(**settings))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def tokens(rows=2, length=9, seed=1):
    return torch.randint(0, V, (rows, length), generator=torch.Generator().manual_seed(seed))


def masked(given, seed=0, **more):
    return mask_tokens(given, mask=MASK, vocabulary=V, generator=torch.Generator().manual_seed(seed), **more)


# ---------------------------------------------------------------- masking


def test_of_fifteen_in_a_hundred_eighty_are_masked_ten_replaced_and_ten_stay():
    given = tokens(200, 500)
    read, targets = masked(given)
    chosen = targets != -100
    assert float(chosen.float().mean()) == pytest.approx(0.15, abs=0.005)
    assert float((read[chosen] == MASK).float().mean()) == pytest.approx(0.8, abs=0.01)
    # One in fifty of the random tokens is the old one.
    assert float((read[chosen] == given[chosen]).float().mean()) == pytest.approx(0.1 + 0.1 / V, abs=0.01)


def test_what_is_not_chosen_stays_and_what_is_chosen_is_asked_for():
    given = tokens(20, 50)
    read, targets = masked(given)
    chosen = targets != -100
    assert torch.equal(read[~chosen], given[~chosen])
    assert torch.equal(targets[chosen], given[chosen])


def test_special_tokens_and_padding_are_never_chosen_and_special_ones_never_put_in():
    given = tokens(50, 100)
    there = torch.arange(100).expand(50, -1) < 60
    read, targets = masked(given, there_BT=there, special=(0, 7), share=1.0)
    assert torch.equal(targets != -100, there & (given != 0) & (given != 7))
    put_in = read[(targets != -100) & (read != given)]
    assert not torch.isin(put_in, torch.tensor([0, 7])).any()


def test_a_seed_gives_one_masking_and_another_seed_another():
    given = tokens(5, 50)
    assert torch.equal(masked(given)[0], masked(given)[0])
    assert not torch.equal(masked(given)[0], masked(given, seed=1)[0])


# ---------------------------------------------------------------- the network


def test_a_token_sees_both_sides():
    model, given = encoder(), tokens()
    other = given.clone()
    other[:, 4] = (other[:, 4] + 1) % V
    with torch.no_grad():
        assert bool(((model(given) - model(other)).abs().amax(2) > 1e-4).all())


def test_padding_is_not_seen():
    model, given = encoder(), tokens()
    there = torch.arange(9).expand(2, -1) < 6
    with torch.no_grad():
        torch.testing.assert_close(model(given, there_BT=there)[:, :6], model(given[:, :6]), rtol=1e-4, atol=1e-4)


def test_the_loss_is_that_of_the_logits_and_so_are_its_gradients():
    model = encoder()
    read, targets = masked(tokens(4, 20), share=0.4)
    plain = F.cross_entropy(model(read).flatten(0, 1), targets.flatten(), reduction="sum")
    wanted = torch.autograd.grad(plain, list(model.parameters()))
    loss = model.loss(read, targets)
    torch.testing.assert_close(loss.total, plain)
    assert float(loss.weight) == int((targets != -100).sum())
    for found, expected in zip(torch.autograd.grad(loss.total, list(model.parameters())), wanted, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_computing_activations_twice_changes_no_gradient():
    found = []
    for recompute in (False, True):
        model = encoder(dropout=0.2).train()
        model.recompute = recompute
        torch.manual_seed(3)
        found.append(torch.autograd.grad(model.loss(tokens(), tokens(seed=2)).total, list(model.parameters())))
    assert all(torch.equal(kept, again) for kept, again in zip(*found, strict=True))


@pytest.mark.parametrize("changes", [{}, {"depth": 3, "hidden": 24}, {"vocabulary": 7, "context": 5}])
def test_the_count_of_weights_is_that_of_the_module(changes):
    model = encoder(**changes)
    assert model.config.parameters() == sum(parameter.numel() for parameter in model.parameters())


def test_it_learns_which_word_stands_between_two_others():
    torch.manual_seed(0)
    config = MaskedConfig(vocabulary=20, width=32, depth=1, heads=2, hidden=64, context=8, dropout=0.0)
    model, generator = MaskedEncoder(config).train(), torch.Generator().manual_seed(0)
    start = torch.randint(0, 14, (64, 1), generator=generator)
    text_BT = start + torch.arange(6)  # a word is known from its neighbours
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(200):
        read, targets = mask_tokens(text_BT, mask=20, vocabulary=20, generator=generator)
        loss = model.loss(read, targets)
        optimizer.zero_grad()
        (loss.total / loss.weight).backward()
        optimizer.step()
        losses.append(float((loss.total / loss.weight).detach()))
    assert losses[0] > 2.5
    assert np.mean(losses[-10:]) < 1.2


def test_the_product_file_chooses_the_shape():
    config = MaskedConfig.from_product(Model(kind="decoder", preset="1m", context=64), vocabulary=99)
    assert (config.width, config.depth, config.heads, config.hidden, config.context) == (128, 4, 4, 512, 64)
    assert config.mask == 99
    with pytest.raises(ModelError, match="cannot be shared by 3 heads"):
        MaskedConfig(vocabulary=9, width=16, depth=1, heads=3, hidden=32, context=8)


# ---------------------------------------------------------------- the folder


@pytest.fixture(scope="module")
def tokeniser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokeniser")
    LanguageTokenizer.train_bpe(TEXTS, vocabulary=280).save(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tokeniser):
    folder = tmp_path_factory.mktemp("encoder")
    model = encoder(vocabulary=LanguageTokenizer.open(tokeniser).vocabulary)
    save_masked(model, folder, tokenizer=tokeniser)
    return model, folder


def test_transformers_opens_the_folder_with_the_same_logits(saved):
    model, folder = saved
    theirs, report = transformers.BertForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    with torch.no_grad():
        assert (theirs.eval()(tokens()).logits - model(tokens())).abs().max() < 1e-4


def features_of(folder):
    values = {"note": np.array(TEXTS, dtype=object)}
    target = fit_target("classification", np.array([0, 1] * 3, dtype=object))
    return FeatureSet.fit([ColumnSpec("note", "text", {"tokeniser": str(folder)})], values, target, seed=0)


@pytest.mark.parametrize("adapt", ["frozen", "full", "lora"])
def test_a_text_column_takes_the_folder_and_gets_the_states_that_were_learnt(saved, adapt):
    model, folder = saved
    features = features_of(folder)
    settings = Model(text="pretrained", pretrained=str(folder), adapt=adapt, lora_rank=2)
    body = text.build(features.layout, settings, outputs=2).eval().body
    numbers = torch.from_numpy(features.encode({"note": np.array(TEXTS, dtype=object)})["tokens:note"])
    one = LanguageTokenizer.open(folder).encode(TEXTS[2])
    with torch.no_grad():
        mean = model.hidden(torch.tensor([one])).mean(1)
        wanted = F.normalize(mean, dim=1) * 4.0  # the root of the width
        torch.testing.assert_close(body.encode(numbers)[2:3], wanted, rtol=1e-4, atol=1e-4)


def test_the_encoder_opens_without_its_head(saved):
    model, folder = saved
    with torch.no_grad():
        states = pretrained.load(folder).eval()(input_ids=tokens()).last_hidden_state
        torch.testing.assert_close(states, model.hidden(tokens()), rtol=1e-4, atol=1e-4)


def test_a_tokeniser_with_more_tokens_than_the_encoder_is_refused(tokeniser, tmp_path):
    with pytest.raises(ModelError, match="the model knows 50 tokens"):
        save_masked(encoder(), tmp_path, tokenizer=tokeniser)
