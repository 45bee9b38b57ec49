"""A broker and a provider as processes of their own, and servers that answer what a test wants."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

ROOT = Path(__file__).resolve().parents[3]
CALLBACK = "http://127.0.0.1:9/callback"


def program() -> str | None:
    """The built broker: `JETON_PROGRAM`, else where cargo puts it."""
    built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "jeton"
    return os.environ.get("JETON_PROGRAM") or (str(built) if built.exists() else shutil.which("jeton"))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code < 500
    except requests.ConnectionError:
        return False


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to pass"
        time.sleep(0.02)


class House:
    """A broker with a superadmin, and the sandbox as provider of its connectors."""

    def __init__(self, folder: Path, jeton: str) -> None:
        self.jeton = jeton
        self.folder = folder
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("JETON")}
        self.url = f"http://127.0.0.1:{_free_port()}"
        self.provider = f"http://localhost:{_free_port()}"
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        made = json.loads(self.run("init", "--json").stdout)
        self.superadmin = (made["client_id"], made["client_secret"])
        self._spawn("sandbox", "--listen", self.provider.replace("http://localhost", "127.0.0.1"))
        self._broker = self.serve()
        wait_for(lambda: answers(self.provider), "the sandbox")

    def serve(self) -> subprocess.Popen[bytes]:
        serving = self._spawn("serve", "--listen", self.url.removeprefix("http://"))
        wait_for(lambda: answers(f"{self.url}/healthz"), "the broker")
        return serving

    def stop(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(30)

    def _spawn(self, *words: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{words[0]}.log").open("ab")
        process = subprocess.Popen(
            [self.jeton, *words], cwd=self.folder, env=self._server_environ(), stdout=log, stderr=log
        )
        self._running.append(process)
        return process

    def _server_environ(self) -> dict[str, str]:
        bases = {f"JETON_CONNECTORS__{name}__BASE_URL": self.provider for name in ("SANDBOX", "GITHUB", "SALESFORCE")}
        return {
            **self.environ,
            **bases,
            "JETON_OUTBOUND__ALLOW_LOOPBACK": "true",
            "JETON_REFRESH__BACKGROUND": "false",
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.jeton, *words], cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    def client_environ(self, client: tuple[str, str] | None = None) -> dict[str, str]:
        """What a job finds in its environment."""
        client_id, secret = client or self.superadmin
        return {"JETON_URL": self.url, "JETON_CLIENT_ID": client_id, "JETON_CLIENT_SECRET": secret}

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """An administrative request that must succeed."""
        minted = requests.post(
            f"{self.url}/o/token/", auth=self.superadmin, data={"grant_type": "client_credentials"}, timeout=30
        )
        bearer = {"Authorization": f"Bearer {minted.json()['access_token']}"}
        answer = requests.request(method, f"{self.url}/admin/v1{path}", headers=bearer, json=body, timeout=30)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def client(self, identifier: str, **more: Any) -> tuple[str, str]:
        """A new client: its id and secret."""
        made = self.admin("POST", "/clients", {"identifier": identifier, "kind": "service", **more})
        return made["client_id"], made["client_secret"]

    def app(self, app: str) -> None:
        self.admin("POST", "/apps", {"id": app, "name": app})

    def connect(
        self, app: str, connector: str = "sandbox", *, flow: str = "default", expires_in: int | None = 3600
    ) -> dict[str, Any]:
        """Alice's account for an app, as an import; what the provider had granted."""
        client_id = {"github": "sandbox-github", "salesforce": "sandbox-salesforce"}.get(connector, "sandbox-standard")
        credentials = {"client_id": client_id, "client_secret": "sandbox-secret"}
        self.admin("PUT", f"/apps/{app}/connectors/{connector}/credentials", credentials)
        granted = self.consent(client_id)
        grant = {name: granted.get(name) for name in ("access_token", "refresh_token") if granted.get(name)}
        lives = {} if expires_in is None else {"expires_in": expires_in}
        extra = {"extra": {"instance_url": granted["instance_url"]}} if "instance_url" in granted else {}
        body = {**grant, **lives, **extra, "flow": flow}
        self.admin("POST", f"/apps/{app}/connections/{connector}/import", body)
        return granted

    def consent(self, client_id: str) -> dict[str, Any]:
        paths = {
            "sandbox-github": ("/login/oauth/authorize", "/login/oauth/access_token"),
            "sandbox-salesforce": ("/services/oauth2/authorize", "/services/oauth2/token"),
        }
        authorize, token = paths.get(client_id, ("/authorize", "/token"))
        asking = {"client_id": client_id, "redirect_uri": CALLBACK, "response_type": "code", "state": "s"}
        asking |= {"scope": "read", "access_type": "offline", "user": "alice", "decision": "approve"}
        back = requests.post(f"{self.provider}{authorize}", data=asking, allow_redirects=False, timeout=30)
        code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
        form = {"client_id": client_id, "client_secret": "sandbox-secret", "code": code, "redirect_uri": CALLBACK}
        form["grant_type"] = "authorization_code"
        accept = {"Accept": "application/json"}
        granted: dict[str, Any] = requests.post(f"{self.provider}{token}", data=form, headers=accept, timeout=30).json()
        return granted

    def faults(self, faults: dict[str, Any], client_id: str = "sandbox-standard") -> None:
        answer = requests.put(
            f"{self.provider}/_sandbox/faults", json={"client_id": client_id, "faults": faults}, timeout=30
        )
        assert answer.ok, answer.text

    def revoke(self, user: str = "alice") -> None:
        assert requests.post(f"{self.provider}/_sandbox/revoke", json={"user": user}, timeout=30).ok

    def whoami(self, token: str) -> int:
        """What the provider's API says to a token."""
        bearer = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{self.provider}/api/whoami", headers=bearer, timeout=30).status_code


class Seen:
    """A request as a scripted server saw it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.method = handler.command
        self.target = handler.path
        self.headers = handler.headers
        self.body = body.decode()


Reply = tuple[int, dict[str, str], bytes]


class Scripted:
    """A server on loopback that answers what `script` says, and remembers what it was asked."""

    def __init__(self, script: Callable[[Seen], Reply]) -> None:
        self.seen: list[Seen] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen = Seen(self, body)
                outer.seen.append(seen)
                status, headers, content = script(seen)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that went away is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def targets(self) -> list[str]:
        return [seen.target for seen in self.seen]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def scripted(script: Callable[[Seen], Reply]) -> Iterator[Scripted]:
    server = Scripted(script)
    try:
        yield server
    finally:
        server.stop()


def answer(value: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return status, {"Content-Type": "application/json", **named}, json.dumps(value).encode()


def handed(**more: Any) -> dict[str, Any]:
    """An answer of binb-token."""
    return {
        "access_token": "token-canary",
        "token_type": "Bearer",
        "expires_in": 3600,
        "expires_at": "2026-11-24T10:00:00Z",
        "guaranteed_until": "2026-11-24T09:59:30Z",
        "scope": "read",
        "app_id": "acme",
        "connector": "github",
        "flow": "default",
        "generation": 1,
        "refreshed": False,
        "extra": {},
        "degraded": None,
        **more,
    }


def signing_in(then: Callable[[Seen], Reply], *, lives: int = 3600) -> Callable[[Seen], Reply]:
    """A broker that signs in whoever comes, and answers `then` to the rest."""

    def script(seen: Seen) -> Reply:
        if seen.target == "/o/token/":
            return answer({"access_token": "bearer-canary", "token_type": "Bearer", "expires_in": lives})
        return then(seen)

    return script
