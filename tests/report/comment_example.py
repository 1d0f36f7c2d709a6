"""docs/comment.md: the comment for a plan of 640 servers, made from a simulated fleet.

`python -m tests.report.comment_example > docs/comment.md` writes it; a test says when it is stale.
"""

from __future__ import annotations

from dataclasses import replace

from runner.loading.plan import load_text, plan_digest, require
from runner.model.inventory import Inventory, PowerState, Server
from runner.model.plan import Plan
from runner.model.schedule import Schedule, Target
from runner.planning import fleet as planning
from runner.planning.compare import compare
from runner.planning.forecast import forecast
from runner.planning.lifted import lifted
from runner.planning.schedule import make_schedule
from runner.report.diff import PlanDiff
from runner.report.diff_markdown import diff_markdown
from runner.report.diff_since import SinceBase
from runner.simulator.fleet import FleetOptions, FleetServer, SimulatedFleet, generate
from tests.planning.build import NOW

FILE = "plans/web-kernel.yaml"
BEFORE = """\
version: 1
name: web-kernel-2026-11
target: prod-eu
limits: {servers: 650, percent: 50}
max_failures: 1%
groups:
  - name: canary
    servers: {tags: {role: web, env: prod, canary: "true"}}
    waves: [1, 50%]
    pause: approval
    bake: 30m
  - name: web
    servers: {tags: {role: web, env: prod}, zones: [eu-west-101a, eu-west-101b]}
    exclude: {tags: {canary: "true"}}
    waves: [1, 5%]
    pause: 10m
"""
AFTER = (
    BEFORE.replace("servers: 650", "servers: 900")
    .replace("waves: [1, 5%]", "waves: [1, 10%]")
    .replace(", zones: [eu-west-101a, eu-west-101b]", "")
)
"""Two belts are lifted, and a third zone is added."""

INTRODUCTION = """\
# The comment in a pull request

A comment as the pull request of a plan of 640 servers gets it, made from a simulated fleet by
`python -m tests.report.comment_example`. The pull request raises a limit and the size of waves, and adds a zone.

---

"""  # noqa: E501


def fleet() -> tuple[Inventory, SimulatedFleet]:
    """1,600 servers, 640 of them web servers of prod; some are stopped, one is locked."""
    made = generate(FleetOptions(servers=1_600))
    servers = sorted((_server(s) for s in made.servers), key=lambda s: s.id)
    return Inventory(tuple(servers), NOW), made


def _server(made: FleetServer) -> Server:
    server = Server(made.id, made.name, zone=made.zone, flavor=made.flavor, tags=dict(made.tags))
    if made.index % 150 == 0:
        return replace(server, state=PowerState.STOPPED, words="status SHUTOFF")
    return replace(server, locked=True) if made.index == 404 else server


def comment() -> str:
    """The comment's Markdown."""
    inventory, made = fleet()
    target = Target("prod-eu", "huaweicloud", made.options.region, made.project_id)
    old, new = (require(load_text(text, FILE)) for text in (BEFORE, AFTER))

    def planned(plan: Plan) -> Schedule:
        schedule = make_schedule(
            plan,
            plan_digest(plan),
            planning.Fleet.of([planning.TargetFleet(target, inventory)]),
            now=NOW,
            plan_file=FILE,
        ).schedule
        assert schedule is not None
        return schedule

    schedule = planned(new)
    since = SinceBase(
        "main",
        "3f2a9c41d0b7e86a5c1f4e2d9b8a7c6e5f4d3b2a",
        FILE,
        lifts=lifted(old, new),
        changes=compare(planned(old), schedule),
    )
    return diff_markdown(
        [PlanDiff(FILE, schedule, forecast(schedule), since_base=since)], in_pull_request=True
    )


if __name__ == "__main__":
    print(INTRODUCTION + comment(), end="")
