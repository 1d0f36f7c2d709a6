"""Error bodies of the vendor's services, in all their shapes, as one type. Pure.

Shapes (API reference of ECS, "Returned Values for General Requests" and the error pages of
the other services): `{"error": {...}}`, `{"error_code", "error_msg"}`, `{"errorCode",
"errorMsg"}`, `{"code", "message"}`, Nova's `{"itemNotFound": {...}}`, Keystone's integer
code, Neutron's `type`, Cloud Eye's nested ones, the batch answer with `internalError`, and
whatever proxies say in HTML or not at all.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.inputs.json_text import TooMuchJson, parse_json, why_no_json
from runner.net.secret import Scrub, no_scrub
from runner.net.text import tidy
from runner.net.wire import Reply

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,300})", re.IGNORECASE)
_TAG = re.compile(r"<(?:style|script)\b[^<]*|<[^<>]{0,2000}>", re.IGNORECASE)
_MAX_DETAILS = 2000
_AUTHORIZATION = "encoded_authorization_message"
_FLAT = ("error_code", "errorCode", "code")


@dataclass(frozen=True, slots=True)
class Detail:
    """One part of an error. `server_id` is set in `internalError` only."""

    code: str | None
    message: str = ""
    server_id: str | None = None


@dataclass(frozen=True, slots=True)
class ApiError:
    """What an error answer says. `code` is None where it names none (HTML, empty bodies).

    Texts are one line of at most 500 characters. `denied`: it carries an authorisation verdict
    (`encoded_authorization_message`). `did_some`: it also lists servers for which the batch went
    through. `is_json` is False for bodies that no service of ours wrote; then `answered` says what
    came, `is_foreign` that asking again is useless, and `is_too_much` that it is JSON over the
    bounds of `inputs.json_text`. `in_object`: code and message stand in an object of their own, as
    the services write them.
    """

    status: int
    code: str | None
    message: str
    details: tuple[Detail, ...] = ()
    request_id: str | None = None
    is_json: bool = True
    denied: bool = False
    did_some: bool = False
    answered: str = "something that is not JSON"
    in_object: bool = False
    is_foreign: bool = False
    is_too_much: bool = False

    @property
    def says(self) -> str:
        """The message; empty where the answer has none."""
        return "" if self.message == f"HTTP {self.status}" else self.message

    @property
    def codes(self) -> tuple[str, ...]:
        """The outer code and those of the details, each once."""
        found = [self.code, *(d.code for d in self.details)]
        return tuple(dict.fromkeys(c for c in found if c))

    @property
    def sentence(self) -> str:
        """Code and message in one line, and where there are some, the first details."""
        extra = "; ".join(
            " ".join(filter(None, (d.server_id, d.code, d.message))) for d in self.details[:3]
        )
        head = f"{self.code}: {self.message}" if self.code else self.message
        return tidy(f"{head} ({extra})" if extra else head)


def read_error(reply: Reply, scrub: Scrub = no_scrub) -> ApiError:
    """The error of an answer, whatever its shape. Never raises. `scrub` takes our secrets
    out of its texts.
    """
    try:
        value = parse_json(reply.body)
    except ValueError as error:
        return _not_json(reply, scrub, error)
    if not isinstance(value, dict):
        return ApiError(
            reply.status, None, f"HTTP {reply.status}", request_id=reply.request_id, is_json=False
        )
    code, message, details = _top(value)
    internal = value.get("internalError")
    details += tuple(_detail(item) for item in _list(internal))
    return ApiError(
        reply.status,
        _code(code),
        _text(message, scrub) or f"HTTP {reply.status}",
        tuple(Detail(d.code, _text(d.message, scrub), d.server_id) for d in details),
        request_id=reply.request_id or _text(value.get("request_id"), scrub)[:64] or None,
        denied=any(isinstance(v, dict) and v.get(_AUTHORIZATION) for v in (value, *value.values())),
        did_some=bool(value.get("response")),
        in_object=not any(value.get(key) is not None for key in _FLAT),
    )


def _top(value: Mapping[str, Any]) -> tuple[Any, Any, tuple[Detail, ...]]:
    """Code, message and details, looked for in the order of the vendor's SDK, then in the
    nested objects.
    """
    for flat, text in (("error_code", "error_msg"), ("errorCode", "errorMsg")):
        if value.get(flat) is not None:
            return value[flat], value.get(text), _details(value.get("details"))
    error = value.get("error")
    if isinstance(error, dict):
        return error.get("code"), error.get("message"), _details(error.get("details"))
    nested = value.get("details")
    if isinstance(nested, dict) and nested.get("code") is not None:
        return nested["code"], value.get("message") or nested.get("details"), ()
    message = value.get("message")
    if isinstance(message, dict):
        return message.get("code", value.get("http_code")), message.get("details"), ()
    if value.get("code") is not None or message is not None:
        return value.get("code"), message, _details(nested)
    for name, inner in value.items():
        if isinstance(inner, dict) and ("message" in inner or "code" in inner):
            code = inner.get("code", inner.get("type", name))
            return code, inner.get("message"), _details(inner.get("details"))
    return None, error if isinstance(error, str) else None, ()


def _details(value: Any) -> tuple[Detail, ...]:
    if isinstance(value, dict):
        return (_detail(value),)
    return tuple(_detail(item) for item in _list(value))


def _detail(item: Any) -> Detail:
    if not isinstance(item, dict):
        return Detail(None, str(item))
    code = item.get("code", item.get("error_code"))
    message = item.get("message", item.get("error_message", item.get("error_msg")))
    server = item.get("id")
    return Detail(
        _code(code),
        "" if message is None else str(message),
        server if isinstance(server, str) else None,
    )


def _list(value: Any) -> list[Any]:
    """The items of a list; of an endless one the first, and a code that nobody knows
    for the rest.
    """
    if not isinstance(value, list):
        return []
    return (
        value if len(value) <= _MAX_DETAILS else [*value[:_MAX_DETAILS], {"code": "TooManyDetails"}]
    )


def _code(value: Any) -> str | None:
    """A code that looks like one; integers as text. Anything else is no code: it
    decides nothing.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip() if isinstance(value, str) or abs(value) < 10**9 else ""
    return text if _CODE.fullmatch(text) else None


def _text(value: Any, scrub: Scrub) -> str:
    return "" if value is None else tidy(scrub(str(value)))


def words_of_page(page: str) -> str:
    """Return the title of a page of HTML, or its words where it has none."""
    return _title(page) or html.unescape(" ".join(_TAG.sub(" ", page).split()))


def _title(page: str) -> str:
    title = _TITLE.search(page)
    return html.unescape(title[1].strip()) if title else ""


def _not_json(reply: Reply, scrub: Scrub, why: ValueError) -> ApiError:
    text = reply.body[:20_000].decode("utf-8", "replace").strip()
    shown = text
    if text.startswith("<"):
        shown = _title(text) or "a page of HTML"
    message = f"HTTP {reply.status}" + (
        f" ({tidy(scrub(shown), 200)})" if shown else " without a body"
    )
    is_text = bool(text) and text[0] not in "{[" and reply.status not in (401, 403)
    return ApiError(
        reply.status,
        None,
        message,
        request_id=reply.request_id,
        is_json=False,
        answered=why_no_json(why),
        is_too_much=isinstance(why, TooMuchJson),
        is_foreign=text.startswith("<") or is_text,
    )
