"""Do Airflow's connections, variables and options get tokens from the broker?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from house import House, Reply, Seen, answer, handed, scripted, signing_in

import jeton
from jeton import Broker, Secret, Settings, source

pytest.importorskip("airflow", reason="apache-airflow is not here")


from airflow.sdk.definitions.connection import Connection

from jeton.airflow import JetonSecretsBackend as backend


def test_a_connection_carries_a_token_that_the_provider_takes(house: House, app: str, broker: Broker) -> None:
    secrets = backend(broker=broker, hosts={"sandbox": "https://api.example"})
    secrets._set_connection_class(Connection)
    connection = secrets.get_connection(f"jeton/{app}/sandbox")
    assert house.whoami(connection.password) == 200
    assert (connection.conn_type, connection.host) == ("http", "https://api.example")
    assert connection.extra_dejson == {"Authorization": f"Bearer {connection.password}"}
    assert secrets.get_variable(f"jeton/{app}/sandbox/default") == connection.password
    assert secrets.get_config(f"jeton/{app}/sandbox") == connection.password


def test_http_hook_calls_the_api(house: House, app: str, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    http = pytest.importorskip("airflow.providers.http.hooks.http")
    secrets = backend(broker=broker, hosts={"sandbox": house.provider})
    secrets._set_connection_class(Connection)
    monkeypatch.setattr(http.HttpHook, "get_connection", secrets.get_connection)
    hook = http.HttpHook("GET", http_conn_id=f"jeton/{app}/sandbox")
    assert hook.run("/api/whoami").status_code == 200


def test_other_names_are_answered_without_the_network() -> None:
    with scripted(lambda _: answer({}, 500)) as server:
        secrets = backend(broker=Broker(Settings(server.url, "job", Secret("s"))))
        for name in ("postgres", "jeton", "jeton/", "jeton/acme", "jeton//github", "jeton/a/b/c/d", "aws/jeton/a/b"):
            assert secrets.get_conn_value(name) is None
            assert secrets.get_variable(name) is None
            assert secrets.get_config(name) is None
        off = backend(connections_prefix=None, variables_prefix=None, config_prefix=None)
        assert off.get_conn_value("jeton/acme/github") is off.get_variable("jeton/acme/github") is None
        assert server.seen == []
    # Nor are settings needed for them: Airflow asks while it reads its own.
    assert backend().get_config("core/fernet_key") is None
    with pytest.raises(jeton.FixConfigurationError, match="empty"):
        backend(connections_prefix="")


def test_a_token_is_asked_for_once_until_it_ends() -> None:
    with scripted(signing_in(lambda _: answer(handed()))) as server:
        secrets = backend(broker=Broker(Settings(server.url, "job", Secret("s"))), min_ttl=600)
        for _ in range(10):
            assert json.loads(secrets.get_conn_value("jeton/acme/github"))["password"] == "token-canary"
            assert secrets.get_variable("jeton/acme/github") == "token-canary"
        secrets.get_variable("jeton/acme/github/other")
        assert server.targets() == [
            "/o/token/",
            "/acme/github/binb-token?min_ttl=600",
            "/acme/github/binb-token?flow=other&min_ttl=600",
        ]


def test_a_token_is_asked_for_again_once_it_is_guaranteed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(source.time, "monotonic", lambda: clock[0])

    def slow(_: Seen) -> Reply:
        # It is as old as the question.
        clock[0] += 5
        return answer(handed())

    for min_ttl, looks in (
        (None, ((1000, 1), (4569, 1), (4571, 2), (8140, 2), (8142, 3))),
        # So much must be left whenever it is given.
        (600, ((1000, 1), (3969, 1), (3971, 2), (6940, 2), (6942, 3))),
    ):
        with scripted(signing_in(slow)) as server:
            secrets = backend(broker=Broker(Settings(server.url, "job", Secret("s"))), min_ttl=min_ttl)
            for now, calls in looks:
                clock[0] = now
                assert json.loads(secrets.get_conn_value("jeton/acme/github"))["password"] == "token-canary"
                assert secrets.get_variable("jeton/acme/github") == "token-canary"
                assert sum("binb" in target for target in server.targets()) == calls, (min_ttl, now)


def test_a_failure_is_told_where_airflow_would_say_not_found(
    house: House, app: str, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(jeton.ReauthorizeError):
        backend(broker=broker).get_conn_value(f"jeton/{app}/github")
    assert f"/{app}/github/signup" in caplog.text


def test_a_warning_says_what_to_do(house: House, app: str, caplog: pytest.LogCaptureFixture) -> None:
    for client, told in (
        ((house.superadmin[0], "wrong"), "check the client id (JETON_CLIENT_ID) and its secret"),
        (house.client(f"far-{app}"[-60:], role="superadmin", scopes=["binb:read"], allow=["a/b"]), "are they swapped?"),
    ):
        caplog.clear()
        secrets = backend(broker=Broker(Settings.from_env(house.client_environ(client))))
        with pytest.raises(jeton.RequestAccessError):
            secrets.get_variable(f"jeton/{app}/sandbox")
        assert f"the variable `jeton/{app}/sandbox`" in caplog.text
        assert told in caplog.text


def test_a_team_gets_the_tokens_of_its_apps_alone() -> None:
    with scripted(signing_in(lambda _: answer(handed()))) as server:
        broker = Broker(Settings(server.url, "job", Secret("s")))
        alike, mapped = backend(broker=broker), backend(broker=broker, team_apps={"crm": ["acme"]})
        assert alike.get_conn_value("jeton/acme/github", team_name="crm") is None
        assert alike.get_variable("jeton/acme/github", team_name="crm") is None
        assert mapped.get_variable("jeton/acme/github", team_name="data") is None
        assert server.seen == []
        assert alike.get_variable("jeton/acme/github", team_name="acme") == "token-canary"
        assert mapped.get_variable("jeton/acme/github", team_name="crm") == "token-canary"


ASK = """
import logging
logging.disable(logging.CRITICAL)
from airflow.sdk import Connection, Variable
connection = Connection.get(NAME)
print(connection.password == Variable.get(NAME), connection.conn_type)
print(connection.password)
from airflow.configuration import conf
print(conf.get("sentry", "sentry_dsn"))
"""


def test_airflow_itself_is_configured_and_asks(house: House, app: str, tmp_path: Path) -> None:
    """As its documentation says: the backend is named in the environment, and a task asks for a connection."""
    client_id, secret = house.superadmin
    kept = tmp_path / "secret"
    kept.write_text(secret)
    kwargs = {"url": house.url, "client_id": client_id, "client_secret_file": str(kept)}
    name = f"jeton/{app}/sandbox"
    environ = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__SECRETS__BACKEND": "jeton.airflow.JetonSecretsBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(kwargs),
        "AIRFLOW__SENTRY__SENTRY_DSN_SECRET": name,
    }
    script = f"NAME = {name!r}\n{ASK}"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    same, token, option = done.stdout.splitlines()[-3:]
    assert same == "True http"
    assert house.whoami(token) == 200
    assert option == token
    assert secret not in done.stdout + done.stderr
