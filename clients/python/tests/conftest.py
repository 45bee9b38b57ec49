from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest
from house import ROOT, House, program

import jeton
from jeton import broker as broker_module
from jeton import wire

# Airflow makes files where it is imported, and dlt asks it for secrets where it is there.
_airflow_home = tempfile.TemporaryDirectory(prefix="airflow-")
# For programs that tests start.
os.environ["PYTHONPATH"] = str(ROOT / "clients/python/src")
os.environ["AIRFLOW_HOME"] = _airflow_home.name
os.environ["PROVIDERS__ENABLE_AIRFLOW_SECRETS"] = "false"
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One broker and provider for all tests; each test has an app of its own."""
    built = program()
    if built is None:
        pytest.skip("no broker: build it (`cargo build`) or name it (`JETON_PROGRAM`)")
    house = House(tmp_path_factory.mktemp("house"), built)
    try:
        house.start()
        yield house
    finally:
        house.stop()


@pytest.fixture
def app(house: House, request: pytest.FixtureRequest) -> str:
    """A new app with Alice's sandbox account."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")
    name = name.removeprefix("test-")[-60:].strip("-")
    house.app(name)
    house.connect(name)
    return name


@pytest.fixture
def broker(house: House) -> jeton.Broker:
    return jeton.Broker(jeton.Settings.from_env(house.client_environ()))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads what another one, or its caller, has set."""
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET", "CLIENT_SECRET_FILE", "CREDENTIAL"):
        monkeypatch.delenv(f"JETON_{name}", raising=False)
    monkeypatch.setattr(broker_module, "_default", None)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that calls would have made; none is made."""
    made: list[float] = []
    monkeypatch.setattr(wire, "pause", made.append)
    return made
