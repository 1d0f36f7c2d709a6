"""Which servers selectors and exclusions mean."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.inventory import ServerGroup
from runner.model.plan import Selector
from runner.planning.select import Index, excluder, select
from tests.planning.build import inventory, server, sid

FLEET = [
    server(
        1,
        "web-1",
        zone="z1",
        flavor="s3.large",
        tags={"role": "web", "env": "prod"},
        enterprise_project="0",
    ),
    server(
        2,
        "web-2",
        zone="z2",
        flavor="s3.large",
        tags={"role": "web", "env": "test"},
        enterprise_project="0",
    ),
    server(
        3,
        "api-1",
        zone="z1",
        flavor="c6.large",
        tags={"role": "api", "env": "prod"},
        server_group="g-1",
    ),
    server(
        4, "API-2", zone="z2", flavor="c6.large", tags={"role": "api"}, enterprise_project="e-1"
    ),
    server(5, "db-1", zone="z3", server_group="g-1"),
    server(6, "db-[1]", zone="z3"),
]
GROUPS = [
    ServerGroup("g-1", "quorum", members=(sid(3), sid(5))),
    ServerGroup("g-2", "spread", members=(sid(1),)),
    ServerGroup("g-3", "spread", members=(sid(2),)),
]
INDEX = Index(inventory(FLEET, GROUPS))


def chosen(**keys: Any) -> list[int]:
    """The numbers of the servers that a selector means."""
    found = select(Selector(**keys), INDEX)
    return [n for n in range(1, 7) if sid(n) in {s.id for s in found}]


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ({"all": True}, [1, 2, 3, 4, 5, 6]),
        ({"ids": (sid(2), sid(1), sid(2))}, [1, 2]),
        ({"names": ("web-*",)}, [1, 2]),
        ({"names": ("*-1", "db-*")}, [1, 3, 5, 6]),
        ({"names": ("api-?",)}, [3]),
        ({"names": ("web-[13]",)}, [1]),
        ({"names": ("db-[[]1]",)}, [6]),
        ({"names": ("web",)}, []),
        ({"tags": {"role": ("web", "api")}}, [1, 2, 3, 4]),
        ({"tags": {"role": ("web", "api"), "env": ("prod",)}}, [1, 3]),
        ({"tags": {"role": ("w*",)}}, []),
        ({"zones": ("z1", "z3")}, [1, 3, 5, 6]),
        ({"zones": ("Z1",)}, []),
        ({"flavors": ("s3.large",)}, [1, 2]),
        ({"server_groups": ("g-1",)}, [3, 5]),
        ({"server_groups": ("quorum",)}, [3, 5]),
        ({"server_groups": ("spread",)}, [1, 2]),
        ({"enterprise_projects": ("0",)}, [1, 2]),
        ({"names": ("*-1",), "zones": ("z1",), "tags": {"env": ("prod",)}}, [1, 3]),
        ({"ids": (sid(1), sid(2)), "zones": ("z2",)}, [2]),
        ({"tags": {"role": ("web",)}, "server_groups": ("quorum",)}, []),
    ],
)
def test_keys_are_anded(keys: dict[str, Any], numbers: list[int]) -> None:
    """A server is selected when every written key matches; lists inside a key are alternatives."""
    assert chosen(**keys) == numbers


@pytest.mark.parametrize(
    ("keys", "reasons"),
    [
        (
            {"names": ("web-*",), "zones": ("z3",)},
            {1: "names web-*", 2: "names web-*", 5: "zones z3", 6: "zones z3"},
        ),
        (
            {"tags": {"role": ("api",), "env": ("prod",)}},
            {1: "env=prod", 3: "role=api, env=prod", 4: "role=api"},
        ),
        ({"ids": (sid(6),)}, {6: "ids"}),
        ({"all": True}, dict.fromkeys(range(1, 7), "all")),
        ({"server_groups": ("quorum",)}, {3: "server_groups quorum", 5: "server_groups quorum"}),
    ],
)
def test_any_key_excludes(keys: dict[str, Any], reasons: dict[int, str]) -> None:
    """One matching key, or one tag of several, excludes a server, and the answer says which."""
    test = excluder(Selector(**keys), INDEX)
    found = {n: what for n, s in enumerate(FLEET, start=1) if (what := test(s)) is not None}
    assert {n: what.removeprefix("tags ") for n, what in found.items()} == reasons


def test_what_servers_and_groups_say_is_joined() -> None:
    """A server belongs to a server group when the group lists it or when it names the
    group itself.
    """
    index = Index(
        inventory(
            [server(1), server(2, server_group="g")], [ServerGroup("g", "pair", members=(sid(1),))]
        )
    )
    assert len(select(Selector(server_groups=("pair",)), index)) == 2


def test_a_group_that_only_servers_know() -> None:
    """Without the right to list server groups, a group can still be chosen by the id that
    servers name.
    """
    index = Index(inventory([server(1), server(2, server_group="g")]))
    assert [s.id for s in select(Selector(server_groups=("g",)), index)] == [sid(2)]


@given(
    names=st.lists(st.text("ab-*?[]!1", min_size=1, max_size=6), min_size=1, max_size=12),
    pattern=st.text("ab-*?[]!1", min_size=1, max_size=5),
)
def test_globs_are_the_shells(names: list[str], pattern: str) -> None:
    """The name index finds exactly what `fnmatchcase` finds by looking at every server."""
    index = Index(inventory([server(n, name) for n, name in enumerate(names)]))
    found = select(Selector(names=(pattern,)), index)
    assert sorted(s.name for s in found) == sorted(
        name for name in names if fnmatchcase(name, pattern)
    )


def test_an_unread_file_of_ids_is_never_taken_for_everything() -> None:
    """A selector whose ids_from nobody has read is refused."""
    with pytest.raises(ValueError, match="ids_from"):
        select(Selector(ids_from="ids.txt"), INDEX)


@pytest.mark.parametrize(
    ("name", "tags", "exclude"),
    [
        ("prod\u200b-1", {}, {"names": ("prod-1",)}),
        ("\u00a0prod-1", {}, {"names": ("prod-*",)}),
        ("cafe\u0301-1", {}, {"names": ("caf\u00e9-*",)}),
        ("caf\u00e9-1", {}, {"names": ("cafe\u0301-1",)}),
        ("a", {"can\u00adary": "true"}, {"tags": {"canary": ("true",)}}),
        ("a", {"canary": "true "}, {"tags": {"canary": ("true",)}}),
        ("a", {"canary": "true\u2060"}, {"tags": {"x": ("y",), "canary": ("true",)}}),
    ],
)
def test_what_the_cloud_hides_in_a_name_undoes_no_exclusion(
    name: str, tags: dict[str, str], exclude: dict[str, Any]
) -> None:
    """`exclude` takes names and tags as a reader sees them, `servers` exactly as they are."""
    odd, plain = server(1, name, tags=tags), server(2, "other-1", tags={"canary": "false"})
    index = Index(inventory([odd, plain]))
    test = excluder(Selector(**exclude), index)
    assert [test(s) is not None for s in (odd, plain)] == [True, False]
    assert select(Selector(**exclude), index) == ()
