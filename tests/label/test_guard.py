"""Attacks on the server: strangers, other pages of the browser, names that point here, and too much at once."""

import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from gseg_cli.label.app import PAGE
from gseg_cli.label.tokens import Tokens
from tests.label.conftest import ADDRESS

READ, WRITE = "/api/project", "/api/samples/3/labels?rev=0&x=0&y=0&w=1&h=1"
PATHS = ["/", READ, "/api/samples/3/image", "/api/samples/3/labels", "/api/events", "/page/index.html", "/nothing"]


def no_cookie(client: TestClient) -> TestClient:
    client.cookies.clear()
    return client


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_told_without_the_cookie(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code == 403
    assert set(answer.json()) == {"error", "hint"}


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "%ff", "%ud800", "ü"])
def test_a_wrong_token_earns_nothing(stranger, token):
    answer = stranger.get(f"/?token={token}")
    assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)


def test_the_token_earns_a_cookie_that_scripts_cannot_read_and_other_sites_do_not_send(stranger, tokens):
    answer = stranger.get(f"/?token={tokens.token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    name, *flags = re.split("; ", answer.headers["set-cookie"])
    assert name == f"gseg-label-8777={tokens.cookie}"
    assert {flag.lower() for flag in flags} == {"httponly", "samesite=strict", "path=/"}
    assert stranger.get(READ).status_code == 200


def test_the_token_opens_the_first_page_only_and_never_stands_in_an_answer(stranger, tokens):
    assert stranger.get(f"{READ}?token={tokens.token}").status_code == 403
    answer = stranger.get(f"/?token={tokens.token}")
    assert tokens.token not in str(answer.headers) + answer.text
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_address_that_a_browser_is_started_with_opens_once(stranger, tokens):
    once = tokens.once
    assert stranger.get(f"/?token={once}").status_code == 303
    assert no_cookie(stranger).get(f"/?token={once}").status_code == 403
    assert stranger.get("/?token=").status_code == 403


@pytest.mark.parametrize("cookie", ["", "x", "gseg-label-8777=", 'gseg-label-8777="', "gseg-label-1=TOKEN"])
def test_a_wrong_cookie_opens_nothing(stranger, tokens, cookie):
    headers = {"Cookie": cookie.replace("TOKEN", tokens.cookie)}
    assert stranger.get(READ, headers=headers).status_code == 403


@pytest.mark.parametrize("other", ['prefs={"theme":"dark"}', "flag", "name=a b", "x=a,b", ""])
def test_cookies_that_other_programs_set_on_this_machine_keep_nobody_out(stranger, tokens, other):
    own = f"{tokens.cookie_name}={tokens.cookie}"
    for cookies in (f"{other}; {own}", f"{own}; {other}"):
        assert stranger.get(READ, headers={"Cookie": cookies}).status_code == 200


HOSTS = ["evil.example", "evil.example:8777", "127.0.0.1.evil.example", "localhost.evil.example:8777", "127.0.0.2",
         "0.0.0.0:8777", "user@127.0.0.1", "127.0.0.1:8777/x", "", "[::1]"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_a_name_that_was_made_to_point_here_is_refused(page, tokens, host):
    assert page.get(READ, headers={"Host": host}).status_code == 403
    welcome = page.get(f"/?token={tokens.token}", headers={"Host": host})
    assert (welcome.status_code, welcome.headers.get("set-cookie")) == (403, None)


@pytest.mark.parametrize("host", ["127.0.0.1:8777", "localhost:8777", "localhost:9000", "127.0.0.1"])
def test_our_own_names_are_taken_from_whatever_port_was_forwarded(page, host):
    assert page.get(READ, headers={"Host": host}).status_code == 200


ORIGINS = [
    "http://evil.example",
    "http://127.0.0.1:1234",
    "https://127.0.0.1:8777",
    "http://localhost:8777",
    "null",
    "",
]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", WRITE), ("POST", "/api/samples"), ("POST", "/api/samples/3/undo"), ("POST", "/api/classes"),
     ("PATCH", "/api/classes/1"), ("DELETE", "/api/classes/1")],
)  # fmt: skip
def test_another_page_of_the_browser_changes_nothing_though_it_has_the_cookie(page, session, method, path, origin):
    answer = page.request(method, path, headers={"Origin": origin}, content=b"\1")
    assert answer.status_code == 403
    assert (session.store.state(3).rev, len(session.classes)) == (0, 3)


def test_a_write_that_does_not_say_where_it_comes_from_is_refused(page):
    del page.headers["Origin"]
    assert page.put(WRITE, content=b"\1").status_code == 403


def parts(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(2**14)


def test_too_large_a_body_is_refused_whether_or_not_it_says_its_length(page, session):
    for body in (bytes(2**17), parts(8)):
        answer = page.put(WRITE, content=body)
        assert answer.status_code == 413
        assert set(answer.json()) == {"error", "hint"}
    assert session.store.state(3).rev == 0


@pytest.mark.parametrize("length", ["-1", "1e9", "9" * 20, "٣", ""])
def test_a_length_that_is_none_is_refused(page, length):
    assert page.put(WRITE, content=b"\1", headers={"Content-Length": length.encode()}).status_code in (400, 413)


ESCAPES = ["/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page/%2e%2e%2fapp.py", "/page//etc/passwd",
           "/page/..%5capp.py", "/page/%00", "/page/" + "%2e%2e/" * 12 + "etc/passwd"]  # fmt: skip


@pytest.mark.parametrize("path", ESCAPES)
def test_only_files_of_the_page_are_given_out(page, path):
    assert page.get(path).status_code in (400, 404)


def test_links_do_not_lead_out_of_the_page():
    assert not [path for path in PAGE.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("path", [READ, "/page/none", "/api/samples/3/labels", "/api/none"])
def test_every_answer_says_that_nothing_foreign_is_loaded_framed_guessed_or_kept(page, path):
    headers = page.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"] and "http" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


def test_a_websocket_gets_nothing(page):
    with pytest.raises(Exception), page.websocket_connect("/api/events"):  # noqa: B017 (whatever the client makes of it)
        pass


def test_secrets_are_new_each_time_and_do_not_show_when_printed():
    one, two = Tokens("a"), Tokens("a")
    assert len({one.token, one.once, one.cookie, two.token, two.once, two.cookie}) == 6
    assert one.token not in repr(one) and one.once not in repr(one) and one.cookie not in repr(one)
    assert ADDRESS not in repr(one)
