"""Is a secret anywhere where people read?"""

from __future__ import annotations

import copy
import dataclasses
import logging
import pickle
import socket
import traceback
from datetime import datetime, timezone
from pathlib import Path

import pytest
import requests
from house import Reply, Seen, answer, handed, scripted, signing_in

import jeton
from jeton import Broker, ConnectorAuth, HandedToken, Secret, Settings, TokenSource
from jeton.errors import refusal
from jeton.tokens import instant

CANARIES = ("secret-canary", "c2VjcmV0LWNhbmFyeQ", "bearer-canary", "token-canary")


def leaks(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


def told(error: BaseException) -> str:
    """All that a careless program, or an error tracker, shows of an error."""
    assert error.__traceback__ is not None
    # The test's own variables are in its own frame.
    ours = error.__traceback__.tb_next
    whole = traceback.TracebackException(type(error), error, ours, capture_locals=True)
    chain: list[BaseException] = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(inner)
    return "".join(whole.format()) + "".join(f"{item} {item!r} {vars(item)!r}" for item in chain)


def test_nothing_that_is_printed_holds_a_secret() -> None:
    with scripted(signing_in(lambda _: answer(handed(extra={"session": "token-canary"})))) as server:
        broker = Broker(Settings(server.url, "job", "secret-canary"))  # type: ignore[arg-type] # as people do
        token = broker.retrieve_token("acme", "github")
        source = TokenSource("acme", "github", broker=broker)
        source.token()
        bearer = broker._sign_in.bearer()
        things = [
            broker,
            broker.settings,
            token,
            source,
            ConnectorAuth("a", "b", broker=broker),
            bearer,
            bearer.header(),
        ]
        things += [
            source._held,
            [token.access_token],
            dataclasses.asdict(broker.settings),
            vars(broker),
            vars(source),
            vars(bearer.header()),
        ]
        for thing in things:
            assert leaks(repr(thing)) == [], type(thing)
        assert token.access_token == "token-canary"
        assert f"Bearer {token.access_token}" == "Bearer token-canary"


def test_no_error_holds_a_secret(pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}"
    replies = [
        answer({}, 302, Location="http://127.0.0.1:1/"),
        answer({"code": "forbidden", "action": "request_access"}, 403),
        (200, {}, b'{"access_token": "token-canary", "oops'),
        (200, {}, b'{"access_token": "token-canary", "expires_in": "soon"}'),
        (200, {"Content-Length": "100"}, b"short"),
        (200, {"Content-Encoding": "gzip"}, b"no gzip: token-canary"),
    ]
    errors: list[BaseException] = []
    for reply in replies:
        for script in (signing_in(lambda _, reply=reply: reply), lambda _, reply=reply: reply):
            with scripted(script) as server, pytest.raises(jeton.JetonError) as error:
                Broker(Settings(server.url, "job", Secret("secret-canary"), timeout=1)).retrieve_token("acme", "github")
            errors.append(error.value)
    with pytest.raises(jeton.RetryError) as error:
        Broker(Settings(dead, "job", Secret("secret-canary"))).retrieve_token("acme", "github")
    errors.append(error.value)
    for error_value in errors:
        assert leaks(told(error_value)) == [], error_value


def test_what_is_raised_after_a_401_holds_no_secret() -> None:
    def script(seen: Seen) -> Reply:
        if "rejected" in seen.target:
            return answer({"code": "reauthorization_required", "action": "reauthorize"}, 409)
        return answer(handed())

    with scripted(signing_in(script)) as server, scripted(lambda _: answer({}, 401)) as api_server:
        auth = ConnectorAuth("acme", "github", broker=Broker(Settings(server.url, "job", Secret("secret-canary"))))
        with pytest.raises(jeton.ReauthorizeError) as raised:
            requests.get(api_server.url, auth=auth, timeout=30)
    assert leaks(told(raised.value)) == []


def test_no_log_of_any_level_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted(signing_in(lambda _: answer(handed()))) as server:
        Broker(Settings(server.url, "job", Secret("secret-canary"))).retrieve_token("acme", "github")
    assert "binb-token" in caplog.text, "urllib3 logs the calls at this level"
    assert leaks(caplog.text) == []


def test_errors_cross_processes() -> None:
    body = b'{"code":"reauthorization_required","action":"reauthorize","detail":"Gone.","reason":"revoked",'
    body += b'"signup_url":"https://b.example/acme/github/signup"}'
    error = refusal(409, body, None)
    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error), error.again()):
        assert type(copied) is jeton.ReauthorizeError
        assert copied.problem == error.problem
    assert str(error) == (
        "Gone (reauthorization_required: revoked): connect the account at https://b.example/acme/github/signup"
    )


