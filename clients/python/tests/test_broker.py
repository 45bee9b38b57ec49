"""Does a job get its tokens from a running broker, and errors it can act on?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from house import House

import jeton
from jeton import Broker, Settings


def of(house: House, client: tuple[str, str]) -> Broker:
    return Broker(Settings.from_env(house.client_environ(client)))


def test_a_job_gets_a_token_that_the_provider_takes(house: House, app: str, broker: Broker) -> None:
    token = broker.retrieve_token(app, "sandbox")
    assert house.whoami(token.access_token) == 200
    assert (token.app_id, token.connector, token.flow, token.generation) == (app, "sandbox", "default", 1)
    assert token.expires_in is not None
    assert token.guaranteed_for is not None
    assert 0 < token.expires_in - token.guaranteed_for <= 31
    assert token.degraded is None
    assert not token.refreshed
    assert token.expires_at is not None
    assert token.expires_at.utcoffset() is not None


def test_extraction_code_calls_retrieve_token(house: House, app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in house.client_environ().items():
        monkeypatch.setenv(name, value)
    house.connect(app, flow="second")
    in_app = jeton.retrieve_token("sandbox", f"{app}/default")
    assert house.whoami(in_app) == 200
    other = jeton.retrieve_token("Sandbox", "second", app_id=app)
    assert house.whoami(other) == 200
    assert other != in_app
    with pytest.raises(jeton.ChangeRequestError, match="neither"):
        jeton.retrieve_token("sandbox", f"{app}/")


def test_a_minimum_lifetime_is_met_or_refused(house: House, app: str, broker: Broker) -> None:
    house.connect(app, flow="short", expires_in=120)
    token = broker.retrieve_token(app, "sandbox", flow="short", min_ttl=1800)
    assert token.refreshed
    assert token.generation == 2
    assert token.guaranteed_for is not None
    assert token.guaranteed_for >= 1800
    with pytest.raises(jeton.ChangeRequestError) as refused:
        broker.retrieve_token(app, "sandbox", flow="short", min_ttl=86_400)
    assert refused.value.code == "ttl_unsatisfiable"
    assert refused.value.problem.max_ttl is not None


def test_a_refused_token_is_told(house: House, app: str, broker: Broker) -> None:
    first = broker.retrieve_token(app, "sandbox")
    requests.post(
        f"{house.provider}/revoke",
        data={"client_id": "sandbox-standard", "client_secret": "sandbox-secret", "token": "another"},
        timeout=30,
    )
    told = broker.retrieve_token(app, "sandbox", rejected=first.generation)
    # The provider says that the token is good, so nothing is spent.
    assert told.degraded is not None
    assert (told.degraded.code, told.generation) == ("rejection_not_confirmed", 1)


def test_each_action_has_its_error(house: House, app: str, broker: Broker) -> None:
    with pytest.raises(jeton.ReauthorizeError) as absent:
        broker.retrieve_token(app, "github")
    assert absent.value.code == "connection_not_found"
    assert absent.value.signup_url == f"{house.url}/{app}/github/signup"
    assert str(absent.value.signup_url) in str(absent.value)
    with pytest.raises(jeton.FixConfigurationError) as unknown:
        broker.retrieve_token("no-such-app", "sandbox")
    assert unknown.value.code == "app_not_found"
    house.connect(app, flow="second")
    house.admin("DELETE", f"/apps/{app}/connections/sandbox?flow=default")
    house.connect(app, flow="third")
    with pytest.raises(jeton.ChangeRequestError) as ambiguous:
        broker.retrieve_token(app, "sandbox")
    assert set(ambiguous.value.problem.flows) == {"second", "third"}
    confined = of(house, house.client(f"confined-{app}"[-60:], role="superadmin", scopes=["binb:read"], allow=["a/b"]))
    with pytest.raises(jeton.RequestAccessError) as forbidden:
        confined.retrieve_token(app, "sandbox", flow="second")
    assert (forbidden.value.code, forbidden.value.exit_code) == ("forbidden", 77)
    with pytest.raises(jeton.RequestAccessError) as stranger:
        of(house, ("nobody", "wrong")).retrieve_token(app, "sandbox")
    assert stranger.value.code == "invalid_client"


def test_errors_say_what_to_do_as_the_command_line_does(house: House, app: str, broker: Broker) -> None:
    client = house.client(f"told-{app}"[-60:], role="superadmin", scopes=["binb:read"], allow=[f"{app}/sandbox"])
    with pytest.raises(
        jeton.RequestAccessError, match=r"failed \(invalid_client\); check the client id \(JETON_CLIENT_ID\)"
    ):
        of(house, (client[0], "wrong")).retrieve_token(app, "sandbox")
    with pytest.raises(jeton.RequestAccessError) as forbidden:
        of(house, client).retrieve_token("sandbox", app)
    for told in ("scope, and --allow", f"the app `sandbox` and the connector `{app}`: are they swapped?", "[trace "):
        assert told in str(forbidden.value), told
    with pytest.raises(jeton.FixConfigurationError, match=r"see `jeton \w+ list`; .* swapped\? \[trace "):
        broker.retrieve_token("sandbox", app)
    path = f"/apps/{app}/connectors/sandbox/credentials"
    house.admin("PUT", path, {"client_id": "sandbox-standard", "client_secret": "wrong"})
    with pytest.raises(jeton.FixConfigurationError) as misconfigured:
        broker.retrieve_token(app, "sandbox", min_ttl=3590)
    assert misconfigured.value.code == "provider_misconfigured"
    assert "invalid_client" in str(misconfigured.value)
    assert "; an operator must mend the configuration [trace " in str(misconfigured.value)


def test_a_provider_that_is_down_is_waited_for_and_then_told(
    house: House, app: str, broker: Broker, pauses: list[float]
) -> None:
    house.connect(app, flow="over", expires_in=1)
    house.faults({"before": {"rate_limited": {"retry_after_s": 7}}})
    try:
        with pytest.raises(jeton.RetryError) as away:
            broker.retrieve_token(app, "sandbox", flow="over", min_ttl=600, wait=1)
    finally:
        house.faults({})
    assert away.value.exit_code == 75
    assert away.value.code in ("provider_unavailable", "refresh_in_progress")
    # The broker's Retry-After, as often as allowed and for no longer than patience lasts.
    assert pauses
    assert len(pauses) <= 3
    assert sum(pauses) <= 30
    assert all(pause >= 1 for pause in pauses)


def test_a_revoked_grant_names_its_page(house: House, app: str, broker: Broker) -> None:
    house.connect(app, flow="gone", expires_in=1)
    granted = house.connect(app, flow="gone-too")
    revoked = {"client_id": "sandbox-standard", "client_secret": "sandbox-secret"}
    requests.post(f"{house.provider}/revoke", data={**revoked, "token": granted["refresh_token"]}, timeout=30)
    with pytest.raises(jeton.ReauthorizeError) as parked:
        broker.retrieve_token(app, "sandbox", flow="gone-too", rejected=1)
    assert parked.value.problem.reason in ("revoked", "rejected")
    assert str(parked.value.signup_url).startswith(f"{house.url}/{app}/sandbox/signup")
    status = broker.status(app, "sandbox", flow="gone-too")
    assert status.state == "reauthorization_required"
    assert status.since is not None


def test_the_state_of_a_connection_costs_nothing(app: str, broker: Broker) -> None:
    status = broker.status(app, "sandbox")
    assert (status.state, status.generation, status.reason) == ("active", 1, None)


def test_a_bearer_that_died_is_replaced_once(house: House, app: str) -> None:
    client_id, secret = house.client(f"two-{app}"[-60:], role="superadmin", scopes=["binb:read"])
    job = of(house, (client_id, secret))
    assert job.retrieve_token(app, "sandbox").generation == 1
    first = job.bearer()
    # The bearer's own secret goes, and with it the bearer; the job has the second one by now.
    made = house.admin("POST", f"/clients/{client_id}/secrets")
    secrets = house.admin("GET", f"/clients/{client_id}")["secrets"]
    old = next(item["secret_id"] for item in secrets if item["secret_id"] != made["secret_id"])
    house.admin("DELETE", f"/clients/{client_id}/secrets/{old}")
    object.__setattr__(job.settings, "client_secret", jeton.Secret(made["client_secret"]))
    assert job.retrieve_token(app, "sandbox").generation == 1
    assert job.bearer() != first


def test_fifty_threads_get_one_refresh(house: House, app: str, broker: Broker) -> None:
    house.connect(app, flow="due", expires_in=60)
    with ThreadPoolExecutor(50) as pool:
        tokens = list(pool.map(lambda _: broker.retrieve_token(app, "sandbox", flow="due", min_ttl=600), range(50)))
    assert {token.generation for token in tokens} == {2}
    assert len({token.access_token for token in tokens}) == 1
