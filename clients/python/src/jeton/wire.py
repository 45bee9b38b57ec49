"""How does one request reach the broker, and when is it sent again?

Promises: no redirect is followed, nothing of the environment (proxies, `.netrc`) changes where a credential goes, an
answer is read up to a bound, and what failed is told without a header of the request.

Each exchange has a connection of its own: a job asks about once an hour, and nothing is shared between threads or
inherited by a forked process.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, ReadTimeoutError

from .errors import FixConfigurationError, JetonError, Problem, RetryError, garbled, refusal
from .secret import Secret
from .settings import Settings

_ANSWER_LIMIT = 8 * 1024 * 1024
_WRAPPINGS = 20
_AGENT = "jeton-client-python/0.1.0"

pause = time.sleep


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    retry_after: float | None
    body: bytes = dataclasses.field(repr=False)

    def asks_to_wait(self) -> bool:
        return self.status in (429, 503)

    def error(self) -> JetonError:
        return refusal(self.status, self.body, self.retry_after)


class Header(AuthBase):
    """An `Authorization` header; as an object, so that no traceback with local variables shows it."""

    def __init__(self, scheme: str, credential: str) -> None:
        self._value = Secret(f"{scheme} {credential}")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


class Patience:
    """What is left of one call's repetitions."""

    def __init__(self, settings: Settings) -> None:
        self._repetitions = settings.retries
        self._budget = settings.patience
        self._next = settings.first_pause

    def wait(self, asked: float | None) -> bool:
        """Pauses before the next repetition; false where the call has ended.

        A broker that asks for more time than is left is believed: sending earlier would only be refused again.
        """
        seconds = self._next if asked is None else asked
        if self._repetitions == 0 or seconds > self._budget:
            return False
        self._repetitions -= 1
        self._budget -= seconds
        self._next *= 2
        pause(seconds)
        return True


class _TooLong(requests.RequestException):
    pass


class Silence(RetryError):
    """No answer within the time given; asking again would only take as long once more."""


def persist(settings: Settings, ask: Callable[[], Answer]) -> Answer:
    """Asks until there is an answer that does not say to wait, or patience ends. For calls that may be repeated."""
    patience = Patience(settings)
    while True:
        try:
            answer = ask()
        except Silence:
            raise
        except RetryError:
            if not patience.wait(None):
                raise
            continue
        if not (answer.asks_to_wait() and patience.wait(answer.retry_after)):
            return answer


def exchange(
    settings: Settings,
    method: str,
    path: str,
    header: Header,
    *,
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> Answer:
    """Sends one request and reads its answer, whatever the status."""
    problem: JetonError
    try:
        return _exchange(settings, method, path, header, {"params": params, "form": form})
    except (requests.RequestException, HTTPError) as error:
        problem = _unreached(settings, error)
    # Raised here, where the failed request is no longer in sight of whoever prints the error.
    raise problem


def _exchange(
    settings: Settings,
    method: str,
    path: str,
    header: Header,
    sent: Mapping[str, Mapping[str, str] | None],
) -> Answer:
    deadline = time.monotonic() + settings.timeout
    with requests.Session() as session:
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers["User-Agent"] = _AGENT
        session.headers["Accept"] = "application/json"
        with session.request(
            method,
            settings.url + path,
            params=sent["params"],
            data=sent["form"],
            auth=header,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            allow_redirects=False,
            stream=True,
            verify=settings.ca_file or True,
        ) as response:
            return Answer(response.status_code, _retry_after(response), read(response, _ANSWER_LIMIT, deadline))


def read(response: requests.Response, limit: int, deadline: float) -> bytes:
    """The body, up to a bound in bytes and in time (`time.monotonic`)."""
    body = bytearray()
    for chunk in _chunks(response):
        body += chunk
        if len(body) > limit:
            raise _TooLong
        if time.monotonic() > deadline:
            raise requests.ReadTimeout("the answer trickles")
    return bytes(body)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    # What there is, at once: `iter_content` would wait for a whole chunk, and a trickle for ever.
    read1 = getattr(response.raw, "read1", None)
    if read1 is None:
        yield from response.iter_content(16 * 1024)
        return
    while chunk := read1(16 * 1024, decode_content=True):
        yield chunk


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _unreached(settings: Settings, error: Exception) -> JetonError:
    if isinstance(error, requests.exceptions.SSLError):
        detail = f"{settings.url} has no certificate that this machine believes: {_cause(error)}"
        return FixConfigurationError(Problem(code="certificate", detail=detail))
    if isinstance(error, _TooLong):
        return garbled("a call")
    # Connecting costs little, and may be tried again.
    if isinstance(error, (requests.ReadTimeout, ReadTimeoutError)):
        return Silence(
            Problem(code="unreachable", detail=f"{settings.url} did not answer within {settings.timeout:g} s")
        )
    return RetryError(Problem(code="unreachable", detail=f"{settings.url} was not reached: {_cause(error)}"))


def _cause(error: BaseException) -> str:
    """What the system said, found among the errors that libraries wrap around it."""
    seen = [error]
    for inner in seen:
        if isinstance(inner, OSError) and inner.strerror and not isinstance(inner, requests.RequestException):
            return inner.strerror
        if len(seen) < _WRAPPINGS:
            within = [*inner.args, getattr(inner, "reason", None), inner.__cause__, inner.__context__]
            seen += [each for each in within if isinstance(each, BaseException)]
    return type(error).__name__
