"""Does a hostile or broken answer cost anything but an error, and is the network used no more than needed?"""

from __future__ import annotations

import copy
import json
import os
import pickle
import socket
import threading
import time
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from house import Reply, Seen, answer, handed, scripted, signing_in

import jeton
from jeton import Broker, Settings, TokenSource
from jeton.secret import Secret


def at(url: str, **more: float) -> Broker:
    return Broker(Settings(url, "job", Secret("secret-canary"), **more))  # type: ignore[arg-type]


def test_a_thousand_threads_sign_in_once() -> None:
    def slow(seen: Seen) -> Reply:
        time.sleep(0.2)
        return signing_in(lambda _: answer(handed()))(seen)

    with scripted(slow) as server:
        broker = at(server.url)
        start = threading.Barrier(1000)

        def ask(_: int) -> str:
            start.wait()
            return broker.bearer()

        with ThreadPoolExecutor(1000) as pool:
            bearers = list(pool.map(ask, range(1000)))
        assert set(bearers) == {"bearer-canary"}
        assert server.targets() == ["/o/token/"]


def test_a_thousand_threads_ask_for_one_token_once() -> None:
    with scripted(signing_in(lambda _: answer(handed()))) as server:
        source = TokenSource("acme", "github", broker=at(server.url))
        with ThreadPoolExecutor(200) as pool:
            tokens = list(pool.map(lambda _: source.token().access_token, range(1000)))
        assert set(tokens) == {"token-canary"}
        assert server.targets() == ["/o/token/", "/acme/github/binb-token"]


def test_a_bearer_of_two_seconds_is_never_sent_when_it_is_over() -> None:
    given: dict[str, float] = {}
    late: list[float] = []

    def script(seen: Seen) -> Reply:
        now = time.monotonic()
        if seen.target == "/o/token/":
            token = f"bearer-{len(given)}"
            given[token] = now + 2
            return answer({"access_token": token, "expires_in": 2})
        until = given[seen.headers["Authorization"].removeprefix("Bearer ")]
        if now >= until:
            late.append(now - until)
        return answer(handed())

    with scripted(script) as server:
        broker = at(server.url)
        end = time.monotonic() + 5

        def work(_: int) -> int:
            calls = 0
            while time.monotonic() < end:
                broker.retrieve_token("acme", "github")
                calls += 1
                time.sleep(0.01)
            return calls

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(work, range(4))) > 100
        assert late == []
        assert 3 <= len(given) <= 4


@pytest.mark.parametrize(("lives", "margin"), [(3600, 60), (100, 20), (0, 0)])
def test_a_bearer_is_renewed_before_it_ends(lives: int, margin: int) -> None:
    with scripted(signing_in(lambda _: answer(handed()), lives=lives)) as server:
        began = time.monotonic()
        bearer = at(server.url)._sign_in.bearer()
    assert 0 <= bearer.until - began - (lives - margin) < 5


def test_threads_share_an_error_and_ask_again_after_it() -> None:
    with scripted(lambda _: answer({"error": "invalid_client"}, 401)) as server:
        broker = at(server.url)

        def ask(_: int) -> str:
            with pytest.raises(jeton.RequestAccessError) as refused:
                broker.bearer()
            return refused.value.code

        with ThreadPoolExecutor(50) as pool:
            assert set(pool.map(ask, range(50))) == {"invalid_client"}
        before = len(server.seen)
        with pytest.raises(jeton.RequestAccessError):
            broker.bearer()
        assert len(server.seen) == before + 1


def test_no_redirect_is_followed() -> None:
    with scripted(lambda _: answer(handed())) as elsewhere:
        to = {"Location": f"{elsewhere.url}/stolen"}
        for status in (301, 302, 303, 307, 308):
            with (
                scripted(lambda _, status=status: answer({}, status, **to)) as server,
                pytest.raises(jeton.FixConfigurationError, match="redirect"),
            ):
                at(server.url).retrieve_token("acme", "github")
            with (
                scripted(signing_in(lambda _, status=status: answer({}, status, **to))) as server,
                pytest.raises(jeton.FixConfigurationError, match="redirect"),
            ):
                at(server.url).retrieve_token("acme", "github")
        assert elsewhere.seen == []


