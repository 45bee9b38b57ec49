"""What did the broker refuse, and what is to be done about it?

One class for each `action` of the broker's contract, so that a job catches what it can act on. An answer that says no
action (of a proxy in between) is classified by its status. No token and no secret is part of an error.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True)
class Problem:
    """A refusal with every field that the broker gave; absent ones are `None` or empty."""

    code: str
    detail: str
    status: int | None = None
    trace_id: str | None = None
    retry_after: float | None = None
    """Seconds after which to ask again."""
    reason: str | None = None
    since: str | None = None
    account: Any = None
    connected_by: Any = None
    signup_url: str | None = None
    """Where a person consents again; no secret is in it."""
    max_ttl: int | None = None
    current_expires_in: int | None = None
    flows: tuple[str, ...] = ()
    provider_error: str | None = None
    errors: tuple[tuple[str, str], ...] = ()
    """What is wrong in the request: place and explanation."""
    advice: str | None = None
    """What to do, in this program's words."""

    def __str__(self) -> str:
        told = f"{self.detail.rstrip('.')} ({self.code}{f': {self.reason}' if self.reason else ''})"
        for pointer, detail in self.errors:
            if detail not in self.detail:
                told += f", {pointer}: {detail}"
        if self.provider_error and self.provider_error not in told:
            told += f", the provider says {self.provider_error}"
        if self.signup_url:
            told += f": connect the account at {self.signup_url}"
        if self.advice:
            told += f"; {self.advice}"
        if self.trace_id:
            told += f" [trace {self.trace_id}]"
        return told


class JetonError(Exception):
    """A call that did not succeed. Its class says what to do; this one itself: nothing but to mend a program."""

    action: ClassVar[str | None] = None
    """The broker's word for it."""
    exit_code: ClassVar[int] = 1
    """For a program that ends with this error, as of the command line."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return str(self.problem)

    @property
    def code(self) -> str:
        """The stable name of the failure, such as `reauthorization_required`."""
        return self.problem.code

    @property
    def signup_url(self) -> str | None:
        """Where a person consents again."""
        return self.problem.signup_url

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to ask again, where the broker said so."""
        return self.problem.retry_after

    def again(self) -> JetonError:
        """The same error for another thread, which raises it by itself."""
        return type(self)(self.problem)


class RetryError(JetonError):
    """Ask again later: the broker or the provider is not well, or was not reached."""

    action = "retry"
    exit_code = 75


class ReauthorizeError(JetonError):
    """A person must consent again, at `signup_url`."""

    action = "reauthorize"
    exit_code = 78


class FixConfigurationError(JetonError):
    """An operator must mend the configuration: here, at the broker, or at the provider."""

    action = "fix_configuration"
    exit_code = 78


class RequestAccessError(JetonError):
    """The client lacks a right, or is not known."""

    action = "request_access"
    exit_code = 77


class ChangeRequestError(JetonError):
    """The call itself must change."""

    action = "change_request"
    exit_code = 1


_BY_ACTION: dict[str, type[JetonError]] = {
    str(kind.action): kind
    for kind in (RetryError, ReauthorizeError, FixConfigurationError, RequestAccessError, ChangeRequestError)
}
_SIGN_IN_ACTIONS: dict[str, type[JetonError]] = {
    "invalid_client": RequestAccessError,
    "unauthorized_client": RequestAccessError,
    "access_denied": RequestAccessError,
    "invalid_scope": FixConfigurationError,
    "invalid_target": FixConfigurationError,
    "temporarily_unavailable": RetryError,
    "server_error": RetryError,
}


# As the command line says it.
_ADVICE = {
    "invalid_client": "check the client id (JETON_CLIENT_ID) and its secret (JETON_CLIENT_SECRET, or the file or "
    "setting that stands for it)",
    "forbidden": "ask a superadmin of the broker for the right (role superadmin, scope, and --allow are what counts)",
    "app_not_found": "see `jeton app list`",
    "connector_not_found": "see `jeton connector list`",
    "credentials_missing": "store them: jeton credentials set CONNECTOR --client-id ID --client-secret-file FILE",
}
_ADVICE_OF_ACTION = {
    "fix_configuration": "an operator must mend the configuration",
    "request_access": "ask a superadmin of the broker for the right",
}


def refusal(status: int, body: bytes, retry_after: float | None) -> JetonError:
    """The error for an answer that is no success: of the broker's own routes, or of `/o/` (RFC 6749 §5.2)."""
    fields = _object(body)
    code = _text(fields, "code")
    oauth = _text(fields, "error")
    kind = _BY_ACTION.get(_text(fields, "action") or "")
    detail = _text(fields, "detail") or _text(fields, "title") or _unexplained(status)
    if code is None and oauth is not None:
        code = oauth
        kind = _SIGN_IN_ACTIONS.get(oauth)
        detail = _text(fields, "error_description") or "the broker refused to sign this client in"
    kind = kind or _of_status(status)
    return kind(
        Problem(
            code=code or f"http_{status}",
            detail=detail,
            status=status,
            trace_id=_text(fields, "trace_id"),
            retry_after=retry_after,
            reason=_text(fields, "reason"),
            since=_text(fields, "since"),
            account=fields.get("account"),
            connected_by=fields.get("connected_by"),
            signup_url=_text(fields, "signup_url"),
            max_ttl=_number(fields, "max_ttl"),
            current_expires_in=_number(fields, "current_expires_in"),
            flows=tuple(flow for flow in _list(fields, "flows") if isinstance(flow, str)),
            provider_error=_text(fields, "provider_error"),
            errors=tuple(
                (_text(item, "pointer") or "", _text(item, "detail") or "")
                for item in _list(fields, "errors")
                if isinstance(item, dict)
            ),
            advice=_ADVICE.get(code or "") or _ADVICE_OF_ACTION.get(kind.action or ""),
        )
    )


def misconfigured(detail: str) -> FixConfigurationError:
    """What is missing or wrong in this program's own settings."""
    return FixConfigurationError(Problem(code="settings", detail=detail))


def garbled(what: str) -> JetonError:
    """A success that cannot be read. What came is not repeated: it may hold a token."""
    return JetonError(Problem(code="garbled", detail=f"the answer to {what} cannot be read: is this a jeton broker?"))


def _of_status(status: int) -> type[JetonError]:
    if status in (401, 403):
        return RequestAccessError
    # No route of the broker redirects a machine, and a missing one means a wrong base URL.
    if 300 <= status <= 399 or status == 404:
        return FixConfigurationError
    if status in (408, 429) or status >= 500:
        return RetryError
    return ChangeRequestError


def _unexplained(status: int) -> str:
    if 300 <= status <= 399:
        return "the broker's address answered a redirect, which is not followed"
    if status == 404:
        return "nothing of a broker is at this address"
    return f"status {status} without an explanation"


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _number(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    return value if isinstance(value, list) else []
