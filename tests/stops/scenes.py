"""The scenarios: what goes wrong, in which plan. Each is one run of the real engine on the
simulated cloud.

A scene is a coroutine `(servers, seed) -> Trial`. Cloud, gates and servers are real HTTP
servers; only time is virtual.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from runner.checks.gatekeeper import GateSource, NetGatekeeper
from runner.checks.prober import NetProber
from runner.execution.effects import Tuning
from runner.model.run import Run
from runner.simulator.fleet import FleetOptions
from runner.simulator.inventory import load_fleet
from runner.simulator.state import CloudOptions
from tests.cloud.wild import free_port, wild
from tests.journal import made
from tests.runs.harness import Field, Gated, options_of, simulated
from tests.runs.test_checks import Ward
from tests.runs.test_gates import Metrics
from tests.stops.judge import Trial, begin, judge, show

Scene = Callable[[int, int], Awaitable[Trial]]

SCENES: dict[str, Scene] = {}
"""Title -> scene, in the order of the table."""

FEW = 40
"""Most servers of scenes whose every server is a real one to be asked."""
NOBODY = "nobody"
"""No server's name: an empty list would mean all."""
KINDS = ("job_fail", "server_error", "stays_in_reboot")
BELTS = "limits: {servers: 100000, percent: 100}\nspread: {server_group: 100%}\n"


def scene(title: str) -> Callable[[Scene], Scene]:
    def keep(made: Scene) -> Scene:
        SCENES[title] = made
        return made

    return keep


def plan(
    group: str = "", *, waves: str = "1, 5%, 10%", budget: int | str = "2%", more: str = ""
) -> str:
    """One group of all servers. `group` and `more`: further keys of it and of the plan, a
    line each.
    """
    return (
        f"version: 1\nname: stops\nmax_failures: {budget}\n{BELTS}{more}"
        f"groups:\n  - name: all\n    servers: {{all: true}}\n    waves: "
        f"[{waves}]\n{_indented(group)}"
    )


def two_groups(
    web: str, rest: str = "", *, budget: int | str = "2%", waves: str = "1, 10%", more: str = ""
) -> str:
    """The web servers, which are half of all, before the others."""
    return (
        f"version: 1\nname: stops\nmax_failures: {budget}\n{BELTS}{more}groups:\n"
        f"  - name: web\n    servers: {{tags: {{role: web}}}}\n    waves: "
        f"[{waves}]\n{_indented(web)}"
        f"  - name: rest\n    servers: {{all: true}}\n    exclude: {{tags: {{role: web}}}}\n    "
        f"waves: [{waves}]\n"
        f"{_indented(rest)}"
    )


def _indented(lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines.splitlines())


@asynccontextmanager
async def cloud(servers: int, seed: int) -> AsyncIterator[Field]:
    async with simulated(options_of(servers, seed=seed), tuning=Tuning(poll_every_s=60)) as place:
        yield place


async def follow(place: Field, run_id: str, *, consent: bool = True) -> Run:
    """To the end, every question answered at once, or by nobody. A law of judging: no belt
    but budgets holds it.
    """
    while True:
        run = await place.follow(run_id, until=lambda run: consent and run.question is not None)
        if not run.is_open or run.question is None:
            return run
        given = {"question": run.question.id, "by": "ann"}
        place.store.record(
            run_id, place.clock.now(), [made("approval.given", given)], expect=run.seq
        )


async def trial(place: Field, text: str, *, consent: bool = True) -> Trial:
    """Show, run, judge."""
    shown = await show(place, text)
    return judge(place, shown, await follow(place, await begin(place, shown), consent=consent))


def fail(place: Field, ids: list[str], kind: str) -> None:
    """These servers fail when they are rebooted."""
    place.add_rules({"do": kind, "servers": {"names": ids}})


def by_zone(place: Field) -> dict[str, list[str]]:
    zones: dict[str, list[str]] = {}
    for server in place.state.fleet.servers:
        zones.setdefault(server.zone, []).append(server.id)
    return zones


# --- servers that fail --------------------------------------------------------


