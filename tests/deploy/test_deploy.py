"""What is in `deploy/`: linters of others, and what the program itself needs to be true of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from runner.cli.main import cli
from runner.loading.config import load_config

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
CONTAINER = ROOT / "deploy" / "Containerfile"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a container, where probes come from outside
FILES = sorted(KUBERNETES.glob("*.yaml"))


def call(tool: str, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TOOLS / tool), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        input=given,
    )


def documents() -> list[dict[str, Any]]:
    return [d for file in FILES for d in yaml.safe_load_all(file.read_text())]


def pods() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each workload's pod specification, and its one container."""
    for one in documents():
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec) if one["kind"] == "CronJob" else spec
        if "template" in spec:
            pod = spec["template"]["spec"]
            (container,) = pod["containers"]
            yield pod, container


def command_of(container: dict[str, Any]) -> click.Context:
    """The arguments of a container, as the program's own parser reads them."""
    with cli.make_context("reboot-runner", [str(a) for a in container["args"]]) as context:
        name, command, rest = cli.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert command is not None
        return command.make_context(name, rest, parent=context)


def test_kubernetes_accepts_the_manifests() -> None:
    """By the schemas of an old version and of the newest; nothing in them is unknown. One with
    a wrong field, and one with a wrong value, are refused.
    """
    for version in ("1.30.0", "1.37.0"):
        for one in documents():
            kubernetes_validate.validate(one, version, strict=True)
    worker = next(d for d in documents() if d["kind"] == "Deployment")
    for wrong in ({"replica": 2}, {"replicas": "two"}):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(
                {**worker, "spec": {**worker["spec"], **wrong}}, "1.37.0", strict=True
            )


def test_yaml_is_in_good_form() -> None:
    """yamllint, its default rules; lines as long as everywhere here."""
    rules = json.dumps({"extends": "default", "rules": {"line-length": {"max": 120}}})
    done = call("yamllint", "--strict", "-d", rules, str(KUBERNETES))
    assert done.returncode == 0, done.stdout


def test_hadolint_finds_nothing_in_the_container_file() -> None:
    """None of its rules is switched off; a `latest` image and a wild `pip install`
    would be found.
    """
    done = call("hadolint", str(CONTAINER))
    assert done.returncode == 0, done.stdout
    assert call("hadolint", "-", given="FROM python\nRUN pip install click\n").returncode != 0


def test_the_container_holds_what_it_names() -> None:
    """Everything that is copied is there; what is installed is a file of pins; it is no
    root; its command is one.
    """
    text = CONTAINER.read_text()
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE):
        assert (ROOT / source).exists(), source
    ignored = (CONTAINER.parent / "Containerfile.dockerignore").read_text().splitlines()
    assert {
        f"!{s.rstrip('/')}" for s in re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE)
    } <= set(ignored)
    assert "--require-hashes" in text
    for name in ("postgres", "temporal"):
        assert (ROOT / "requirements" / f"{name}.txt").is_file()
    assert re.search(r"^USER (\d+):\d+$", text, re.MULTILINE)
    words = re.search(r"^CMD (.*)$", text, re.MULTILINE)
    assert words
    assert command_of({"args": json.loads(words[1])}).params["listen"] == (EVERYWHERE, 9464)


@pytest.mark.parametrize(("pod", "container"), list(pods()), ids=lambda p: p.get("name", ""))
def test_pods_may_do_as_little_as_possible(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """No root, no token of the cluster, no privilege, a root file system that nobody writes,
    bounded memory; secrets come from a secret.
    """
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"]["cpu"]
    given = {e["name"]: e for e in container["env"]}
    for name in ("REBOOT_RUNNER_STORE", "HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK"):
        assert given[name]["valueFrom"]["secretKeyRef"]["name"] == "reboot-runner"
    writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert given["REBOOT_RUNNER_STATE"]["value"] in writable
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}


def test_a_pod_gives_its_process_the_time_that_it_takes() -> None:
    """Kubernetes kills later than the program ends by itself; probes ask what the worker
    serves, where it listens.
    """
    (worker, worker_container), (_, cron_container) = sorted(
        pods(), key=lambda p: p[1]["name"], reverse=True
    )
    options = command_of(worker_container).params
    assert timedelta(seconds=worker["terminationGracePeriodSeconds"]) > options["grace"]
    (port,) = worker_container["ports"]
    assert port["containerPort"] == options["listen"][1]
    assert options["listen"][0] == EVERYWHERE
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert worker_container[probe]["httpGet"] == {"path": path, "port": port["name"]}
    cron = next(d for d in documents() if d["kind"] == "CronJob")["spec"]
    assert cron["concurrencyPolicy"] == "Forbid"
    deadline = command_of(cron_container).params["deadline"]
    assert timedelta(seconds=cron["jobTemplate"]["spec"]["activeDeadlineSeconds"]) > deadline
    assert cron_container["args"][0] == "reconcile"


def test_the_configuration_map_is_a_configuration(tmp_path: Path) -> None:
    """What the map holds is read by the program without a problem, where the pods say
    that it is.
    """
    map_ = next(d for d in documents() if d["kind"] == "ConfigMap")
    (name,) = map_["data"]
    path = tmp_path / name
    path.write_text(map_["data"][name])
    assert not load_config(path, tmp_path, {}).problems
    for pod, container in pods():
        given = {e["name"]: e.get("value") for e in container["env"]}
        assert given["REBOOT_RUNNER_CONFIG"] == f"/etc/reboot-runner/{name}"
        assert {"name": "configuration", "configMap": {"name": map_["metadata"]["name"]}} in pod[
            "volumes"
        ]


def test_documents_name_files_that_are_there() -> None:
    """docs/workers.md shows commands with files of `deploy/`; each of them exists."""
    text = (ROOT / "docs" / "workers.md").read_text()
    named = set(re.findall(r"deploy/[\w./-]*\w", text))
    assert {"deploy/Containerfile", "deploy/kubernetes/worker.yaml"} <= named
    for path in named:
        assert (ROOT / path).exists(), path
