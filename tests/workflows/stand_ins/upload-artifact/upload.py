"""PUT the files that the patterns name to the stand-in for GitHub's API, as a zip with
plain names.
"""

from __future__ import annotations

import io
import json
import os
import sys
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urlencode

NAME, PATTERNS, IF_NONE = (os.environ[name] for name in ("NAME", "FILES", "IF_NONE"))


def files() -> list[Path]:
    """What the patterns name; all files of a folder."""
    named = [
        found
        for pattern in PATTERNS.split()
        for found in sorted(Path("/").glob(pattern.lstrip("/")))
    ]
    return [
        file
        for path in named
        for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
        if file.is_file()
    ]


def query() -> dict[str, str]:
    """What GitHub knows of the run that stores an artefact."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text())
    head = event.get("pull_request", {}).get("head", {})
    fork = bool(head) and head["repo"]["full_name"] != event["repository"]["full_name"]
    return {
        "name": NAME,
        "head_sha": head.get("sha") or os.environ["GITHUB_SHA"],
        "event": os.environ["GITHUB_EVENT_NAME"],
        "path": os.environ["STAND_IN_WORKFLOW"],
        "fork": str(fork).lower(),
    }


def main() -> None:
    found = files()
    if not found:
        print(f"{NAME}: no files")
        sys.exit(IF_NONE == "error")
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for file in found:
            archive.write(file, file.name)
    url = f"{os.environ['GITHUB_API_URL']}/_standin/artifacts?{urlencode(query())}"
    with urllib.request.urlopen(
        urllib.request.Request(url, body.getvalue(), method="PUT")
    ) as answer:
        print(f"{NAME}: {len(found)} files stored, {answer.status}")


main()
