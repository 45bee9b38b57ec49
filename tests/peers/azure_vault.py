"""Stands in for Azure Key Vault and its token endpoint: as the REST reference has it (api-version 7.4 and later).

azure_judge.py holds it to what Microsoft's own client takes. It listens twice, with and without TLS, since that
client speaks only TLS. Prints `ready HTTP_PORT HTTPS_PORT CERTIFICATE`; ends with its standard input.
"""

import datetime
import ipaddress
import json
import secrets
import ssl
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SECRET = "canary-azure-application-8d02c6"
APPLICATION = {"client_id": ["app"], "client_secret": [SECRET], "grant_type": ["client_credentials"]}
SCOPE = ["https://vault.azure.net/.default"]
# Of a list, where the caller asks for no fewer.
PART = 25


class Vault:
    """Secrets as lists of versions, oldest first."""

    def __init__(self):
        self.lock = threading.Lock()
        self.kept, self.deleted, self.tokens = {}, {}, set()
        self.throttled, self.denied, self.calls = 0, set(), 0
        # Somebody else writes `theirs` just before or after the next write.
        self.race = "none"


VAULT = Vault()


class Refusal(Exception):
    def __init__(self, status, code, inner=None):
        self.status = status
        error = {"code": code, "message": "no"}
        if inner:
            error["innererror"] = {"code": inner}
        self.body = {"error": error}


class Answered(Exception):
    """The answer is sent; the connection goes on, as HTTP/1.1 has it where nothing else is said."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do(self):
        length = int(self.headers.get("content-length") or 0)
        self.sent = self.rfile.read(length)
        url = urlsplit(self.path)
        self.query, segments = parse_qs(url.query), [part for part in url.path.split("/") if part]
        with VAULT.lock:
            try:
                self.answer(200, self.route(segments))
            except Refusal as no:
                self.answer(no.status, no.body)
            except Answered:
                pass

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do

    def route(self, segments):
        match (self.command, segments):
            case ("POST", ["stub", word, value]):
                if word == "throttle":
                    VAULT.throttled = int(value)
                elif word == "deny":
                    VAULT.denied = set(value.split(",")) - {"none"}
                elif word == "race":
                    VAULT.race = value
                return {"calls": VAULT.calls, "tokens": sorted(VAULT.tokens)}
            case ("POST", [_tenant, "oauth2", "v2.0", "token"]):
                return self.token()
        VAULT.calls += 1
        self.admitted()
        match (self.command, segments):
            case ("PUT", ["secrets", name]):
                self.may("set")
                return self.set(name)
            case ("GET", ["secrets", name, "versions"]):
                self.may("list")
                return self.part(name)
            case ("GET", ["secrets", name, *version]):
                self.may("get")
                return self.get(name, *version)
            case ("PATCH", ["secrets", name, *version]):
                self.may("set")
                found = self.find(name, *version)
                found["enabled"] = json.loads(self.sent)["attributes"]["enabled"]
                return self.attributes(name, found)
            case ("DELETE", ["secrets", name]):
                self.may("delete")
                VAULT.deleted[name] = self.versions(name)
                del VAULT.kept[name]
                return self.of_deleted(name)
            case ("GET", ["deletedsecrets", name]):
                return self.of_deleted(name)
            case ("POST", ["deletedsecrets", name, "recover"]):
                VAULT.kept[name] = VAULT.deleted.pop(name)
                return self.attributes(name, VAULT.kept[name][-1])
        raise Refusal(404, "NotFound")

    def token(self):
        form = parse_qs(self.sent.decode())
        if form.pop("scope", None) != SCOPE or form != APPLICATION:
            self.answer(401, {"error": "invalid_client", "error_description": "AADSTS7000215"})
            raise Answered
        token = secrets.token_urlsafe(24)
        VAULT.tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": 3599}

    def admitted(self):
        scheme, _, token = (self.headers.get("authorization") or "").partition(" ")
        if scheme != "Bearer" or token not in VAULT.tokens:
            raise Refusal(401, "Unauthorized")
        if not self.query.get("api-version"):
            raise Refusal(400, "BadParameter")
        if VAULT.throttled:
            VAULT.throttled -= 1
            raise Refusal(429, "Throttled")

    def may(self, right):
        if right in VAULT.denied:
            raise Refusal(403, "Forbidden", "ForbiddenByRbac")

    def set(self, name):
        if name in VAULT.deleted:
            raise Refusal(409, "Conflict", "ObjectIsDeletedButRecoverable")
        race, VAULT.race = VAULT.race, "none"
        if race == "before":
            self.add(name, "theirs")
        new = self.add(name, json.loads(self.sent)["value"])
        if race == "after":
            self.add(name, "theirs")
        return {"value": new["value"], **self.attributes(name, new)}

    def add(self, name, value):
        new = {"value": value, "version": secrets.token_hex(16), "enabled": True}
        VAULT.kept.setdefault(name, []).append(new)
        return new

    def get(self, name, version=None):
        found = self.find(name, version)
        if not found["enabled"]:
            raise Refusal(403, "Forbidden", "SecretDisabled")
        return {"value": found["value"], **self.attributes(name, found)}

    def versions(self, name):
        if name not in VAULT.kept:
            raise Refusal(404, "SecretNotFound")
        return VAULT.kept[name]

    def part(self, name):
        """Versions in no order of time, so many at once; the link to the next has a port and another API version."""
        known = sorted(self.versions(name), key=lambda one: one["version"])
        size = int(self.query.get("maxresults", [PART])[0])
        if not 1 <= size <= PART:
            raise Refusal(400, "BadParameter")
        begin = int(self.query.get("$skiptoken", ["0"])[0])
        next_query = f"api-version=7.2&$skiptoken={begin + size}&maxresults={size}"
        link = f"{self.base()}/secrets/{name}/versions?{next_query}" if begin + size < len(known) else None
        return {"value": [self.attributes(name, one) for one in known[begin : begin + size]], "nextLink": link}

    def find(self, name, version=None):
        found = [one for one in self.versions(name) if version in (None, one["version"])]
        if not found:
            raise Refusal(404, "SecretNotFound")
        return found[-1]

    def attributes(self, name, one):
        attributes = {"enabled": one["enabled"], "created": 1, "updated": 1, "recoveryLevel": "Recoverable"}
        return {"id": f"{self.base()}/secrets/{name}/{one['version']}", "attributes": attributes}

    def of_deleted(self, name):
        if name not in VAULT.deleted:
            raise Refusal(404, "SecretNotFound")
        recovery = {"recoveryId": f"{self.base()}/deletedsecrets/{name}", "deletedDate": 1, "scheduledPurgeDate": 2}
        return {**self.attributes(name, VAULT.deleted[name][-1]), **recovery}

    def base(self):
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        return f"{scheme}://{self.headers['host']}"

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        if status == 401:
            challenge = f'Bearer authorization="{self.base()}/tenant", resource="https://vault.azure.net"'
            self.send_header("www-authenticate", challenge)
        if status == 429:
            self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in for Azure Key Vault")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tempfile.NamedTemporaryFile(suffix=".pem")
    file.write(made.public_bytes(serialization.Encoding.PEM) + private)
    file.flush()
    return file


def main():
    file = certificate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file.name)
    plain, secure = (ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2))
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    for server in (plain, secure):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", plain.server_address[1], secure.server_address[1], file.name, flush=True)
    sys.stdin.read()


main()
