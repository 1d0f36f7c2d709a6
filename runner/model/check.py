"""A readiness check as a schedule holds it: what a server is asked, and what it must answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field as Bounds
from pydantic import StringConstraints

from runner.model.bounds import Line, Statuses
from runner.model.patterns import HOST_PATTERN, PATH_PATTERN
from runner.model.shape import Shaped

CheckKind = Literal["tcp", "http", "ssh_banner"]
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Check(Shaped):
    """One question to a server's own address.

    `tcp`: the port takes a connection. `ssh_banner`: an SSH server says its version there.
    `http`: a GET of `path` is answered with one of `status`, and `body` stands in the
    answer if it is not empty; `host` is the `Host` header and the name that the certificate
    is verified for, empty for the address itself. The fields after `port` are those of
    `http` and empty for the others.
    """

    kind: CheckKind
    port: Annotated[int, Bounds(ge=1, le=65_535)]
    scheme: Literal["", "http", "https"] = ""
    path: Annotated[str, StringConstraints(pattern=f"{PATH_PATTERN}|^$")] = ""
    host: Annotated[str, StringConstraints(pattern=f"{HOST_PATTERN}|^$")] = ""
    verify: bool = True
    status: Statuses = ()
    body: Line = ""

    def __str__(self) -> str:
        """`tcp 443`, `ssh_banner 22`, `GET https://app.example.com/health is 200`."""
        if self.kind != "http":
            return f"{self.kind} {self.port}"
        port = "" if self.port == DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        said = " or ".join(map(str, self.status))
        extra = f" with {self.body!r}" if self.body else ""
        trust = "" if self.verify or self.scheme == "http" else ", certificate not verified"
        return (
            f"GET {self.scheme}://{self.host or 'address'}{port}{self.path} is {said}{extra}{trust}"
        )
