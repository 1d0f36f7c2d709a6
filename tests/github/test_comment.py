"""The comments of a pull request, written and read over HTTP."""

from __future__ import annotations

import pytest

from runner.github.api import GitHub
from runner.github.comment import MOST, CommentKey, Reviewed, composed, read_digest, retire, upsert
from tests.github.asking import ask, refusal
from tests.github.standin import REPOSITORY, TOKEN, Account, Fault, StandIn
from tests.github.standin_state import BOT

KEY = CommentKey("prod", "plans/web.yaml")
OTHER = CommentKey("prod", "plans/db.yaml")
REVIEWED = Reviewed("sha256:" + "1" * 64, "sha256:" + "2" * 64, "a" * 40)


def put(
    github: StandIn, body: str, key: CommentKey = KEY, reviewed: Reviewed | None = REVIEWED
) -> int:
    return ask(github, lambda api: upsert(api, REPOSITORY, 7, key, body, reviewed))


def digest(github: StandIn, key: CommentKey = KEY) -> Reviewed | None:
    return ask(github, lambda api: read_digest(api, REPOSITORY, 7, key))


def bodies(github: StandIn) -> list[str]:
    return [c["body"] for c in github.state.comments(7)]


def writes(github: StandIn) -> int:
    return sum(line["method"] != "GET" for line in github.state.lines("requests.jsonl"))


def test_a_comment_is_updated_in_its_place(github: StandIn) -> None:
    """The first time a comment is made, then it changes, with the digest in it; the same
    text is not written again.
    """
    assert digest(github) is None
    number = put(github, "first")
    second = Reviewed("sha256:" + "3" * 64, "sha256:" + "4" * 64, "b" * 64)
    assert [put(github, "second", reviewed=second), put(github, "second", reviewed=second)] == [
        number,
        number,
    ]
    assert [body.splitlines()[3:] for body in bodies(github)] == [["second"]]
    assert digest(github) == second
    assert writes(github) == 2


def test_the_first_lines(github: StandIn) -> None:
    """The mark is the first line and the digests are the second, as other tools may read them."""
    put(github, "### web")
    assert bodies(github) == [
        f"<!-- reboot-runner:comment:v1 key={KEY.hex} -->\n"
        f"<!-- reboot-runner:digest {REVIEWED.schedule_digest} plan-digest "
        f"{REVIEWED.plan_digest} head {'a' * 40}"
        f" label {composed(KEY, '').split(' label ')[1][:64]} -->\n\n### web"
    ]


def test_each_plan_and_label_has_its_own(github: StandIn) -> None:
    """Plans and labels do not share comments, also where their names joined are the same."""
    keys = [
        KEY,
        OTHER,
        CommentKey("prodplans", "/web.yaml"),
        CommentKey("", "prod\nplans/web.yaml"),
    ]
    assert len({key.hex for key in keys}) == 4
    assert len({put(github, "x", key) for key in keys}) == 4


@pytest.mark.parametrize("login", ["ada", "github-actions", "Github-Actions[bot]", "other[bot]"])
def test_comments_of_others_are_never_touched(github: StandIn, login: str) -> None:
    """Somebody else's comment stays as it is and is not believed, even if it is a copy of ours."""
    copied = composed(KEY, "copied", Reviewed("sha256:" + "9" * 64, "sha256:" + "9" * 64, "9" * 40))
    github.state.write_comment(7, login, copied)
    assert digest(github) is None
    put(github, "ours")
    ask(github, lambda api: retire(api, REPOSITORY, 7, "prod", []))
    assert bodies(github)[0] == copied
    assert len(bodies(github)) == 2


def test_other_workflows_that_quote_us(github: StandIn) -> None:
    """A comment of the same bot that quotes ours below its own first line is another workflow's."""
    quoted = "Somebody wrote:\n" + composed(KEY, "x", REVIEWED)
    github.state.write_comment(7, BOT, quoted)
    assert digest(github) is None
    put(github, "ours")
    assert bodies(github)[0] == quoted


def test_a_persons_token_has_its_own_comments(github: StandIn) -> None:
    """With a person's token the comments are that person's, and the bot's are others'."""
    github.state.write_comment(7, BOT, composed(KEY, "the bot's"))
    github.accounts = {TOKEN: Account("ada")}
    put(github, "ada's")
    assert [c["user"]["login"] for c in github.state.comments(7)] == [BOT, "ada"]
    assert put(github, "ada's too") == github.state.comments(7)[1]["id"]


def test_of_several_the_oldest_stays(github: StandIn) -> None:
    """Where two jobs have each made a comment, the oldest is kept up to date and the others
    shrink, once.
    """
    for body in ("one", "two", "three"):
        github.state.write_comment(7, BOT, composed(KEY, body))
    first = github.state.comments(7)[0]["id"]
    assert put(github, "new") == first
    assert bodies(github)[0].endswith("\n\nnew")
    assert all("older comment" in body and KEY.hex not in body for body in bodies(github)[1:])
    before = writes(github)
    assert put(github, "newer") == first
    assert writes(github) == before + 1


