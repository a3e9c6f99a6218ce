"""docker-compose.yml is valid, complete, and keeps its secrets and ports to itself. No Docker needed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
COMMENTS = re.sub(r"\\\n\s*#\s*", "", "\n".join(re.findall(r"^#.*", TEXT, re.MULTILINE)))
PROGRAMS = ("mlflow", "lifecycle")


def names(entries) -> set[str]:
    """Of volumes, configs, secrets: short (``name:/path``, ``name``) or long (``source: name``)."""
    return {entry["source"] if isinstance(entry, dict) else entry.partition(":")[0] for entry in entries}


def program(command: list[str]) -> list[str]:
    """The part of a command that is ours or MLflow's."""
    starts = [i for i, word in enumerate(command) if word in PROGRAMS]
    return command[starts[0] :] if starts else []


def test_it_has_what_it_promises():
    assert set(SERVICES) == {"postgres", "mlflow", "serving", "prometheus", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_an_image_of_one_version_or_is_built_here(name):
    service = SERVICES[name]
    image = service["build"]["dockerfile_inline"] if "build" in service else f"FROM {service['image']}\n"
    assert re.search(r"^FROM [\w/.-]+:v?\d", image, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_the_loopback_address_only(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))
    assert "network_mode" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("kind", ["volumes", "configs", "secrets"])
def test_what_a_service_uses_is_declared(name, kind):
    assert names(SERVICES[name].get(kind, [])) <= set(COMPOSE[kind])


@pytest.mark.parametrize("kind", ["volumes", "configs", "secrets"])
def test_what_is_declared_is_used(kind):
    assert set(COMPOSE[kind]) == set().union(*(names(service.get(kind, [])) for service in SERVICES.values()))


def test_whoever_is_waited_for_says_when_it_is_ready():
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]


def test_there_is_no_secret_in_it():
    assert not re.search(r"://[^/\s@]*:[^/\s@]*@", TEXT)
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", key):
                assert key.endswith("_FILE")
                assert value.startswith("/run/secrets/")


def test_secrets_are_files_that_git_and_the_image_leave_out():
    ignored = [(ROOT / name).read_text(encoding="utf-8").splitlines() for name in (".gitignore", ".dockerignore")]
    for secret in COMPOSE["secrets"].values():
        folder = secret["file"].removeprefix("./").partition("/")[0]
        assert all({folder, f"{folder}/"} & set(lines) for lines in ignored)


def test_files_that_it_names_are_there_or_the_comments_say_how_to_make_them():
    for kind in ("configs", "secrets"):
        for entry in COMPOSE[kind].values():
            file = entry.get("file", "")
            assert (ROOT / file).exists() or f"> {file.removeprefix('./')}" in COMMENTS


@pytest.mark.parametrize("name", [n for n, s in SERVICES.items() if program(s.get("command", []))])
def test_a_command_is_one_that_its_program_takes(name, check_command):
    check_command([word.replace("$$", "$") for word in program(SERVICES[name]["command"])])


def test_the_commands_in_the_comments_are_real(check_command):
    shown = re.findall(r"docker compose exec \w+ ((?:mlflow|lifecycle) .*)", COMMENTS)
    assert shown
    for line in shown:
        check_command(line)


def test_the_registry_is_guarded_by_a_scheme_that_we_register():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (scheme,) = re.findall(r"--registry-store-uri=([\w+]+):", TEXT)
    assert scheme in project["entry-points"]["mlflow.model_registry_store"]