def test_each_action_is_a_class_and_each_answer_has_one() -> None:
    actions = {
        "retry": (jeton.RetryError, 75),
        "reauthorize": (jeton.ReauthorizeError, 78),
        "fix_configuration": (jeton.FixConfigurationError, 78),
        "request_access": (jeton.RequestAccessError, 77),
        "change_request": (jeton.ChangeRequestError, 1),
    }
    for word, (kind, code) in actions.items():
        error = refusal(500, f'{{"code":"x","action":"{word}"}}'.encode(), None)
        assert (type(error), error.exit_code, error.action) == (kind, code, word)
    by_status = {302: 78, 400: 1, 401: 77, 403: 77, 404: 78, 408: 75, 409: 1, 429: 75, 500: 75, 503: 75}
    for status, code in by_status.items():
        for body in (b"", b"<html>", b"[]", b'{"action":"dance"}', b'{"action":7,"flows":7,"errors":[7]}'):
            assert refusal(status, body, None).exit_code == code, (status, body)


def test_a_token_of_the_contract_is_read_whole() -> None:
    body = answer(handed(degraded={"code": "scope_narrowed", "since": None, "detail": "less"}, extra={"a": 1}))[2]
    token = HandedToken.parse(body)
    assert token is not None
    assert token.degraded is not None
    assert (token.degraded.code, token.degraded.detail, token.extra) == ("scope_narrowed", "less", {"a": 1})
    assert token.guaranteed_for == 3570
    permanent = HandedToken.parse(answer(handed(expires_in=None, expires_at=None, guaranteed_until=None))[2])
    assert permanent is not None
    assert (permanent.expires_at, permanent.guaranteed_for) == (None, None)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("2026-11-24T10:00:00Z", datetime(2026, 11, 24, 10, tzinfo=timezone.utc)),
        ("2026-11-24T10:00:00.5Z", datetime(2026, 11, 24, 10, 0, 0, 500_000, tzinfo=timezone.utc)),
        ("2026-11-24T10:00:00.123456789Z", datetime(2026, 11, 24, 10, 0, 0, 123_456, tzinfo=timezone.utc)),
        ("2026-11-24T12:00:00+02:00", datetime(2026, 11, 24, 10, tzinfo=timezone.utc)),
    ],
)
def test_times_are_read_as_rfc_3339_has_them(told: str, read: datetime) -> None:
    assert instant(told) == read
    for wrong in ("2026-11-24T10:00:00", "2026-11-24", "", "2026-13-24T10:00:00Z", "now"):
        with pytest.raises(ValueError):  # noqa: PT011
            instant(wrong)


