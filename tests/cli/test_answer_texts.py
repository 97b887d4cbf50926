"""`serve.answers`: read from the product file or a file of its own, and held against the release before it is served."""

import pytest

from tests.server.releases import make_release
from tradewind.artifacts import Workspace
from tradewind.cli.answer_texts import check_answers
from tradewind.cli.session import Session
from tradewind.errors import ProductFileError
from tradewind.product_file import load

HEAD = "product: churn\ntask: classification\ndata: {source: x.csv, target: y}\nserve:\n  answers: "


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("churn")
    make_release(Workspace.of(folder))
    return folder


def opened(folder, answers):
    (folder / "tradewind.yaml").write_text(HEAD + answers, encoding="utf-8")
    return Session.open(folder)


def refused(folder, answers):
    session = opened(folder, answers)
    with pytest.raises(ProductFileError) as caught:
        check_answers(session)
    return caught.value


def test_texts_of_known_classes_and_columns_are_good(folder):
    check_answers(
        opened(
            folder,
            '{texts: {yes: "Stay, {plan} costs less.", no: {zh: "好的 {label} {confidence}"}}, below: 0.5, fallback: hm}',
        )
    )
    check_answers(opened(folder, "{}"))


def test_a_text_for_an_unknown_class_is_told_with_the_nearest(folder):
    error = refused(folder, "{texts: {yess: x}}")
    assert error.code == "product.answer_class"
    assert "serve.answers.texts.yess" in str(error)
    assert "Did you mean yes?" in str(error)


def test_a_text_that_asks_for_an_unknown_column_is_told(folder):
    error = refused(folder, '{texts: {yes: "{plam}"}, fallback: "{x0}"}')
    assert error.code == "product.answer_column"
    assert "Did you mean plan?" in str(error)


def test_texts_may_stand_in_a_file_of_their_own(tmp_path):
    (tmp_path / "answers.yaml").write_text('yes: {en: Stay., zh: 请留下。}\nno: "Good."\n', encoding="utf-8")
    answers = opened(tmp_path, "{file: answers.yaml, below: 0.4, fallback: Pardon?}").product.serve.answers
    assert (answers.texts["yes"].within("zh"), answers.texts["no"].within("zh")) == ("请留下。", "Good.")
    assert (answers.below, answers.file) == (0.4, None)


@pytest.mark.parametrize(
    ("content", "says"),
    [("yes: {fr: Restez.}\n", "yes.fr"), ("yes: [a]\n", "yes"), ("yes: {\n", "no YAML"), (None, "no such file"), ("yes: {en: ''}\n", "yes")],
)  # fmt: skip
def test_a_wrong_file_is_told_by_its_name_and_line(tmp_path, content, says):
    if content is not None:
        (tmp_path / "answers.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ProductFileError, match=r"answers\.yaml") as caught:
        opened(tmp_path, "{file: answers.yaml}")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ("{file: a.yaml, texts: {yes: x}}", "exclude each other"), ("{below: 0.5}", "below needs a fallback"),
        ("{texts: {yes: x}, belov: 0.5}", "below"), ("{below: 1.5, fallback: x}", "1"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_told(tmp_path, answers, says):
    with pytest.raises(ProductFileError, match=says):
        opened(tmp_path, answers)


def test_only_classes_have_texts(tmp_path):
    (tmp_path / "tradewind.yaml").write_text(
        (HEAD + "{texts: {yes: x}}").replace("classification", "regression"), encoding="utf-8"
    )
    with pytest.raises(ProductFileError, match="texts are said for classes") as caught:
        load(tmp_path)
    assert caught.value.where.endswith(":5:3")
