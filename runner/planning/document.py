"""The schedule as plain JSON values: what the saved file, the journal and `-o json` hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import chain, groupby
from typing import Any

from runner.model.check import Check
from runner.model.gate import Gate
from runner.model.schedule import (
    Allowance,
    Exclusion,
    GroupRules,
    Pause,
    Rate,
    Schedule,
    ServerRef,
    Spread,
    Target,
    Wave,
    WorstCase,
)
from runner.model.window import Freeze, Window
from runner.planning.digest import FORMAT_VERSION, gate_document, group_document, inventory_digest, worst_case_document


def document(schedule: Schedule) -> dict[str, Any]:
    """The schedule as plain JSON values; `from_document` is its inverse."""
    return {
        "format_version": FORMAT_VERSION,
        "digest": schedule.digest,
        "inventory_digest": inventory_digest(schedule),
        "made_at": schedule.made_at,
        "plan": {
            "name": schedule.plan_name,
            "digest": schedule.plan_digest,
            "file": schedule.plan_file,
            "description": schedule.description,
        },
        "cycle": schedule.cycle,
        "targets": [asdict(t) for t in schedule.targets],
        "reboot_type": schedule.reboot_type,
        "on_unknown": schedule.on_unknown,
        "wait_at_most_s": schedule.wait_at_most_s,
        **{key: value for key, value in _when(schedule).items() if value},
        "max_failures": asdict(schedule.max_failures),
        "visible": schedule.visible,
        "groups": [group_document(g) for g in schedule.groups],
        "waves": [_wave(w) for w in schedule.waves],
        "excluded": [_excluded(list(e)) for _, e in groupby(schedule.excluded, _why)],
        "worst_case": worst_case_document(schedule.worst_case),
        "rate": None if schedule.rate is None else asdict(schedule.rate),
        **({"retry_of": schedule.retry_of} if schedule.retry_of else {}),
    }


def from_document(raw: Mapping[str, Any]) -> Schedule:
    """The schedule that `document` wrote. For our own journal: files go through `report.schedule_json.load`."""
    plan = raw["plan"]
    return Schedule(
        plan_name=plan["name"],
        plan_digest=plan["digest"],
        plan_file=plan["file"],
        description=plan["description"],
        cycle=raw["cycle"],
        targets=tuple(Target(**t) for t in raw["targets"]),
        reboot_type=raw["reboot_type"],
        on_unknown=raw["on_unknown"],
        max_failures=Allowance(**raw["max_failures"]),
        wait_at_most_s=float(raw["wait_at_most_s"]),
        groups=tuple(_read_group(g) for g in raw["groups"]),
        waves=tuple(_read_wave(w) for w in raw["waves"]),
        excluded=tuple(chain.from_iterable(map(_read_excluded, raw["excluded"]))),
        visible=raw["visible"],
        worst_case=WorstCase(**raw["worst_case"]),
        windows=tuple(_read_window(w) for w in raw.get("windows", ())),
        calendars=tuple(raw.get("calendars", ())),
        freezes=tuple(Freeze(*map(datetime.fromisoformat, f)) for f in raw.get("freezes", ())),
        made_at=raw["made_at"],
        digest=raw["digest"],
        rate=_read_rate(raw.get("rate")),
        gates=tuple(_read_gate(g) for g in raw.get("gates", ())),
        retry_of=raw.get("retry_of", ""),
    )


def _when(schedule: Schedule) -> dict[str, list[Any]]:
    """Windows, freezes and gates: left out where there are none, so that such schedules are as they always were."""
    return {
        "windows": [{**asdict(w), "days": list(w.days)} for w in schedule.windows],
        "calendars": list(schedule.calendars),
        "freezes": [[f.begins.isoformat(), f.ends.isoformat()] for f in schedule.freezes],
        "gates": [gate_document(g) for g in schedule.gates],
    }


def _server(server: ServerRef) -> dict[str, str]:
    return {"id": server.id, "name": server.name, "zone": server.zone}


def _why(exclusion: Exclusion) -> tuple[str, str, bool]:
    return exclusion.group, exclusion.reason, exclusion.named


def _excluded(exclusions: Sequence[Exclusion]) -> dict[str, Any]:
    """Return an entry of exclusions that have group, reason and `named` in common.

    A single one is an entry of its own. Several share one, in which a server has a `detail` only where it is not that
    of most: 90,000 excluded servers must not make a schedule too large. `named` is left out where it is false.
    """
    [(detail, _)] = Counter(e.detail for e in exclusions).most_common(1)
    about: dict[str, Any] = {"group": exclusions[0].group, "reason": exclusions[0].reason, "detail": detail}
    if exclusions[0].named:
        about["named"] = True
    servers = [_server(e.server) | ({} if e.detail == detail else {"detail": e.detail}) for e in exclusions]
    return servers[0] | about if len(servers) == 1 else about | {"servers": servers}


def _wave(wave: Wave) -> dict[str, Any]:
    return {
        "number": wave.number,
        "group": wave.group,
        "written": wave.written,
        "is_canary": wave.is_canary,
        "held_by": list(wave.held_by),
        "pause": {"kind": wave.pause.kind, "seconds": wave.pause.seconds},
        "servers": [_server(s) for s in wave.servers],
    }


def _read_window(raw: Mapping[str, Any]) -> Window:
    seconds = {key: float(raw[key]) for key in ("length_s", "cutoff_s")}
    return Window(**{**raw, **seconds, "days": tuple(raw["days"])})


def _read_gate(raw: Mapping[str, Any]) -> Gate:
    bounds = {key: None if raw[key] is None else float(raw[key]) for key in ("max", "min")}
    return Gate(**{**raw, **bounds, "for_s": float(raw["for_s"]), "status": tuple(raw["status"])})


def _read_group(raw: Mapping[str, Any]) -> GroupRules:
    seconds = {key: float(raw[key]) for key in ("ready_timeout_s", "stable_for_s", "bake_s")}
    checks = tuple(Check(**{**check, "status": tuple(check["status"])}) for check in raw.get("checks", ()))
    return GroupRules(
        **{
            **raw,
            **seconds,
            "max_failures": _read_allowance(raw["max_failures"]),
            "checks": checks,
            "max_unavailable": _read_allowance(raw.get("max_unavailable")),
            "spread": tuple(Spread(**s) for s in raw.get("spread", ())),
            "rate": _read_rate(raw.get("rate")),
        }
    )


def _read_allowance(raw: Mapping[str, Any] | None) -> Allowance | None:
    return None if raw is None else Allowance(**raw)


def _read_rate(raw: Mapping[str, Any] | None) -> Rate | None:
    return None if raw is None else Rate(raw["servers"], float(raw["per_s"]))


def _read_excluded(raw: Mapping[str, Any]) -> Iterator[Exclusion]:
    """Yield the exclusions of an entry: of one server, or of several that share it."""
    for server in raw.get("servers", [raw]):
        ref = ServerRef(server["id"], server["name"], server["zone"])
        detail = server.get("detail", raw["detail"])
        yield Exclusion(ref, raw["group"], raw["reason"], detail, raw.get("named", False))


def _read_wave(raw: Mapping[str, Any]) -> Wave:
    return Wave(
        number=raw["number"],
        group=raw["group"],
        written=raw["written"],
        servers=tuple(ServerRef(s["id"], s["name"], s["zone"]) for s in raw["servers"]),
        pause=Pause(raw["pause"]["kind"], float(raw["pause"]["seconds"])),
        is_canary=raw["is_canary"],
        held_by=tuple(raw.get("held_by", ())),
    )