def test_the_environment_sends_no_credential_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login thief password thief\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with scripted(lambda _: answer({})) as proxy, scripted(signing_in(lambda _: answer(handed()))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        at(server.url).retrieve_token("acme", "github")
        assert proxy.seen == []
        sign_in, call = server.seen
        assert sign_in.headers["Authorization"] == "Basic am9iOnNlY3JldC1jYW5hcnk="
        assert sign_in.body == "grant_type=client_credentials"
        assert call.headers["Authorization"] == "Bearer bearer-canary"
        assert "Cookie" not in call.headers


def test_ids_and_secrets_are_encoded_as_they_must_be() -> None:
    def script(seen: Seen) -> Reply:
        return answer({"access_token": "t", "expires_in": 60} if seen.target.endswith("/o/token/") else handed())

    with scripted(script) as server:
        broker = Broker(Settings(f"{server.url}/base/", "j:ob", Secret("a%:+é b")))
        broker.retrieve_token("a/../b?", "git hub", flow="a&b")
        sign_in, call = server.seen
    pair = b64decode(sign_in.headers["Authorization"].removeprefix("Basic ")).decode()
    assert (sign_in.target, pair) == ("/base/o/token/", "j%3Aob:a%25%3A%2B%C3%A9+b")
    assert call.target == "/base/a%2F..%2Fb%3F/git%20hub/binb-token?flow=a%26b"
    for segment in ("", ".", ".."):
        with pytest.raises(jeton.ChangeRequestError, match="cannot be an id"):
            at("http://127.0.0.1:1").retrieve_token("acme", segment)


def test_retry_after_is_honoured_and_bounded(pauses: list[float]) -> None:
    answers = iter([answer({}, 503, Retry_After="2"), answer({}, 429, Retry_After="3"), answer(handed())])
    with scripted(signing_in(lambda _: next(answers))) as server:
        assert at(server.url).retrieve_token("acme", "github").generation == 1
    assert pauses == [2, 3]

    pauses.clear()
    with scripted(signing_in(lambda _: answer({"action": "retry", "code": "overloaded"}, 503))) as server:
        with pytest.raises(jeton.RetryError, match="overloaded"):
            at(server.url).retrieve_token("acme", "github")
        assert pauses == [0.25, 0.5, 1.0]
        assert len(server.seen) == 5

    # A wish that is longer than patience ends the call at once, and is passed on.
    pauses.clear()
    with (
        scripted(lambda _: answer({}, 503, Retry_After="31")) as server,
        pytest.raises(jeton.RetryError) as busy,
    ):
        at(server.url).bearer()
    assert (pauses, busy.value.retry_after) == ([], 31)


def test_other_refusals_are_not_repeated(pauses: list[float]) -> None:
    for status in (400, 403, 404, 409, 422, 500, 502):
        with scripted(signing_in(lambda _, status=status: answer({}, status))) as server:
            with pytest.raises(jeton.JetonError):
                at(server.url).retrieve_token("acme", "github")
            assert len(server.seen) == 2, status
    assert pauses == []


def test_a_bearer_is_renewed_once_after_a_401() -> None:
    with scripted(signing_in(lambda _: answer({}, 401))) as server:
        with pytest.raises(jeton.RequestAccessError):
            at(server.url).retrieve_token("acme", "github")
        assert server.targets() == ["/o/token/", "/acme/github/binb-token"] * 2


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"access_token": 7}', b'{"access_token":"token-canary"}', b"[" * 9000],
    ids=["empty", "html", "list", "null", "object", "number", "partial", "deep"],
)
def test_what_cannot_be_read_is_an_error_without_a_word_of_it(body: bytes) -> None:
    with (
        scripted(signing_in(lambda _: (200, {}, body))) as server,
        pytest.raises(jeton.JetonError) as error,
    ):
        at(server.url).retrieve_token("acme", "github")
    assert error.value.code == "garbled"
    assert "canary" not in str(error.value)
    with scripted(lambda _: (200, {}, body)) as server:
        try:
            assert at(server.url).bearer() == "token-canary"
        except jeton.JetonError as told:
            assert told.code == "garbled"  # noqa: PT017 - one of the bodies is a bearer


def test_an_endless_answer_ends() -> None:
    huge = answer(handed())[2] + b" " * (9 * 1024 * 1024)
    with scripted(signing_in(lambda _: (200, {}, huge))) as server, pytest.raises(jeton.JetonError, match="garbled"):
        at(server.url).retrieve_token("acme", "github")


