"""The allow-list: codes that prove the service did not begin, one line of reason each.

*Would a repeat after this code ever reboot a server twice?* Only codes for which the answer is no,
by what the vendor's pages say of them, stand here. Everything else stays ambiguous: Ecs.0227
("reboot failed" says it was begun), Ecs.0615, 1000 to 1002 and Common.0001 (internal errors in the
middle of the work), Ecs.0002 and Common.0022 (a task that "could not be submitted" may have been),
Ecs.0000 and 0004 (say too little).

Sources: "Error Codes" of the ECS API reference (it warns that its HTTP status may be inaccurate, so
for codes of the service the status does not decide); "Error Codes" of the API Signing Guide for
APIGW.*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from runner.model.job import Refusal


class Verdict(Enum):
    """What a code proves about the request it answers."""

    THROTTLED = "throttled"
    DENIED = "denied"
    REFUSED = "refused"
    SERVERS = "refused because of servers"


@dataclass(frozen=True, slots=True)
class Proof:
    """A code's verdict, the HTTP statuses with which it holds, and why it is safe."""

    verdict: Verdict
    statuses: range
    why: str


_ERROR = range(400, 600)
_CLIENT = range(400, 500)
_ANY = range(200, 600)

_T, _D, _R, _S = Verdict.THROTTLED, Verdict.DENIED, Verdict.REFUSED, Verdict.SERVERS

_TABLE: tuple[tuple[str, Verdict, range, str], ...] = (
    # Flow control stands in front of the service.
    ("Common.0024", _T, _ANY, "request flow limit; comes as 202, a body without job id"),
    ("Common.1503", _T, _ANY, "API flow limit; 429 or, on one of the clouds, 503"),
    ("APIGW.0308", _T, _ANY, "the gateway counted the request and did not forward it"),
    # The gateway answers before it forwards. 5xx is left out: there it may have forwarded first.
    ("APIGW.0301", _D, _CLIENT, "wrong signature or token: not forwarded"),
    ("APIGW.0302", _D, _CLIENT, "user on a black list: not forwarded"),
    ("APIGW.0303", _D, _CLIENT, "wrong app authentication: not forwarded"),
    ("APIGW.0304", _D, _CLIENT, "app not authorised: not forwarded"),
    ("APIGW.0305", _D, _CLIENT, "wrong authentication: not forwarded"),
    ("APIGW.0306", _D, _CLIENT, "access denied: not forwarded"),
    ("APIGW.0307", _D, _CLIENT, "token expired or of another region: not forwarded"),
    ("APIGW.0310", _D, _CLIENT, "project unavailable: not forwarded"),
    ("APIGW.0401", _D, _CLIENT, "unknown client address: not forwarded"),
    ("APIGW.0402", _D, _CLIENT, "client address not allowed: not forwarded"),
    ("APIGW.0801", _D, _CLIENT, "service not available in the region: not forwarded"),
    ("APIGW.0802", _D, _CLIENT, "user forbidden in the region: not forwarded"),
    ("APIGW.0101", _R, _ERROR, "no such API: there is nothing to forward to"),
    ("APIGW.0103", _R, _ERROR, "no such backend: there is nothing to forward to"),
    # The same code with 502 and 504 means "backend unavailable" and "backend timeout":
    # those prove nothing.
    ("APIGW.0201", _R, _CLIENT, "request malformed or too large: not forwarded"),
    # The service checks who asks before it looks at what is asked.
    ("Common.0013", _D, _ERROR, "invalid token"),
    ("Common.0018", _D, _ERROR, "the token is of another project"),
    ("Ecs.0023", _D, _ERROR, "the token is of another project"),
    ("Ecs.0003", _D, _ERROR, "no permission, or the account is limited"),
    ("Ecs.0110", _D, _ERROR, "not permitted for this client"),
    (
        "PolicyNotAuthorized",
        _D,
        range(403, 404),
        "a policy does not allow the action (type of a NeutronError)",
    ),
    ("EPS.0003", _D, _CLIENT, "no permission for the enterprise project"),
    ("IAM.0003", _D, _CLIENT, "no permission"),
    # The account is checked with the permissions.
    ("CBC.0150", _D, _CLIENT, "account: in arrears"),
    ("Ecs.0066", _D, _ERROR, "account: real-name authentication missing"),
    ("Ecs.0067", _D, _ERROR, "account: balance"),
    ("Ecs.0068", _D, _ERROR, "account: partner"),
    ("Ecs.0069", _D, _ERROR, "account: payment"),
    ("Ecs.0070", _D, _ERROR, "account: budget"),
    ("Ecs.0071", _D, _ERROR, "account suspended"),
    # Then it checks the request as a whole.
    (
        "Ecs.0005",
        _R,
        _ERROR,
        "invalid parameters, for example an id that is no UUID: rejected as a whole",
    ),
    ("Ecs.0118", _R, _ERROR, "too many servers in one call: rejected as a whole"),
    ("Common.0002", _R, _ERROR, "no body: nothing was asked"),
    # Then the servers. On a first try these mean "not started"; after a lost answer they
    # are evidence instead.
    ("Ecs.0030", _S, _ERROR, "server frozen"),
    ("Ecs.0100", _S, _ERROR, "server's state does not allow it"),
    ("Ecs.0114", _S, _ERROR, "no such server"),
    ("Ecs.0614", _S, _ERROR, "no such server"),
    ("Ecs.0603", _S, _ERROR, "another task runs on the server; documented with HTTP 501"),
    ("Ecs.0605", _S, _ERROR, "server locked"),
)

PROOFS = {code: Proof(verdict, statuses, why) for code, verdict, statuses, why in _TABLE}

REFUSALS = {
    "Ecs.0030": Refusal.FROZEN,
    "Ecs.0100": Refusal.NOT_ACTIVE,
    "Ecs.0114": Refusal.MISSING,
    "Ecs.0118": Refusal.TOO_MANY,
    "Ecs.0603": Refusal.BUSY,
    "Ecs.0605": Refusal.LOCKED,
    "Ecs.0614": Refusal.MISSING,
}
"""What a refusal is about, where a code tells more than that."""

BATCH_FAILED = "Ecs.0611"
"""The batch as a whole failed; proves only what its details prove."""

_GATEWAY = re.compile(r"APIG\.(\d{4})")
_POLICY_ENGINE = re.compile(r"Pdp\.\d{4}", re.IGNORECASE)
_FRONT = re.compile(r"(?:APIGW|Common)\.\d{4}")


def same(code: str) -> str:
    """The code as the table has it: dedicated gateways say `APIG.` where the shared one
    says `APIGW.`.
    """
    match = _GATEWAY.fullmatch(code)
    return f"APIGW.{match[1]}" if match else code


def proof(code: str | None, status: int) -> Proof | None:
    """What this code proves with this HTTP status, or None."""
    if code is None:
        return None
    found = PROOFS.get(same(code))
    if found and status in found.statuses:
        return found
    if status in _ERROR and _POLICY_ENGINE.fullmatch(code):
        return Proof(Verdict.DENIED, _ERROR, "the policy engine does not allow the action")
    if status == 429 and _FRONT.fullmatch(same(code)):
        return Proof(
            Verdict.THROTTLED, range(429, 430), "429 with a code of the gateway or the flow control"
        )
    return None
