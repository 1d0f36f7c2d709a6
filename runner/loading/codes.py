"""The codes of problems: stable, documented in docs/problems.md, checked against this table.

A code says what kind of thing is wrong, once and for all; the sentence next to it in a
message says what is wrong here.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # reading
    "Unreadable": (
        "The file cannot be read: it is missing, is not a regular file, or permission is lacking."
    ),
    "OutsideRepository": (
        "The path leads out of the Git repository (or out of the plan's folder), or into .git."
    ),
    "TooLarge": "The file, its nesting or its number of values is over the limit for plans.",
    "NotUtf8": "The file is not UTF-8 text.",
    "ControlCharacter": (
        "The text holds characters that people cannot see, so a reviewer would be misled."
    ),
    "BlankAtEnd": (
        "A word of a selector begins or ends with a blank, which counts when it is compared."
    ),
    "Empty": "The file holds no value.",
    "NoPlans": "The folder holds no .yaml or .yml file.",
    # YAML
    "MergeConflict": "The file holds the markers of a merge that was not finished.",
    "YamlSyntax": "The file is not valid YAML.",
    "UnquotedTemplate": "YAML reads an unquoted {{ at the start of a value as a mapping.",
    "DuplicateKey": "The same key is written twice in one mapping.",
    "KeyNotText": "A key is a list or a mapping.",
    "TemplateInKey": "Keys are not templates; only values are.",
    "AliasNotAllowed": "Anchors, aliases and merge keys are refused; use vars.",
    "TagNotAllowed": (
        "YAML tags (!…) and directives (%…) are refused; quotes are enough to make text."
    ),
    "SeveralDocuments": "The file holds more than one YAML document.",
    "BadNumber": "A number is too long, infinite, not a number, or begins with a 0 like 010.",
    # templates
    "TemplateSyntax": "The template is not well-formed.",
    "TemplateNotAllowed": "The template uses something outside the allowed subset of Jinja.",
    "TemplateUndefined": "The template uses a name that has no value.",
    "TemplateFailed": "The template cannot be computed.",
    "TemplateTooLarge": "The templates make too much text, or too many groups.",
    "TemplateInVars": "Values of vars are plain data and are never rendered.",
    "BadForEach": "for_each needs a list.",
    "UnusedVariable": "A variable given with --var is used by no template.",
    # fields
    "UnknownKey": "The key does not exist in the format.",
    "MissingKey": "A required key is not there.",
    "NoValue": "The key is written without a value.",
    "QuoteIt": "YAML reads the value as a number or a truth value where text is needed.",
    "WrongType": "The value is of another kind than the field needs.",
    "BadValue": "The value is not one the field can take.",
    "BadSelector": "The selector says nothing, contradicts itself, or leaves nothing.",
    "DuplicateName": "Two groups have the same name.",
    "NotSupportedYet": (
        "The key belongs to the format, but this version cannot execute it, so it is refused."
    ),
    "NotAnId": "An id is not a UUID, as the ids of servers are, so it matches no server.",
    "BadIdList": "A file of server ids holds a line that is no id, or no id at all.",
    "BadCalendar": (
        "A file of freezes is not iCalendar, holds something that is not understood, "
        "or holds too much."
    ),
    "FreezeWithoutEffect": "A part of a calendar of freezes closes nothing.",
    "FreezeClosesNothing": "A calendar of freezes closes nothing in the next 400 days.",
    # configuration
    "ConfigNotRead": "A file has nearly the name of the configuration and is not read.",
    "UnknownTarget": "The plan names a target that the configuration does not have.",
    "TargetOverride": "--target was given for a plan whose groups name targets of their own.",
    "TargetsApart": (
        "A plan mixes the embedded simulated cloud, which lives in a time of its "
        "own, with other targets."
    ),
    "BadEndpoint": (
        "An endpoint must be https (or http on loopback) on a host of this service in "
        "the target's cloud."
    ),
    "BadSource": (
        "A source of gates must be https (or http on loopback), and is given no "
        "credential of something else."
    ),
    "UnknownSource": (
        "A gate of the plan asks a source that the configuration does not have, or "
        "one of another kind."
    ),
    "BadStore": "The store's URL cannot be used.",
    "CredentialInFile": "A credential is written into a file of the repository.",
    "CredentialInTemplateEnv": (
        "template_env names an environment variable that can hold a credential."
    ),
    "SamePlanName": "Two plan files have the same name; the name is a plan's identity.",
    "ServerGroupsUnread": (
        "The cloud's server groups could not be read, and the plan or a default needs them."
    ),
    "TagsUnknown": (
        "Servers of the target have tags that cannot be read; selectors by tag do not see them."
    ),
    "BusyNow": (
        "Servers of the schedule are busy at this moment; they stay in it, and their wave "
        "waits for them."
    ),
    "ExcludesNothing": (
        "A word of `exclude` matches no server of the target, so it keeps nothing out."
    ),
    "PassedOver": "A file in a folder looks like a plan, but its name is not that of a plan.",
    "ForbidsNothing": (
        "A word of the policy's `forbidden` matches no server of the targets, so "
        "it forbids nothing."
    ),
    "OlderRunOpen": "Another version of the plan, or the plan on another target, has an open run.",
    "PolicyViolated": "The plan breaks a rule of the repository's policy.",
    "RunnerItself": "The plan would reboot the machine that the runner runs on.",
    "RunnerSupport": (
        "The plan would reboot servers that the runner depends on, as `support` of the target says."
    ),
    "SupportLast": (
        "Servers that the runner depends on go down after all others, in waves of their own."
    ),
    "SupportNotFound": "A selector in `support` of the target matches none of its servers.",
    # saved schedules
    "NotJson": "The saved schedule is not a JSON document.",
    "NotASchedule": "The JSON document is no schedule.",
    "ScheduleTooLarge": (
        "The saved schedule is larger, deeper or has more values than any that `diff` writes."
    ),
    "UnknownFormatVersion": "The saved schedule was written by a version with another format.",
    "InvalidSchedule": "The saved schedule is not as its schema says, or contradicts itself.",
    "DigestMismatch": "The saved schedule was changed after it was made.",
    "RebootedSinceReview": (
        "Servers changed since the schedule was made: those that were rebooted are left alone."
    ),
    "RetryOfUnknownRun": "The run that a plan repeats is not in the store.",
    "RetryOfOpenRun": "The run that a plan repeats is still open.",
    "RetryOfOtherCycle": "The run that a plan repeats was of another cycle.",
    "FirstWaveNotCanary": "A group of more than ten servers begins with several at once.",
    "MoreProblems": "The file has more problems than are shown.",
}
"""Code -> the general sentence of its documentation."""
