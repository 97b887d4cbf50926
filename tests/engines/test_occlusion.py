"""What a text or a picture tells: effects that are known by hand, in English and Chinese."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.engines.small import text_predictor
from tradewind.engines.occlusion import image_grid, text_stretches
from tradewind.engines.shapley import Attribution
from tradewind.features.coalitions import log_odds
from tradewind.features.overlay import heat_png
from tradewind.features.spans import units, without

WORDS = {"good": 2.0, "bad": -3.0, "好": 1.5, "难": -1.0, "吃": -0.5, "难 吃": -2.0}


def yes(outputs):
    return log_odds(outputs[:, 1])


@pytest.fixture(scope="module")
def attribution():
    model, texts = text_predictor(WORDS)
    return Attribution(model, texts)


def stretches(attribution, text):
    return {one.text: one for one in text_stretches(attribution, {"note": text}, "note", yes)}


def test_a_word_has_the_effect_that_the_model_gives_it(attribution):
    found = stretches(attribution, "very good food, not bad")
    assert found["good"].effect == pytest.approx(2, abs=1e-5)
    assert found["bad"].effect == pytest.approx(-3, abs=1e-5)
    assert found["food"].effect == pytest.approx(0, abs=1e-5)


def test_chinese_characters_that_belong_together_are_one_stretch(attribution):
    found = stretches(attribution, "这家店难吃，服务好。")
    assert found["难吃"].effect == pytest.approx(-3.5, abs=1e-5)
    assert found["好"].effect == pytest.approx(1.5, abs=1e-5)
    assert "难" not in found


def test_each_stretch_stands_where_it_says(attribution):
    text = "Good 吃的 好 and bad"
    for one in text_stretches(attribution, {"note": text}, "note", yes):
        assert text[one.start : one.end] == one.text


@pytest.mark.parametrize("text", ["", None, "，。！", "   "])
def test_a_text_without_words_has_none(attribution, text):
    assert text_stretches(attribution, {"note": text}, "note", yes) == []


def test_a_long_text_costs_no_more_than_its_units(attribution):
    text = "good " + "word " * 1000
    assert len(units(text)) <= 96
    found = text_stretches(attribution, {"note": text}, "note", yes)
    assert found[0].text.startswith("good word")
    assert found[0].effect == pytest.approx(2, abs=1e-5)


def test_what_is_cut_out_takes_one_blank_along():
    assert without("a good day", [(2, 6)]) == "a day"
    assert without("好吃的", [(0, 1)]) == "吃的"
    assert without("bad", [(0, 3)]) == ""


class Bright:
    """The score of a picture is the mean of its upper left quarter."""

    @staticmethod
    def ask(arrays):
        return arrays["image:scan"][:, 0, :24, :24].astype(np.float64).mean(axis=(1, 2))


def test_the_grid_is_hot_where_the_answer_comes_from():
    picture = np.zeros((1, 1, 48, 48), dtype=np.uint8)
    picture[0, 0, :24, :24] = 200
    grid = image_grid(Bright(), {"image:scan": picture}, "image:scan", lambda outputs: outputs)
    assert grid.shape == (12, 12)
    assert (grid[:6, :6] > 0).all()
    assert (np.abs(grid[7:, 7:]) < 1e-9).all()


def test_the_overlay_is_red_where_it_speaks_for_and_blue_against():
    grid = np.zeros((12, 12))
    grid[2, 2], grid[9, 9] = 1.0, -1.0
    picture = Image.open(io.BytesIO(heat_png(np.full((1, 48, 48), 128, dtype=np.uint8), grid)))
    assert (picture.format, picture.size) == ("PNG", (256, 256))
    pixels = np.asarray(picture).astype(int)
    red, blue, plain = pixels[53, 53], pixels[202, 202], pixels[202, 53]
    assert red[0] > red[2] + 60
    assert blue[2] > blue[0] + 60
    assert plain.tolist() == [128, 128, 128]
    assert heat_png(np.zeros((3, 300, 300), dtype=np.uint8), np.zeros((12, 12)))
