"""Doors as browsers go through them: the link, a frame, signing in and out, and two visitors of a public page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


pytest.importorskip("playwright")

from browser_support import MODEL, SLOW, go, told
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.doors import pages
from workbench.doors.accounts import Accounts, hashed
from workbench.doors.at_hand import on_behalf_of
from workbench.doors.entrance import Entrance
from workbench.doors.limits import Limits
from workbench.doors.visits import Visit
from workbench.frame.shell import launch


pytestmark = pytest.mark.browser


def _tab(context: BrowserContext) -> Page:
    page = context.new_page()
    page.set_default_timeout(SLOW)
    told(page)
    return page


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """To a page with a token, without a model."""
    bench = Workbench(workspace=tmp_path_factory.mktemp("token"))
    page = launch("", Entrance(port=0), bench=bench, prevent_thread_lock=True)
    yield str(page.link)
    page.close(verbose=False)
    bench.lane.close()


def test_the_link_opens_the_page_and_a_pasted_token_does(browser: Browser, link: str) -> None:
    address, _, token = link.partition("?token=")
    with browser.new_context() as context:
        page = _tab(context)
        page.goto(f"{address}steer")
        expect(page.get_by_role("heading")).to_have_text("This page needs its link")
        page.get_by_label("Or paste the token").fill(token)
        page.get_by_role("button", name="Open").click()
        expect(page.locator(".sw-nav a[aria-current]")).to_have_text("Steer")
        assert "token" not in page.url
        page.locator(".sw-nav").get_by_role("link", name="Vectors").click()  # the visit goes on
        expect(page.locator(".sw-nav a[aria-current]")).to_have_text("Vectors")


def test_the_link_works_in_a_frame_of_a_page_of_another_site(browser: Browser, link: str) -> None:
    """As in a notebook whose server is called localhost, while the page's is called 127.0.0.1."""
    assert "127.0.0.1" in link

    class Around(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(f'<iframe src="{link.replace("/?", "/steer?bare=1&")}"></iframe>'.encode())

        def log_message(self, *given: Any) -> None:
            """Nothing on the console."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Around)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with browser.new_context() as context:
            page = _tab(context)
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.goto(f"http://localhost:{server.server_address[1]}/")
            frame = page.frame_locator("iframe")
            expect(frame.get_by_role("textbox", name="User")).to_be_attached()
            # The page is drawn as it stands once its first event came back, which takes the visit's cookie.
            expect(frame.locator(".sw-model-slot .sw-opening")).to_have_count(0)
            # Nor does it miss the storage that browsers may deny such a frame: the panel stands there alone, as asked.
            expect(frame.locator(".sw-nav nav")).to_be_hidden()
            assert not faults
    finally:
        server.shutdown()
        server.server_close()


def test_users_sign_in_and_out(browser: Browser, tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path)
    served = launch(
        "",
        Entrance(port=0, accounts=Accounts({"anna": hashed("a long password")})),
        bench=bench,
        prevent_thread_lock=True,
    )
    try:
        with browser.new_context() as context:
            page = _tab(context)
            page.goto(f"{served.link.address}/vectors")
            page.get_by_label("Name").fill("anna")
            page.get_by_label("Password").fill("a wrong password")
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("alert")).to_contain_text("do not go together")
            page.get_by_label("Name").fill("anna")
            page.get_by_label("Password").fill("a long password")
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator(".sw-nav a[aria-current]")).to_have_text("Vectors")
            out = page.locator(".sw-nav").get_by_role("link", name="Sign out")
            expect(out).to_have_text("Sign out anna")
            out.click()
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("heading")).to_have_text("You are signed out")
            page.get_by_role("link", name="Sign in again").click()
            expect(page.get_by_role("heading")).to_have_text("Sign in")
    finally:
        served.close(verbose=False)
        bench.lane.close()


def test_two_browsers_see_their_own_alone(browser: Browser, tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path)
    served = launch(MODEL, Entrance(port=0, public=Limits()), bench=bench, prevent_thread_lock=True)
    texts = {"annas": "A note of mine alone.", "bens": "Some other words."}
    try:
        with browser.new_context() as first, browser.new_context() as second:
            tabs, runs = {"annas": _tab(first), "bens": _tab(second)}, {}
            for seed, (name, page) in enumerate(tabs.items()):
                page.goto(f"{served.link.address}/steer")
                page.wait_for_selector(".sw-model .sw-name")
                with on_behalf_of(_visit(page.context)):
                    info = bench.model.require().info
                    bench.workspace.put(vector(name, seed, blocks=info.blocks, width=info.width))
            for name, page in tabs.items():
                page.reload()
                shelf = page.locator("#shelf")
                expect(shelf).to_contain_text(name)
                for other in tabs.keys() - {name}:
                    expect(shelf).not_to_contain_text(other)
                page.locator("#user textarea").fill(texts[name])
                page.locator("#run").click()
            for page in tabs.values():
                expect(page.locator(".sw-run[data-run]")).to_be_visible(timeout=SLOW)
                expect(page.locator("#run")).to_be_enabled(timeout=SLOW)
            for name, page in tabs.items():
                with on_behalf_of(_visit(page.context)):
                    (run,) = bench.runs.find()
                runs[name] = run.id
                go(page, "Runs")
                expect(page.locator("body")).to_contain_text(texts[name][:12])
                for other in tabs.keys() - {name}:
                    expect(page.locator("body")).not_to_contain_text(texts[other][:12])
            tabs["bens"].goto(f"{served.link.address}/steer?run={runs['annas']}")
            expect(tabs["bens"].locator(".sw-error")).to_contain_text("There is no run")
            expect(tabs["bens"].locator("body")).not_to_contain_text(texts["annas"])
            tabs["annas"].goto(f"{served.link.address}/steer?run={runs['annas']}")
            expect(tabs["annas"].locator("#user textarea")).to_have_value(texts["annas"])
            assert bench.own.runs.find() == []
    finally:
        served.close(verbose=False)
        bench.lane.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_from_using_the_pages_of_the_door(browser: Browser, scheme: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    said = "This name and password do not go together."
    shown = (pages.missing_token("/"), pages.missing_token("/", wrong=True), pages.sign_in("/", said=said))
    with browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme) as context:
        page = _tab(context)
        for html in (*shown, pages.sign_out("anna"), pages.signed_out(), pages.unknown("/" + "nothing-here" * 30)):
            page.set_content(html)
            found = axe.run(page).response["violations"]
            assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _visit(context: BrowserContext) -> Visit:
    """The visit of a browser."""
    (cookie,) = context.cookies()
    number = str(cookie["value"]).partition(".")[0]
    return Visit(number, room=number, limits=Limits())
