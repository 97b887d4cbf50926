"""The chat window in a real browser, on a page of another origin: it answers, cites, hands over, and runs nothing it is told."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.server.talking import ANSWERS, PASSAGES, open_shelf, talking
from tradewind.business.database import Database
from tradewind.clock import SystemClock
from tradewind.features.passages import Document, Passage
from tradewind.product.answers import Variants

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
PAGE = (
    '<!doctype html><html lang="{lang}" dir="{dir}"><body><h1>A shop</h1>'
    '<script src="{base}/widget.js" data-product="helpdesk" data-key="{key}" data-title="{title}" async></script></body></html>'
)


@contextmanager
def shop():
    """A page on a server of its own: (origin, pages by path, which may be set)."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *given):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    home = tmp_path_factory.mktemp("widget")
    passages = (*PASSAGES, Passage(f"Zebra crossings {EVIL}", EVIL, line=1, last=1))
    shelf = open_shelf(
        home / "home", documents=[Document("help", "https://shop.example/help", passages, "en", (), "Help")]
    )
    database = Database.open(f"sqlite:///{home / 'business.sqlite'}", clock=SystemClock())
    with shop() as (origin, pages):
        settings = {"widget": {"origins": [origin], "rate": "600/min", "begin": "600/min"}}
        answers = {**ANSWERS, "refund": Variants(en=f"Refunds {EVIL}", zh=f"退款 {EVIL}")}
        with talking(shelf, database, home, settings=settings, answers=answers) as site:
            site.origin, site.pages = origin, pages
            yield site
    shelf.close()
    database.close()


@pytest.fixture
def page(browser, site):
    """Opens the shop's page in a context of its own; everything that the page's scripts complain of is an error."""
    opened = []

    def open_page(lang="en", direction="ltr", key=None):
        base = str(site.client.base_url).rstrip("/")
        path = f"/{lang}-{direction}"
        site.pages[path] = PAGE.format(
            lang=lang, dir=direction, base=base, key=key or site.public, title="Help &lt;b&gt;desk"
        )
        context = browser.new_context()
        context.set_default_timeout(30_000)
        made = context.new_page()
        made.troubles = []
        made.on("pageerror", lambda error: made.troubles.append(str(error)))
        made.goto(site.origin + path)
        opened.append(made)
        return made

    yield open_page
    for made in opened:
        assert made.troubles == []
        assert made.evaluate("window.hacked") is None
        made.context.close()


def say(page, text):
    page.get_by_role("textbox").fill(text)
    page.get_by_role("textbox").press("Enter")


@pytest.mark.browser
def test_a_visitor_asks_reads_the_source_and_judges(page, site):
    shown = page()
    shown.get_by_role("button", name="Open the chat").click()
    shown.get_by_text("Hello! How can I help you?").wait_for()
    say(shown, "are gift cards valid in every branch?")
    shown.get_by_text("Gift cards are valid for three years").wait_for()
    link = shown.get_by_role("link", name="Gift cards")
    assert (link.get_attribute("href"), link.get_attribute("rel")) == (
        "https://shop.example/help", "noopener noreferrer nofollow"
    )  # fmt: skip
    good = shown.get_by_role("button", name="This helped")
    good.click()
    shown.locator("button[aria-pressed=true]").wait_for()
    assert site.ask("GET", "/v1/feedback")["by"]["kind"]["passage"]["satisfied"] == 1
    shown.reload()
    shown.get_by_role("button", name="Open the chat").click()
    shown.get_by_text("Gift cards are valid for three years").wait_for()  # the conversation goes on after a reload


@pytest.mark.browser
def test_markup_from_anywhere_is_text(page):
    shown = page()
    shown.get_by_role("button", name="Open the chat").click()
    say(shown, f"I want a refund {EVIL}")
    shown.get_by_text("Refunds <img src=x").wait_for()
    say(shown, "zebra crossings")
    shown.get_by_text("Zebra crossings <img src=x").wait_for()
    assert shown.locator("tradewind-chat img, tradewind-chat script").count() == 0
    assert shown.get_by_role("heading", name="Help <b>desk").count() == 1


@pytest.mark.browser
def test_a_person_is_read_while_the_window_is_open(page, site):
    shown = page("zh")
    shown.get_by_role("button", name="打开对话").click()
    say(shown, "转人工")
    shown.get_by_text("人工客服稍后会在这里回复您。").wait_for()
    waits = site.ask("GET", "/v1/handoffs")["handoffs"][-1]["id"]
    site.ask("POST", f"/v1/handoffs/{waits}/take", json={"agent": "Li"})
    site.ask("POST", f"/v1/handoffs/{waits}/reply", json={"agent": "Li", "text": f"您好，我是小李 {EVIL}"})
    shown.get_by_text("您好，我是小李 <img").wait_for()
    shown.get_by_text("您正在与人工客服对话。").wait_for()


