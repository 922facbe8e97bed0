"""The files of deploy/, held against what reads them: linters, schemas, and the programs
themselves."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hosts import ROOT
from plaintally_server.cli.serve import serve
from programs import program
from proxies import CADDYFILE, configure_nginx

pytestmark = [pytest.mark.deploy, pytest.mark.linux]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVE = [option for option in serve.params if option.envvar]


def _accepts(*command: str, folder: Path = ROOT) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _tool(name: str) -> str:
    """A command that is installed beside the interpreter."""
    return str(Path(sys.executable).parent / name)


def test_the_scripts_and_the_style_of_what_is_yaml() -> None:
    _accepts("shellcheck", *map(str, (ROOT / "scripts").iterdir()), ".ci/run")
    _accepts(_tool("yamllint"), "--strict", "--config-file", "deploy/.yamllint", "deploy")


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    configure_nginx(
        tmp_path, ssl.create_default_context(), port=443, plain_port=80, collectors=(8080, 8081)
    )
    _accepts(
        "nginx", "-t", "-q", "-p", str(tmp_path), "-c", "main.conf", "-e", "stderr", folder=tmp_path
    )


def test_caddy_takes_its_file_and_would_not_write_it_otherwise(tmp_path: Path) -> None:
    _accepts(
        "caddy", "validate", "--adapter", "caddyfile", "--config", str(CADDYFILE), folder=tmp_path
    )
    assert _accepts("caddy", "fmt", str(CADDYFILE), folder=tmp_path) == CADDYFILE.read_text()


LIMITED = program("firewall_connections")


def test_the_firewall_limits_the_connections_of_each_client(tmp_path: Path) -> None:
    rules = DEPLOY / "nftables.conf"
    _accepts("nft", "--check", "--file", str(rules), folder=tmp_path)
    script = (
        f"ip link set lo up && nft -f {rules} && nft -f {rules} && {sys.executable} -c '{LIMITED}'"
    )
    assert _accepts("unshare", "--map-root-user", "--net", "sh", "-c", script) == "200 50\n"


def test_the_unit_is_right_and_shut(tmp_path: Path) -> None:
    unit = tmp_path / "plaintally.service"
    text = (DEPLOY / "plaintally.service").read_text()
    unit.write_text(
        text.replace("/opt/plaintally/bin/plaintally-server", str(shutil.which("true")))
    )
    assert _accepts("systemd-analyze", "verify", str(unit)) == ""
    # 1.5 of 10 are exposed.
    _accepts("systemd-analyze", "security", "--offline=yes", "--threshold=15", str(unit))


def test_the_units_of_the_alarm_are_right(tmp_path: Path) -> None:
    for name in ("plaintally-watch.service", "plaintally-watch.timer"):
        text = (DEPLOY / name).read_text()
        (tmp_path / name).write_text(
            text.replace("/opt/plaintally/bin/plaintally-server", str(shutil.which("true")))
        )
    assert _accepts("systemd-analyze", "verify", str(tmp_path / "plaintally-watch.timer")) == ""


def test_the_containerfile() -> None:
    _accepts(_tool("hadolint"), "--failure-threshold", "style", "deploy/Containerfile")
    stages = re.split(r"^FROM .*$", CONTAINERFILE, flags=re.MULTILINE)
    assert re.search(r"^USER 65532:65532$", stages[-1], re.MULTILINE)
    assert "HEALTHCHECK" in stages[-1]
    taken = re.findall(r"^COPY (\w+) ", CONTAINERFILE, re.MULTILINE)
    assert re.findall(r"^!(\w+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE) == taken


def test_compose() -> None:
    from compose_spec import PyCompose

    PyCompose.from_json(json.dumps(COMPOSE))
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", ())) <= set(services)
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert "no-new-privileges:true" in service["security_opt"]
        assert service.get("ports") is None or service is services["caddy"]
    shown = dict(
        line.split("=")
        for line in (DEPLOY / "compose.env.example").read_text().splitlines()
        if "=" in line
    )
    assert set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text())) == shown.keys()
    for name in services["caddy"]["environment"]:
        assert f"{{${name}:" in CADDYFILE.read_text()


def test_every_variable_is_a_setting() -> None:
    """What is named here and nowhere read would be a setting that does nothing."""
    known = {str(option.envvar) for option in SERVE}
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert set(re.findall(r"PLAINTALLY_SERVER_\w+", path.read_text())) <= known, path
