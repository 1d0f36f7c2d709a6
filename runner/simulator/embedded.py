"""The simulated cloud inside another program: a server in a thread, and the clock its servers live by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.model.config import SimulatorOptions
from runner.simulator.fleet import FleetOptions
from runner.simulator.scenario import load_scenario
from runner.simulator.server import Running, serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.simulator.timeline import SimClock, Wall, utc_now


def options_for(config: SimulatorOptions, region: str, scenario: Path | None = None) -> CloudOptions:
    """The options of a simulated target in a configuration. `scenario`: its file, found already.

    Raises ScenarioInvalid if the file is wrong.
    """
    fleet = FleetOptions(servers=config.servers, seed=config.seed, region=region)
    if scenario is None:
        return CloudOptions(fleet=fleet, time_scale=config.time_scale)
    loaded = load_scenario(scenario)
    return CloudOptions(
        fleet=fleet,
        switches=loaded.switches,
        rules=loaded.rules,
        scenario=loaded.digest,
        time_scale=config.time_scale,
    )


@contextmanager
def start(
    options: CloudOptions, state_path: Path | None = None, wall: Wall = utc_now, clock: SimClock | None = None
) -> Iterator[Running]:
    """Serve until the block ends. With a state file the cloud goes on from it: servers, jobs and simulated time.

    `clock`: of another simulated cloud that this one shares its time with. Keys are new at each start. Raises
    WorldMismatch if the file belongs to another fleet.
    """
    state = State(options, state_path=state_path, clock=clock, wall=wall)
    try:
        with serve_in_thread(state) as running:
            yield running
    finally:
        state.close()