@pytest.mark.browser
def test_who_writes_before_the_window_has_begun_has_one_conversation(page, site):
    shown = page("zh")
    shown.evaluate(
        """() => {
          const real = window.fetch;
          window.begun = 0;
          window.fetch = async (...asked) => {
            if (String(asked[0]).endsWith("/v1/conversations") && window.begun++ === 0) await new Promise((done) => setTimeout(done, 1500));
            return real(...asked);
          };
        }"""
    )
    shown.get_by_role("button", name="打开对话").click()
    say(shown, "转人工")
    shown.get_by_text("人工客服稍后会在这里回复您。").wait_for()
    waits = site.ask("GET", "/v1/handoffs")["handoffs"][-1]["id"]
    site.ask("POST", f"/v1/handoffs/{waits}/take", json={"agent": "Li"})
    site.ask("POST", f"/v1/handoffs/{waits}/reply", json={"agent": "Li", "text": "您好，我是小李，已看到"})
    shown.get_by_text("您好，我是小李，已看到").wait_for()
    assert shown.evaluate("window.begun") == 1


@pytest.mark.browser
def test_the_keyboard_alone_is_enough_and_right_to_left_stays_on_screen(page):
    shown = page("ar", "rtl")
    shown.keyboard.press("Tab")
    shown.keyboard.press("Enter")
    shown.get_by_text("Hello! How can I help you?").wait_for()
    shown.keyboard.type("where is my parcel")
    shown.keyboard.press("Enter")
    shown.get_by_text("within three days").wait_for()
    box = shown.get_by_role("dialog").bounding_box()
    assert 0 <= box["x"] < 100  # at the end of a line that runs to the left
    assert box["y"] >= 0
    shown.keyboard.press("Escape")
    assert shown.get_by_role("dialog").count() == 0
    assert shown.evaluate("document.querySelector('tradewind-chat').shadowRoot.activeElement.getAttribute('aria-expanded')") == "false"  # fmt: skip


@pytest.mark.browser
def test_a_key_of_another_page_is_told_so(page, site):
    shown = page("en", "ltr", key="tw_live_nobody")
    shown.get_by_role("button", name="Open the chat").click()
    shown.get_by_role("status").get_by_text("not known").wait_for()


def test_the_script_and_its_page_come_from_this_server_alone(site):
    script, page = site.client.get("/widget.js"), site.client.get("/widget")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "innerHTML" not in script.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for text in (script.text, page.text):
        links = {word.split("://")[1].split("/")[0] for word in text.split('"') if word.startswith("http")}
        assert links <= {"HOST"}


def test_people_take_over_on_a_page_of_their_own_in_two_languages(browser, site):
    chat = site.begin()
    site.say(chat, f"I want to complain about order TW-123456 {EVIL}")
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(30_000)
    made = context.new_page()
    troubles = []
    made.on("pageerror", lambda error: troubles.append(str(error)))
    made.goto(f"{str(site.client.base_url).rstrip('/')}/handoff")
    made.get_by_label("API key").fill("tw_live_wrong")
    made.get_by_label("Your name").fill("Li")
    made.get_by_role("button", name="Enter").click()
    made.get_by_role("alert").get_by_text("not known").wait_for()
    made.get_by_label("API key").fill(site.key)
    made.get_by_role("button", name="Enter").click()
    made.get_by_role("button", name="complain about order").click()
    made.locator("dd").get_by_text("TW-123456", exact=True).wait_for()
    made.get_by_role("button", name="Take it").click()
    made.get_by_role("textbox").fill("Li here, I look into it.")
    made.get_by_role("button", name="Send").click()
    made.get_by_text("Li here, I look into it.").wait_for()
    assert site.ask("GET", f"/v1/conversations/{chat['id']}")["messages"][-1]["text"] == "Li here, I look into it."
    made.get_by_label("Language").select_option("zh")
    made.get_by_role("button", name="结束对话").click()
    made.get_by_text("该对话已不再等待").wait_for()
    assert site.ask("GET", f"/v1/conversations/{chat['id']}")["status"] == "closed"
    assert made.evaluate("window.hacked") is None
    assert troubles == []
    context.close()
