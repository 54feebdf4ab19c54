"""What is in deploy/ can be read by what will read it: image, compose, Kubernetes, configuration; no engine needed."""

import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dockerfile_parse import DockerfileParser

from gateway.settings.loading import load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES_VERSIONS = ("1.30", "1.33")


def manifests() -> list[dict[str, Any]]:
    return [
        document
        for path in sorted((DEPLOY / "k8s").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]


def containers() -> dict[str, dict[str, Any]]:
    found = {}
    for document in manifests():
        if document["kind"] in ("Deployment", "Job"):
            pod = document["spec"]["template"]["spec"]
            found[document["metadata"]["name"]] = {**pod["containers"][0], "pod": pod}
    return found


def dockerfile() -> DockerfileParser:
    return DockerfileParser(fileobj=io.BytesIO((DEPLOY / "Dockerfile").read_bytes()))


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_compose_follows_the_compose_specification():
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"),
            str(DEPLOY / "compose.yaml"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_files_that_compose_mounts_exist():
    for name, service in compose()["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{name} mounts {source}, which is not there"
            else:
                assert source in compose()["volumes"], (
                    f"{name} mounts the volume {source}, which is not declared"
                )


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_manifests_follow_the_schemas_of_kubernetes(version):
    documents = manifests()
    assert {document["kind"] for document in documents} >= {
        "ConfigMap",
        "Deployment",
        "Job",
        "PodDisruptionBudget",
        "Service",
    }
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


def test_every_role_has_probes_limits_and_more_time_to_stop_than_it_takes_to_drain():
    drain_s = 10 + 15  # drain_s of the settings, and what the supervisor adds to it
    for name, container in containers().items():
        assert container["resources"]["limits"]["memory"], name
        assert container["pod"]["securityContext"]["runAsNonRoot"] is True, name
        if name != "caudal-migrate":
            assert {"livenessProbe", "readinessProbe", "startupProbe"} <= container.keys(), name
            assert container["pod"]["terminationGracePeriodSeconds"] > drain_s, name


def test_the_commands_that_containers_run_exist():
    from gateway.cli import main

    wanted = [container["args"] for container in containers().values()]
    wanted += [
        service["command"]
        for service in compose()["services"].values()
        if service.get("image") == "caudal" and "entrypoint" not in service
    ]
    for arguments in wanted:
        command = main.commands[arguments[0]]
        context = command.make_context(arguments[0], list(arguments[1:]), resilient_parsing=False)
        assert context.params is not None, arguments


def test_the_image_runs_as_nobody_in_particular_with_a_health_check():
    parser = dockerfile()
    steps = [(step["instruction"], step["value"]) for step in parser.structure]
    instructions = [instruction for instruction, _ in steps]
    assert parser.is_multistage
    assert ("USER", "10001") in steps
    assert {"HEALTHCHECK", "ENTRYPOINT", "STOPSIGNAL"} <= set(instructions)
    assert json.loads(dict(steps)["ENTRYPOINT"]) == ["caudal"]
    for _, value in [step for step in steps if step[0] == "COPY" and not step[1].startswith("--from")]:
        for source in value.split()[:-1]:
            assert (ROOT / source).exists(), f"the image copies {source}, which is not there"


def test_what_the_image_copies_is_not_ignored():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    parser = dockerfile()
    for step in parser.structure:
        if step["instruction"] == "COPY" and not step["value"].startswith("--from"):
            assert set(step["value"].split()[:-1]) <= kept


@pytest.fixture
def plain_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("CAUDAL_"):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("plain_environment")
def test_the_configurations_in_deploy_can_be_used(tmp_path):
    settings, _ = load_settings(DEPLOY / "caudal.compose.toml")
    assert settings.kafka.bootstrap == "kafka:9092"
    [configuration] = [one for one in manifests() if one["kind"] == "ConfigMap"]
    path = tmp_path / "caudal.toml"
    path.write_text(configuration["data"]["caudal.toml"])
    assert tomllib.loads(path.read_text())["carriers"]
    settings, _ = load_settings(path)
    assert settings.kafka.replication == 3
