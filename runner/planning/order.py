"""In which order the servers of a group go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from operator import attrgetter
from typing import Literal

from runner.model.inventory import Server

Order = Literal["shuffle", "listed", "name", "zone"]


def ordered(
    servers: Iterable[Server], order: Order, cycle: str, ids: Sequence[str] | None
) -> tuple[Server, ...]:
    """The servers, in `order`; the same whatever order they come in.

    * `listed`: as in `ids`, the plan's own list; without one by name
    * `name`: by name, then id; compared character by character
    * `shuffle`: by the SHA-256 of cycle and id, so that each cycle has its own order and no
      server is always first
    * `zone`: the zone with the fewest of these servers first (then by its name), shuffled inside
    """
    if order == "listed" and ids is not None:
        place = {server_id: n for n, server_id in enumerate(dict.fromkeys(ids))}
        return tuple(sorted(servers, key=lambda s: (place.get(s.id, len(place)), s.name, s.id)))
    if order in ("listed", "name"):
        return tuple(sorted(servers, key=attrgetter("name", "id")))
    shuffled = sorted(servers, key=lambda s: shuffle_key(cycle, s.id))
    if order == "zone":
        count = Counter(s.zone for s in shuffled)
        shuffled.sort(key=lambda s: (count[s.zone], s.zone))
    return tuple(shuffled)


def shuffle_key(cycle: str, server_id: str) -> bytes:
    """A server's place in the shuffle of a cycle: the SHA-256 of cycle, a zero byte and id."""
    return sha256(f"{cycle}\0{server_id}".encode(errors="surrogatepass")).digest()
