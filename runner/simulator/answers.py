"""Answers of the simulated cloud: bodies as the documentation and recordings show them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pydantic_core import to_json


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer. `code` is the error code in its body, for the log."""

    status: int
    body: bytes
    content_type: str = "application/json"
    code: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Declined(Exception):
    """A request that is not carried out: `response` is its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.code)
        self.response = response


def compact(value: object) -> bytes:
    """JSON without blanks, as UTF-8."""
    return to_json(value)


def ok(value: object, status: int = 200, **headers: str) -> Response:
    """A success. Keyword names become header names: `x_subject_token` is `X-Subject-Token`."""
    named = tuple((name.replace("_", "-").title(), text) for name, text in headers.items())
    return Response(status, compact(value), headers=named)


# The texts are those of the page "Error Codes" of the ECS API, shortened where they are long.
ECS_TEXTS = {
    "Common.0001": (500, "System exception."),
    "Common.0002": (400, "The request body is empty."),
    "Common.0011": (400, "Failed to query system tasks."),
    "Common.0018": (400, "The project ID in the token is inconsistent with that in the URL."),
    "Common.0024": (202, "Flow limit exceeded."),
    "Common.1503": (429, "The number of requests exceeds the flow limit. Try again later."),
    "Ecs.0000": (400, "Request error. Try again later or contact customer service."),
    "Ecs.0005": (400, "Invalid parameters."),
    "Ecs.0023": (400, "The project ID in the token is different from that in the URL."),
    "Ecs.0030": (400, "The ECS has been frozen."),
    "Ecs.0100": (
        400,
        (
            "The ECS status does not meet requirements. Make the ECS in the required status and "
            "try again."
        ),
    ),
    "Ecs.0114": (404, "The ECS does not exist."),
    "Ecs.0118": (400, "The number of ECSs to be operated exceeds the upper limit."),
    "Ecs.0227": (400, "Failed to restart the ECS."),
    "Ecs.0313": (400, "Failed to query the ECS group."),
    "Ecs.0603": (501, "Another command is being executed on the ECS. Try again in 1 minute."),
    "Ecs.0605": (400, "The ECS has been locked."),
    "Ecs.0611": (400, "Batch operation failed."),
    "Ecs.0614": (404, "The ECS does not exist."),
    "Pdp.0001": (403, "Policy does not allow the action to be performed."),
}


def ecs_error(
    code: str,
    message: str | None = None,
    *,
    status: int | None = None,
    details: list[dict[str, str]] | None = None,
    internal: list[dict[str, str]] | None = None,
) -> Response:
    """Shape (a): `{"error": {"message", "code", "details"?}}`, plus `internalError` where
    servers are named.
    """
    usual, text = ECS_TEXTS.get(code, (400, "Request error."))
    error: dict[str, Any] = {"message": message or text, "code": code}
    if details is not None:
        error["details"] = details
    body = {"error": error} if internal is None else {"error": error, "internalError": internal}
    return Response(status or usual, compact(body), code=code)


def invalid(detail: str) -> Declined:
    """A request with a parameter that is wrong: `detail` says which."""
    return Declined(ecs_error("Ecs.0005", details=[{"code": "Ecs.0005", "message": detail}]))


def gateway_error(status: int, code: str, message: str, request_id: str) -> Response:
    """Shape (b): the API gateway's `{"error_msg", "error_code", "request_id"}`."""
    body = {"error_msg": message, "error_code": code, "request_id": request_id}
    return Response(status, compact(body), code=code)


def flat_error(code: str, status: int | None = None) -> Response:
    """Shape (d): the job query's `{"message", "code"}`."""
    usual, text = ECS_TEXTS[code]
    return Response(status or usual, compact({"message": text, "code": code}), code=code)


def nova_error(status: int, word: str, message: str) -> Response:
    """Shape (e): `{"itemNotFound": {"code": 404, "message"}}`."""
    return Response(status, compact({word: {"code": status, "message": message}}), code=word)


def keystone_error(status: int, title: str, message: str) -> Response:
    """Shape (f): `{"error": {"code": 401, "message", "title"}}` with an integer code."""
    return Response(
        status,
        compact({"error": {"code": status, "message": message, "title": title}}),
        code=str(status),
    )


def proxy_page(status: int, title: str) -> Response:
    """Shape (j): what a proxy in front says when it gives up."""
    page = (
        f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} "
        f"{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(status, page.encode(), "text/html", code=str(status))


def throttled(
    request_id: str,
    status: int,
    code: str,
    wait_s: int | None = None,
    limit: int = 60,
    window: timedelta = timedelta(minutes=1),
) -> Response:
    """A flow-control answer. APIGW.0308 tells the window in its text, as recorded; the ECS
    codes do not.

    `wait_s`: what `Retry-After` says, None for no such header.
    """
    if code == "APIGW.0308":
        seconds = round(window.total_seconds())
        time = f"{seconds} second" if seconds % 60 else f"{seconds // 60} minute"
        text = (
            f"The throttling threshold has been reached: policy user over "
            f"ratelimit,limit:{limit},time:{time}"
        )
        response = gateway_error(status, code, text, request_id)
    else:
        response = ecs_error(code, status=status)
    return (
        response if wait_s is None else replace(response, headers=(("Retry-After", str(wait_s)),))
    )
