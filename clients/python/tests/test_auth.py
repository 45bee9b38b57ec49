"""Does a `requests` call carry the right token, and only where it may?"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from house import House, Reply, Seen, answer, handed, scripted, signing_in

import jeton
from jeton import Broker, ConnectorAuth, Secret, Settings, TokenSource, source


def giving(*generations: int, **more: object) -> Callable[[Seen], Reply]:
    """A broker whose token for each generation is `token-N`; a `rejected` moves it on as listed."""
    current = list(generations)

    def script(seen: Seen) -> Reply:
        if "rejected=" in seen.target and len(current) > 1:
            current.pop(0)
        return answer(handed(generation=current[0], access_token=f"token-{current[0]}", **more))

    return signing_in(script)


def at(url: str) -> Broker:
    return Broker(Settings(url, "job", Secret("secret-canary")))


def api(good: str) -> Callable[[Seen], Reply]:
    def script(seen: Seen) -> Reply:
        status = 200 if seen.headers["Authorization"] == f"Bearer {good}" else 401
        return answer({"method": seen.method, "body": seen.body}, status)

    return script


def test_the_providers_api_is_read(house: House, app: str, broker: Broker) -> None:
    session = requests.Session()
    session.auth = ConnectorAuth(app, "sandbox", broker=broker)
    for _ in range(3):
        assert session.get(f"{house.provider}/api/whoami", timeout=30).status_code == 200


def test_a_token_that_another_refresh_killed_is_replaced_on_the_way(house: House, app: str, broker: Broker) -> None:
    auth = ConnectorAuth(app, "sandbox", broker=broker)
    first = auth.source.token()
    house.faults({"kills_access_token": True})
    try:
        house.admin("POST", f"/apps/{app}/connections/sandbox/refresh", {"generation": 1})
    finally:
        house.faults({})
    assert house.whoami(first.access_token) == 401
    response = requests.get(f"{house.provider}/api/whoami", auth=auth, timeout=30)
    assert [answer.status_code for answer in (*response.history, response)] == [401, 200]
    assert auth.source.token().generation == 2


def test_after_a_401_the_request_is_sent_once_more() -> None:
    with scripted(giving(1, 2)) as server, scripted(api("token-2")) as api_server:
        auth = ConnectorAuth("acme", "github", broker=at(server.url))
        bodies: list[object] = [b"bytes", {"a": "form"}, io.BytesIO(b"a file")]
        for body in bodies:
            auth.source._held = None
            response = requests.post(f"{api_server.url}/x", data=body, auth=auth, timeout=30)  # type: ignore[arg-type]
            assert response.status_code == 200
        assert server.targets()[:3] == [
            "/o/token/",
            "/acme/github/binb-token",
            "/acme/github/binb-token?rejected=1",
        ]
        sent = [(seen.headers["Authorization"], seen.body) for seen in api_server.seen]
        assert sent == [
            ("Bearer token-1", "bytes"),
            ("Bearer token-2", "bytes"),
            ("Bearer token-2", "a=form"),
            ("Bearer token-2", "a file"),
        ]
        assert requests.get(f"{api_server.url}/x", auth=auth, timeout=30).history == []


def test_a_file_is_sent_again_from_where_it_began() -> None:
    with scripted(giving(1, 2)) as server, scripted(api("token-2")) as api_server:
        file = io.BytesIO(b"skipped, sent")
        file.seek(9)
        auth = ConnectorAuth("acme", "github", broker=at(server.url))
        assert requests.post(f"{api_server.url}/x", data=file, auth=auth, timeout=30).status_code == 200
        assert [seen.body for seen in api_server.seen] == ["sent", "sent"]


def test_what_can_be_sent_only_once_is_sent_once_and_the_next_request_has_the_better_token() -> None:
    def stream() -> Iterator[bytes]:
        yield b"once"

    with scripted(giving(1, 2)) as server, scripted(api("token-2")) as api_server:
        auth = ConnectorAuth("acme", "github", broker=at(server.url))
        # In chunks, which the scripted server does not read: it answers, and the connection ends.
        response = requests.post(f"{api_server.url}/x", data=stream(), auth=auth, timeout=30)
        assert (response.status_code, response.history, len(api_server.seen)) == (401, [], 1)
        assert requests.get(f"{api_server.url}/x", auth=auth, timeout=30).history == []
        sent = [seen.headers["Authorization"] for seen in api_server.seen]
        assert sent == ["Bearer token-1", "Bearer token-2"]
        assert server.targets() == [
            "/o/token/",
            "/acme/github/binb-token",
            "/acme/github/binb-token?rejected=1",
        ]


def test_a_second_401_is_the_answer() -> None:
    with scripted(giving(1, 2)) as server, scripted(api("none")) as api_server:
        auth = ConnectorAuth("acme", "github", broker=at(server.url))
        assert requests.get(f"{api_server.url}/x", auth=auth, timeout=30).status_code == 401
        assert len(api_server.seen) == 2


def test_a_token_that_the_broker_finds_good_is_not_sent_again() -> None:
    """An API that answers 401 for want of a scope would otherwise cost two calls and a probe each time."""
    with scripted(giving(1)) as server, scripted(api("none")) as api_server:
        auth = ConnectorAuth("acme", "github", broker=at(server.url))
        for _ in range(5):
            assert requests.get(f"{api_server.url}/x", auth=auth, timeout=30).status_code == 401
        assert len(api_server.seen) == 5
        assert [target for target in server.targets() if "rejected" in target] == ["/acme/github/binb-token?rejected=1"]


def test_fifty_threads_with_a_refused_token_tell_the_broker_once() -> None:
    with scripted(giving(1, 2)) as server, scripted(api("token-2")) as api_server:
        auth = ConnectorAuth("acme", "github", broker=at(server.url))
        auth.source.token()
        with ThreadPoolExecutor(50) as pool:
            asked = pool.map(lambda _: requests.get(f"{api_server.url}/x", auth=auth, timeout=30), range(50))
            assert {response.status_code for response in asked} == {200}
        assert sum("rejected" in target for target in server.targets()) == 1


def refusing(action: str, status: int, **more: object) -> Callable[[Seen], Reply]:
    """A broker that gives a token, and refuses to whoever says that an API does not take it."""

    def script(seen: Seen) -> Reply:
        if "rejected" in seen.target:
            return answer({"code": f"{action}_canary", "action": action, **more}, status)
        return answer(handed())

    return signing_in(script)


@pytest.mark.parametrize(
    ("action", "status", "raised"),
    [
        ("reauthorize", 409, jeton.ReauthorizeError),
        ("fix_configuration", 502, jeton.FixConfigurationError),
        ("request_access", 403, jeton.RequestAccessError),
        ("change_request", 422, jeton.ChangeRequestError),
    ],
)
def test_where_somebody_must_act_after_a_401_the_caller_is_told_by_the_broker(
    action: str, status: int, raised: type[jeton.JetonError]
) -> None:
    where = "https://jeton.example/acme/github/signup"
    with scripted(refusing(action, status, signup_url=where)) as server, scripted(api("none")) as api_server:
        session = requests.Session()
        session.auth = ConnectorAuth("acme", "github", broker=at(server.url))
        for _ in range(2):
            with pytest.raises(raised) as told:
                session.get(f"{api_server.url}/x", timeout=30)
            assert (told.value.code, told.value.signup_url) == (f"{action}_canary", where)
        assert len(api_server.seen) == 2


def test_where_the_broker_has_nothing_better_just_now_the_apis_answer_stays(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with scripted(refusing("retry", 503, trace_id="ab12")) as server, scripted(api("none")) as api_server:
        auth = ConnectorAuth("acme", "github", broker=at(server.url))
        assert requests.get(f"{api_server.url}/x", auth=auth, timeout=30).status_code == 401
        assert len(api_server.seen) == 1
    assert "retry_canary" in caplog.text
    assert "[trace ab12]" in caplog.text
    assert "token-canary" not in caplog.text


def test_a_person_who_revoked_is_asked_to_connect_again(house: House, app: str, broker: Broker) -> None:
    session = requests.Session()
    session.auth = ConnectorAuth(app, "sandbox", broker=broker)
    assert session.get(f"{house.provider}/api/whoami", timeout=30).status_code == 200
    house.revoke()
    with pytest.raises(jeton.ReauthorizeError) as told:
        session.get(f"{house.provider}/api/whoami", timeout=30)
    assert f"/{app}/sandbox/signup" in (told.value.signup_url or "")
    assert (told.value.code, told.value.exit_code) == ("reauthorization_required", 78)


def test_what_is_wrong_though_the_token_lives_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    wrong: list[dict[str, str] | None] = [None]
    with scripted(signing_in(lambda _: answer(handed(degraded=wrong[0])))) as server:
        broker = at(server.url)
        told = {"code": "provider_unavailable", "since": "2026-11-24T09:00:00Z", "detail": "No answer."}
        for degraded, lines in ((None, 0), (told, 1), (told, 1), (None, 1), (told, 2)):
            wrong[0] = degraded
            token = broker.retrieve_token("acme", "github")
            assert (token.degraded is None, len(caplog.records)) == (degraded is None, lines)
    line = "the token of acme/github/default lives, but not all is well: No answer (provider_unavailable, since "
    assert caplog.records[0].getMessage() == f"{line}2026-11-24T09:00:00Z)"
    assert caplog.records[0].levelname == "WARNING"


def test_a_redirect_takes_the_token_nowhere_else() -> None:
    with scripted(lambda _: answer({}, 401)) as elsewhere, scripted(giving(1, 2)) as server:
        to = elsewhere.url.replace("127.0.0.1", "localhost")
        with scripted(lambda _: answer({}, 302, Location=f"{to}/steal")) as api_server:
            auth = ConnectorAuth("acme", "github", broker=at(server.url))
            response = requests.get(f"{api_server.url}/x", auth=auth, timeout=30)
        assert response.status_code == 401
        assert len(elsewhere.seen) == 1
        assert "Authorization" not in elsewhere.seen[0].headers
        assert not any("rejected" in target for target in server.targets())


def test_a_token_goes_nowhere_in_clear_or_to_other_hosts() -> None:
    with scripted(giving(1)) as server, scripted(api("token-1")) as api_server:
        auth = ConnectorAuth("acme", "github", broker=at(server.url), hosts=("127.0.0.1",))
        assert requests.get(f"{api_server.url}/x", auth=auth, timeout=30).status_code == 200
        for url in ("http://api.example/x", "http://10.1.2.3/x"):
            with pytest.raises(jeton.FixConfigurationError, match="use https"):
                requests.get(url, auth=auth, timeout=30)
        with pytest.raises(jeton.FixConfigurationError, match="not among `hosts`"):
            requests.get(api_server.url.replace("127.0.0.1", "localhost"), auth=auth, timeout=30)


def test_a_token_is_kept_until_it_is_guaranteed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(source.time, "monotonic", lambda: now)
    with scripted(signing_in(lambda _: answer(handed()))) as server:
        broker = at(server.url)
        asked = lambda: sum("binb" in target for target in server.targets())  # noqa: E731
        kept = TokenSource("acme", "github", broker=broker)
        for now, calls in ((1000, 1), (4569, 1), (4571, 2), (8139, 2), (8142, 3)):
            kept.token()
            assert asked() == calls, now
        # `min_ttl` of what is kept is met as well.
        careful = TokenSource("acme", "github", min_ttl=3000, broker=broker)
        careful.token()
        now += 571
        careful.token()
        assert asked() == 5
        assert server.targets()[-1] == "/acme/github/binb-token?min_ttl=3000"


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"expires_in": None, "expires_at": None, "guaranteed_until": None}, 300),
        ({"guaranteed_until": None, "degraded": {"code": "reauthorization_required"}}, 60),
        ({"guaranteed_until": None, "expires_in": 30, "degraded": {"code": "provider_misconfigured"}}, 30),
    ],
    ids=["permanent", "parked", "parked and nearly over"],
)
def test_what_is_not_guaranteed_is_asked_for_again(
    fields: dict[str, object], seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(source.time, "monotonic", lambda: now)
    with scripted(signing_in(lambda _: answer(handed(**fields)))) as server:
        kept = TokenSource("acme", "aircall", broker=at(server.url))
        for now, calls in ((1000, 1), (1000 + seconds - 1, 1), (1000 + seconds + 1, 2)):  # noqa: B007
            kept.token()
            assert sum("binb" in target for target in server.targets()) == calls


def test_a_broker_that_is_away_takes_no_living_token(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    now = 1000.0
    monkeypatch.setattr(source.time, "monotonic", lambda: now)
    here = True

    def script(_: Seen) -> Reply:
        return answer(handed()) if here else answer({"code": "storage_unavailable", "action": "retry"}, 503)

    with scripted(signing_in(script)) as server:
        broker = at(server.url)
        kept, careful = TokenSource("acme", "github", broker=broker), TokenSource("a", "b", min_ttl=60, broker=broker)
        kept.token()
        careful.token()
        here = False
        now += 3590
        assert kept.token().access_token == "token-canary"
        with pytest.raises(jeton.RetryError):
            careful.token()
        now += 11
        with pytest.raises(jeton.RetryError):
            kept.token()
    assert time.monotonic() == now