def test_found_on_a_late_page(github: StandIn) -> None:
    """Our comment is found behind a hundred others."""
    for n in range(101):
        github.state.write_comment(7, "ada", f"{n}")
    number = put(github, "first")
    assert put(github, "second") == number


def test_plans_that_left_are_retired(github: StandIn) -> None:
    """Comments for plans no longer part of the pull request say so; other labels stay; a
    plan that returns is back.
    """
    number = put(github, "web")
    put(github, "db", OTHER)
    put(github, "staging", CommentKey("staging", "plans/web.yaml"))
    ask(github, lambda api: retire(api, REPOSITORY, 7, "prod", [OTHER]))
    assert [body.splitlines()[-1] for body in bodies(github)] == [
        "_This plan is no longer part of the pull request._",
        "db",
        "staging",
    ]
    assert digest(github) is None
    before = writes(github)
    ask(github, lambda api: retire(api, REPOSITORY, 7, "prod", [OTHER]))
    assert writes(github) == before
    assert put(github, "web again") == number
    assert digest(github) == REVIEWED


def test_line_breaks_of_the_web_editor(github: StandIn) -> None:
    """A comment whose lines end in CR LF, as an edit in the browser leaves them, is still ours."""
    github.state.write_comment(7, BOT, composed(KEY, "edited", REVIEWED).replace("\n", "\r\n"))
    assert digest(github) == REVIEWED
    put(github, "edited")
    assert writes(github) == 0


@pytest.mark.parametrize(
    "text",
    [
        composed(KEY, "", Reviewed("sha256:" + "6" * 64, "sha256:" + "6" * 64, "6" * 40)),
        "--> <!-- reboot-runner:digest none -->",
        composed(KEY, "").splitlines()[1],
        "\n\r\n" + composed(KEY, "", REVIEWED).splitlines()[1],
    ],
)
def test_a_plan_cannot_speak_for_us(github: StandIn, text: str) -> None:
    """Our lines in the text of a plan are text, wherever they stand in the body, also where
    there is no schedule.
    """
    put(github, text, OTHER, None)
    assert digest(github, OTHER) is None
    assert digest(github, KEY) is None
    put(github, "web")
    assert digest(github, KEY) == REVIEWED
    assert len(bodies(github)) == 2


@pytest.mark.parametrize(
    "bad", ["sha256:" + "1" * 63, "--> x", "sha256:" + "1" * 64 + "\n", "SHA256:" + "1" * 64]
)
def test_facts_have_one_shape(bad: str) -> None:
    """A digest that is none never gets into the line that is read."""
    for facts in (
        Reviewed(bad, REVIEWED.plan_digest, "a" * 40),
        Reviewed(REVIEWED.schedule_digest, bad, "a" * 40),
    ):
        with pytest.raises(ValueError, match="64 hex"):
            composed(KEY, "x", facts)
    with pytest.raises(ValueError, match="full hash"):
        composed(KEY, "x", Reviewed(REVIEWED.schedule_digest, REVIEWED.plan_digest, "HEAD"))


def test_the_longest_comment(github: StandIn) -> None:
    """A comment of exactly GitHub's length is written, a longer one refused here; what is
    beyond ASCII counts too.
    """
    room = MOST - len(composed(KEY, "", REVIEWED))
    put(github, "x" * room)
    assert len(bodies(github)[0]) == MOST
    error = refusal(github, lambda api: upsert(api, REPOSITORY, 7, KEY, "x" * (room + 1), REVIEWED))
    assert "65,537" in error.message
    too_long = refusal(
        github,
        lambda api: upsert(api, REPOSITORY, 7, KEY, "\N{PILE OF POO}" * (room // 2 + 1), REVIEWED),
    )
    assert "GitHub takes 65,536" in too_long.message


def test_github_has_the_last_word_on_length(github: StandIn) -> None:
    """A body that GitHub itself finds too long ends in its own words."""

    async def post(api: GitHub) -> object:
        path = f"/repos/{REPOSITORY}/issues/7/comments"
        return await api.write("POST", path, {"body": "x" * (MOST + 1)}, needs="")

    error = refusal(github, post)
    assert error.status == 422
    assert "too long" in error.message


def test_characters_that_utf8_cannot_carry(github: StandIn) -> None:
    """A lone surrogate is replaced instead of failing."""
    put(github, "a\ud800b")
    assert bodies(github)[0].endswith("a\ufffdb")


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"null", b""])
def test_answers_without_an_id(github: StandIn, answer: bytes) -> None:
    """An answer that does not name the comment is an error, not a wrong number."""
    github.faults = [
        Fault(403, "/user"),
        Fault(200, "comments", body=b"[]"),
        Fault(201, "comments", body=answer),
    ]
    assert (
        "which comment" in refusal(github, lambda api: upsert(api, REPOSITORY, 7, KEY, "x")).message
    )


def test_comments_of_another_shape_are_passed_over(github: StandIn) -> None:
    """Entries that miss what a comment has are nobody's."""
    odd = b'[{"id": 1}, {"id": "2", "user": {"login": "x"}, "body": ""}, {"id": 3, "user": null, "body": null}]'  # noqa: E501
    github.faults = [Fault(200, "comments", body=odd)]
    assert digest(github) is None