def environ(**more: str) -> dict[str, str]:
    return {"JETON_URL": "https://b.example", "JETON_CLIENT_ID": "job", **more}


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    kept = tmp_path / "secret"
    kept.write_text("secret-canary\n")
    settings = Settings.from_env(environ(JETON_CLIENT_SECRET_FILE=str(kept)))
    assert settings.client_secret == "secret-canary"
    assert leaks(repr(settings)) == []
    missing = {
        "JETON_URL": {},
        "JETON_CLIENT_ID": {"JETON_URL": "https://b.example"},
        "JETON_CLIENT_SECRET": environ(),
        "JETON_CREDENTIAL and a JETON_CLIENT_SECRET are set": environ(
            JETON_CLIENT_SECRET="x", JETON_CREDENTIAL="env:X"
        ),
        "environment variable X is not set": environ(JETON_CREDENTIAL="env:X"),
        "what X holds is no credential": environ(JETON_CREDENTIAL="env:X", X="secret-canary"),
        "what X holds has no usable": environ(JETON_CREDENTIAL="env:X", X='{"client-id": "secret-canary"}'),
        "both": environ(JETON_CLIENT_SECRET="a", JETON_CLIENT_SECRET_FILE="b"),
        "No such file": environ(JETON_CLIENT_SECRET_FILE="/nowhere"),
    }
    for name, variables in missing.items():
        with pytest.raises(jeton.FixConfigurationError, match=name):
            Settings.from_env(variables)
    kept.write_text("\n")
    with pytest.raises(jeton.FixConfigurationError, match="empty"):
        Settings.from_env(environ(JETON_CLIENT_SECRET_FILE=str(kept)))


def test_a_reference_that_is_not_read_here_is_told_in_one_line_with_what_to_do() -> None:
    exec_ = "start the program by `jeton exec`, which reads every store"
    for reference, told in {
        "file:prod/pipeline": ("`file:prod/pipeline` is a sealed file", exec_),
        "aws-sm:eu-west-1/prod/pipeline": ("`aws-sm:eu-west-1/prod/pipeline` is in a store", "env:NAME", exec_),
        "azure-kv:corp/prod-pipeline": ("`azure-kv:corp/prod-pipeline` is in a store", "env:NAME", exec_),
        "vault:secret/prod/pipeline#credential": ("`vault:secret/prod/pipeline#credential`", "env:NAME", exec_),
        # Perhaps the secret itself, or none of ours.
        "file:secret-canary" + "x" * 32: ("`file:...` is a sealed file",),
        "file:secret-canary\nx": ("`file:...` is a sealed file",),
        "vault:": ("`vault:...` is in a store",),
        "secret-canary": ("no secret store reference known here: write env:NAME",),
        "gcp-sm:secret-canary": ("no secret store reference known here",),
        '{"client_secret": "secret-canary"}': ("no secret store reference known here",),
    }.items():
        with pytest.raises(jeton.FixConfigurationError) as raised:
            Settings.from_env(environ(JETON_CREDENTIAL=reference))
        line = str(raised.value)
        assert "JETON_CREDENTIAL: " in line, line
        assert "\n" not in line, line
        assert all(words in line for words in told), line
        assert leaks(line) == [], line


def test_plain_http_is_for_loopback() -> None:
    for fine in ("https://b.example/x/", "http://127.0.0.2:1", "http://[::1]:1", "http://localhost/x"):
        Settings(fine, "j", Secret("s"))
    Settings("http://b.example", "j", Secret("s"), plain_http=True)
    for refused in ("http://b.example", "http://10.0.0.1", "http://127.0.0.1.example", "http://[::2]"):
        with pytest.raises(jeton.FixConfigurationError, match="plain http"):
            Settings(refused, "j", Secret("s"))
    unusable = ("b.example", "ftp://b.example", "https://u:pw-canary@b.example", "https://b.example?x", "https://", "")
    for url in (*unusable, "https://b.example:x", "https://b.example#f", "https://[b"):
        with pytest.raises(jeton.FixConfigurationError, match="usable URL") as error:
            Settings(url, "j", Secret("s"))
        assert "pw-canary" not in str(error.value)
    for url in ("127.0.0.1:8080", "localhost:8080", "b.example"):
        with pytest.raises(jeton.FixConfigurationError, match="or with http:// where the broker is on this machine"):
            Settings(url, "j", Secret("s"))