def test_a_trickle_ends_at_the_time_given() -> None:
    """A byte now and then would keep a time-out for each read alive."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not over.wait(0.05):
            try:
                connection.sendall(b" ")
            except OSError:
                return

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(jeton.RetryError, match="did not answer within 1 s"):
        at(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=1, retries=0).bearer()
    over.set()
    listener.close()
    assert time.monotonic() - began < 4


def test_silence_is_not_waited_for_twice(pauses: list[float]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(jeton.RetryError, match="did not answer"),
    ):
        at(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3).bearer()
    assert pauses == []


def test_a_broker_that_is_not_there_is_named(pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(jeton.RetryError, match=f"127.0.0.1:{port} was not reached: Connection refused") as error:
        at(f"http://127.0.0.1:{port}").bearer()
    assert error.value.exit_code == 75
    assert pauses == [0.25, 0.5, 1.0]


def test_copies_work_by_themselves() -> None:
    """As libraries copy what they are configured with, or hand it to another process."""
    with scripted(signing_in(lambda _: answer(handed()))) as server:
        kept = TokenSource("acme", "github", broker=at(server.url))
        for made in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
            assert made.token().access_token == "token-canary"
        kept.token()
        copied = copy.deepcopy(kept)
        assert copied.token().access_token == "token-canary"
        assert len(server.seen) == 6


def test_a_forked_process_asks_for_itself() -> None:
    """As Airflow forks its tasks: while another thread was asking."""
    hold = threading.Event()

    def script(seen: Seen) -> Reply:
        if seen.target == "/o/token/" and len(server.seen) == 1:
            hold.wait(10)
        return signing_in(lambda _: answer(handed()))(seen)

    with scripted(script) as server:
        broker = at(server.url)
        asking = threading.Thread(target=broker.bearer)
        asking.start()
        while not server.seen:
            time.sleep(0.01)
        child = os.fork()
        if child == 0:
            os._exit(0 if broker.bearer() == "bearer-canary" else 1)
        end = time.monotonic() + 10
        while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
            assert time.monotonic() < end, "the child waits for a thread that it has not"
            time.sleep(0.02)
        hold.set()
        asking.join()
    assert os.waitstatus_to_exitcode(done[1]) == 0


def test_a_bearer_for_a_resource_server_is_asked_for_once_and_is_no_other_ones() -> None:
    def script(seen: Seen) -> Reply:
        resource = parse_qs(seen.body).get("resource", ["the broker"])[0]
        return answer({"access_token": f"for-{resource.split()[-1]}", "token_type": "Bearer", "expires_in": 3600})

    with scripted(script) as server:
        broker = at(server.url)
        for _ in range(2):
            assert broker.bearer(resource="terms") == "for-terms"
            assert broker.bearer(resource="tasks") == "for-tasks"
            assert broker.bearer() == "for-broker"
        assert server.targets() == ["/o/token/"] * 3


def test_a_delivered_credential_says_where_the_broker_is_and_as_whom() -> None:
    forms: list[dict[str, list[str]]] = []
    names: list[str] = []

    def script(seen: Seen) -> Reply:
        forms.append(parse_qs(seen.body))
        names.append(b64decode(seen.headers["Authorization"].removeprefix("Basic ")).decode())
        return answer({"access_token": "bearer-canary", "token_type": "Bearer", "expires_in": 3600})

    with scripted(script) as server:
        document = {
            "flow": "client_credentials",
            "issuer": server.url,
            "token_endpoint": f"{server.url}/o/token/",
            "client_id": "pipeline",
            "client_secret": "secret-canary",
            "scope": "binb:read",
            "audience": None,
            "version": 1,
        }
        pair = {"client-id": "pipeline", "client-secret": "secret-canary"}
        elsewhere = {**document, "scope": "terms:read", "audience": "https://terms.example"}
        for kept, url in ((document, ""), (pair, server.url), (elsewhere, "")):
            environ = {"JETON_CREDENTIAL": "env:PIPELINE", "PIPELINE": json.dumps(kept), "JETON_URL": url}
            settings = Settings.from_env(environ)
            assert "canary" not in repr(settings)
            Broker(settings).bearer()
        assert names == ["pipeline:secret-canary"] * 3
        assert [form.get("scope") for form in forms] == [["binb:read"], None, None]
        assert all("resource" not in form for form in forms)
