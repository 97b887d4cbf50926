"""The privacy notice is a page that anybody may read, in the language that the reader asks for."""

import pytest
from starlette.testclient import TestClient

from tradewind.privacy.notice import Line, Notice
from tradewind.server.app import create_app
from tradewind.server.notices import router
from tradewind.server.observe import Observer


@pytest.fixture
def client(shelf, gate):
    notices = [Notice(name, {"controller": [Line("Ann <Bank>")]}) for name in ("loans", "price")]
    return TestClient(create_app(shelf, gate, observer=Observer(out=None), extra_routers=[router(notices)]))


@pytest.mark.parametrize(
    ("query", "accept", "language"),
    [("", "", "en"), ("?lang=zh", "en", "zh"), ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("", "fr,en;q=0.5", "en")],
)
def test_the_reader_chooses_the_language(client, query, accept, language):
    reply = client.get(f"/privacy{query}", headers={"accept-language": accept})
    assert (reply.status_code, reply.headers["content-language"]) == (200, language)
    assert ("隐私告知" if language == "zh" else "Privacy notice") in reply.text


def test_it_needs_no_key_and_each_product_has_its_own(client):
    assert "price" in client.get("/privacy/price").text
    assert "Ann &lt;Bank&gt;" in client.get("/privacy").text
    assert client.get("/privacy/none").status_code == 404