@scene("2 % of the servers fail, at random")
async def random_failures(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        place.add_rules({"do": KINDS[seed % 3], "servers": {"share": 0.02}})
        return await trial(place, plan())


async def _bad_zone(servers: int, seed: int, group: str) -> Trial:
    async with cloud(servers, seed) as place:
        zones = by_zone(place)
        fail(place, zones[sorted(zones)[seed % len(zones)]], KINDS[seed // 3 % 3])
        return await trial(place, plan(group, waves="1, 10%"))


@scene("a bad zone; order: zone")
async def bad_zone_in_order(servers: int, seed: int) -> Trial:
    return await _bad_zone(servers, seed, "order: zone")


@scene("a bad zone; order: shuffle")
async def bad_zone(servers: int, seed: int) -> Trial:
    return await _bad_zone(servers, seed, "order: shuffle")


@scene("a bad zone; order: shuffle, spread: {zone: 2}")
async def bad_zone_spread(servers: int, seed: int) -> Trial:
    return await _bad_zone(servers, seed, "order: shuffle\nspread: {zone: 2}")


@scene("a bad image: all fail after the canary")
async def bad_image(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        shown = await show(place, plan(waves="1, 10%"))
        fail(place, [s.id for w in shown.schedule.waves[1:] for s in w.servers], KINDS[seed % 3])
        return judge(place, shown, await follow(place, await begin(place, shown)))


@scene("the budget is used up, then all fail")
async def as_bad_as_it_gets(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        shown = await show(place, plan(waves="1, 10%"))
        before = 1 + seed % 4
        some = shown.schedule.waves[before].servers[: shown.schedule.max_failures.allowed]
        rest = [s for w in shown.schedule.waves[before + 1 :] for s in w.servers]
        fail(place, [s.id for s in (*some, *rest)], KINDS[seed % 3])
        return judge(place, shown, await follow(place, await begin(place, shown)))


@scene("the canary fails; max_failures: 100%")
async def bad_canary(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        place.add_rules({"do": KINDS[seed % 3]})
        return await trial(place, plan(budget="100%"))


@scene("answers are lost, nothing is known: on_unknown: hold")
async def lost_answers(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        place.add_rules(
            {"do": "reset", "on": "reboot", "when": "before", "after": 1 + seed % 4, "times": "all"}
        )
        return await trial(place, plan())


# --- gates, windows, servers that are down ------------------------------------


@scene("a flapping gate, which ends closed or cannot tell")
async def flapping_gate(servers: int, seed: int) -> Trial:
    dice = random.Random(seed)
    flaps = sorted(dice.uniform(0, 1500) for _ in range(12))
    words = [dice.choice([1.0, 1.0, 9.0, None]) for _ in flaps] + [dice.choice([9.0, None])]

    def value(seconds: float) -> float | None:
        return words[sum(flap <= seconds for flap in flaps)]

    async with cloud(servers, seed) as place:
        metrics = Metrics(place, value)
        async with wild(metrics.answer) as server:
            sources = {"main": GateSource("prometheus", server.url)}
            place.rules = Gated(
                NetGatekeeper(sources, {place.target.name: place.cloud}, place.clock.now, 2.0)
            )
            began = metrics.began = place.clock.now()
            more = (
                "gates: [{prometheus: {source: main, query: errors, max: 5}}]\nwait_at_most: 1h\n"
            )
            shown = await show(place, plan("pause: 2m", more=more))
            run = await follow(place, await begin(place, shown))
        return judge(place, shown, run, broken=list(_unguarded(place, metrics, value, began)))


def _unguarded(
    place: Field, metrics: Metrics, value: Callable[[float], float | None], began: datetime
) -> Iterator[str]:
    """Requests of the log whose last answer of the gate before them was not open."""
    for call in place.calls("reboot"):
        at = call.at / 1000 - began.timestamp() + 0.001
        answers = [value(s) for s in metrics.asked if s <= at]
        if not answers or answers[-1] != 1.0:
            yield f"a reboot was asked for at {at:.0f} s, after an answer that was not open"
    if not metrics.asked:
        yield "the gate was never asked"


@scene("a window closes while a wave is in flight")
async def window_closes(servers: int, seed: int) -> Trial:
    minutes = 30
    async with cloud(servers, seed) as place:
        now = place.clock.now()
        end = now + timedelta(minutes=minutes)
        day = f"{now:%a}".lower()
        window = (
            f"windows: [{{days: [{day}], start: '{now:%H:%M}', length: {minutes}m, timezone: "
            f"UTC}}]\n"
        )
        place.add_rules({"do": "slow", "seconds": "14m", "at": f"{18 + seed % 4}m"})
        shown = await show(
            place, plan("pause: 5m\nready: {timeout: 30m}", more=window + "wait_at_most: 2h\n")
        )
        run = await follow(place, await begin(place, shown))
        reboots = place.state.accepted_reboots()
        over = [r for r in reboots if r.back is not None and r.at < end < r.back]
        broken = ["a reboot was asked for outside the window"] * any(r.at >= end for r in reboots)
        broken += ["no wave was in flight at the window's end"] * (not over)
        ready = {i for i, s in run.servers.items() if s.outcome == "ready"}
        broken += ["a wave in flight was not followed to its end"] * (
            not {r.server_id for r in over} <= ready
        )
        return judge(place, shown, run, broken=broken)


@scene("servers are down besides; max_unavailable: 15%")
async def too_many_down(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        shown = await show(place, plan("max_unavailable: 15%\npause: 5m", waves="1, 10%"))
        run_id = await begin(place, shown)
        before = 2 + seed % 4
        await place.follow(run_id, until=lambda run: run.waves[before - 1].ended)
        since = place.clock.now()
        last = [s.id for w in shown.schedule.waves[-3:] for s in w.servers]
        place.add_rules({"do": "not_active", "servers": {"names": last[: servers // 10]}})
        run = await follow(place, run_id)
        late = any(c.at >= since.timestamp() * 1000 for c in place.calls("reboot"))
        return judge(place, shown, run, broken=["a wave began while too many were down"] * late)


# --- what shows late, and what was ill before ---------------------------------


@scene("a bake loses some of its group")
async def bake_loses_some(servers: int, seed: int) -> Trial:
    return await _bake(servers, seed, 0.03 + 0.01 * (seed % 4))


@scene("a bake loses its whole group")
async def bake_loses_all(servers: int, seed: int) -> Trial:
    return await _bake(servers, seed, 1.0)


async def _bake(servers: int, seed: int, share: float) -> Trial:
    dice = random.Random(seed)
    async with cloud(servers, seed) as place:
        place.add_rules({"do": "job_fail", "servers": {"share": 0.005}})
        shown = await show(place, two_groups("bake: 30m"))
        run_id = await begin(place, shown)
        run = await place.follow(run_id, until="bake")
        if run.is_open:
            web = [s.id for w in shown.schedule.waves if w.group == "web" for s in w.servers]
            lost = dice.sample(web, max(1, round(share * len(web))))
            place.clock.jump(seconds=dice.uniform(0, 1500))
            place.add_rules(
                {
                    "do": "not_active",
                    "status": dice.choice(["SHUTOFF", "ERROR"]),
                    "servers": {"names": lost},
                }
            )
            run = await follow(place, run_id)
        return judge(place, shown, run)


@scene("a third is ill before; baseline: count")
async def ill_before(servers: int, seed: int) -> Trial:
    """Every server is a real one with a health page: ill before and after, well, or ill
    since its reboot.
    """
    servers = min(servers, FEW)
    dice = random.Random(seed)
    numbers = list(range(1, servers + 1))
    old = set(dice.sample(numbers, servers // 3))
    new = set(dice.sample(sorted(set(numbers) - old), servers // 4))

    def health(here: Ward, number: int) -> str:
        return "ill" if number in old or (number in new and here.rebooted(number)) else "well"

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "servers.json"
        path.write_text(
            json.dumps([{"name": f"s-{n:02d}", "address": f"127.0.9.{n}"} for n in numbers])
        )
        fleet = load_fleet(path, FleetOptions(seed=seed, reboot_seconds=40))
    async with simulated(CloudOptions(fleet=fleet), tuning=Tuning(poll_every_s=60)) as place:
        here = Ward(place, free_port(), health)
        place.prober = NetProber(longest_s=2.0)
        async with await asyncio.start_server(
            here.answer, [f"127.0.9.{n}" for n in numbers], here.port
        ):
            check = f"{{http: {{scheme: http, port: {here.port}, path: /health, body: well}}}}"
            ready = f"ready: {{timeout: 3m, baseline: count, checks: [{check}]}}"
            shown = await show(place, plan(ready, waves="2, 10%", budget=2))
            run = await follow(place, await begin(place, shown))
        ids = dict(zip(numbers, place.ids(*(f"s-{n:02d}" for n in numbers)), strict=True))
        asked = place.state.reboot_counts()
        ill = {ids[n] for n in new}
        told = {i for i, s in run.servers.items() if s.uses_up_budget}
        broken = ["new faults are hidden, or old ones counted"] * (
            told != {i for i in ill if i in asked}
        )
        return judge(place, shown, run, ill=ill, broken=broken)


# --- what happens when a group's budget is exceeded ---------------------------


@scene("on_failure: continue; 10 % of a group fail")
async def goes_on(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        place.add_rules({"do": KINDS[seed % 3], "servers": {"tags": {"role": "web"}, "share": 0.1}})
        return await trial(place, two_groups("max_failures: 1\non_failure: continue"))


@scene("on_failure: continue; all of a group fail")
async def goes_on_with_all(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        place.add_rules({"do": KINDS[seed % 3], "servers": {"tags": {"role": "web"}}})
        return await trial(place, two_groups("max_failures: 1\non_failure: continue"))


@scene("on_failure: approval, always given; 10 % of a group fail")
async def approved(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        place.add_rules({"do": KINDS[seed % 3], "servers": {"tags": {"role": "web"}, "share": 0.1}})
        return await trial(place, two_groups("max_failures: 1\non_failure: approval"))


@scene("on_failure: approval, nobody answers; 10 % of a group fail")
async def unanswered(servers: int, seed: int) -> Trial:
    async with cloud(servers, seed) as place:
        place.add_rules({"do": KINDS[seed % 3], "servers": {"tags": {"role": "web"}, "share": 0.1}})
        text = two_groups("max_failures: 1\non_failure: approval", more="wait_at_most: 2h\n")
        return await trial(place, text, consent=False)


@scene("anything: plans, budgets, bakes and faults at random")
async def anything(servers: int, seed: int) -> Trial:
    dice = random.Random(seed)
    rules = [_rules(dice) for _ in range(2)]
    async with cloud(min(servers, 60), seed) as place:
        place.add_rules(
            {"do": dice.choice(KINDS), "servers": {"share": dice.choice([0.05, 0.2, 0.6, 1.0])}},
            {
                "do": "reset",
                "on": "reboot",
                "when": dice.choice(["before", "after"]),
                "probability": 0.1,
                "times": "all",
            },
        )
        budgets: list[int | str] = [0, 1, 3, "10%", "50%"]
        text = two_groups(
            *rules,
            budget=dice.choice(budgets),
            waves=dice.choice(["1, 50%", "2", "1, 1, 3", "40%", "100%"]),
            more=f"on_unknown: {dice.choice(['hold', 'retry'])}\n",
        )
        shown = await show(place, text)
        run_id = await begin(place, shown)
        run = await place.follow(
            run_id, until=lambda run: run.question is not None or run.bake_began is not None
        )
        if run.is_open and run.bake_began is not None:
            ready = [i for i, s in run.servers.items() if s.outcome == "ready"]
            lost = dice.sample(ready, dice.randint(0, len(ready)))
            place.add_rules({"do": "not_active", "servers": {"names": lost or [NOBODY]}})
        return judge(place, shown, await follow(place, run_id))


def _rules(dice: random.Random) -> str:
    lines = [f"bake: {dice.choice(['5m', '30m'])}"] if dice.random() < 0.4 else []
    if dice.random() < 0.6:
        lines.append(f"max_failures: {dice.choice([0, 1, 2, '20%'])}")
    lines.append(f"on_failure: {dice.choice(['stop', 'continue', 'approval'])}")
    return "\n".join(lines)
