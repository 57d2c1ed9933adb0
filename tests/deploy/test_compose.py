"""docker-compose.yml: the same promises as in Kubernetes, on one machine."""

import re
from typing import Any

import pytest
import yaml

from app.http.server import WRITE_ANSWERS_S
from app.settings import PREFIX, Settings
from tests.deploy.tools import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["inspect", "inspect-gpu"]


@pytest.mark.parametrize("name", SERVICES)
def test_container_cannot_write_nor_gain_rights(name: str) -> None:
    """Read-only, without capabilities, with bounds."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    limits = service["deploy"]["resources"]["limits"]
    assert limits["memory"]
    assert limits["pids"]


@pytest.mark.parametrize("name", SERVICES)
def test_container_has_a_health_check(name: str) -> None:
    """Its own, or the image's."""
    assert name in OURS or SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", OURS)
def test_container_is_given_the_time_to_drain(name: str) -> None:
    """Docker kills later than the service has promised to end."""
    grace_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert grace_s > Settings.model_fields["grace_time_s"].default + WRITE_ANSWERS_S


@pytest.mark.parametrize("name", OURS)
def test_port_is_the_one_the_service_listens_on(name: str) -> None:
    """Published is the default port: nothing sets another one."""
    assert SERVICES[name]["ports"][0].endswith(f":{Settings.model_fields['port'].default}")
    assert PREFIX + "PORT" not in SERVICES[name]["environment"]


def test_prometheus_and_grafana_answer_this_machine_only() -> None:
    """They know everything and ask nobody who he is."""
    for name in ("prometheus", "grafana"):
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_prometheus_looks_up_the_name_the_containers_share() -> None:
    """However many there are."""
    config = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yml").read_text())
    (scrape,) = config["scrape_configs"]
    (lookup,) = scrape["dns_sd_configs"]
    for name in OURS:
        assert lookup["names"] == SERVICES[name]["networks"]["default"]["aliases"]
    assert lookup["port"] == Settings.model_fields["port"].default


def test_haproxy_waits_for_an_answer_until_its_deadline() -> None:
    """Later than that the machine behind it is lost."""
    config = (ROOT / "docker/haproxy/haproxy.cfg").read_text()
    (patience_s,) = re.findall(r"timeout server (\d+)s", config)
    assert int(patience_s) > Settings.model_fields["default_deadline_ms"].default / 1000


def test_every_mounted_file_exists() -> None:
    """A missing one would become an empty folder."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists()


def test_only_the_profile_gpu_asks_for_a_gpu() -> None:
    """`docker compose up` works without one."""
    assert SERVICES["inspect-gpu"]["profiles"] == ["gpu"]
    (device,) = SERVICES["inspect-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert "profiles" not in SERVICES["inspect"]


def test_documented_images_are_the_ones_used() -> None:
    """Who carries images over by hand carries the right ones."""
    saved = (ROOT / "docs/deployment.md").read_text()
    for name in ("prometheus", "grafana"):
        default = SERVICES[name]["image"].partition(":-")[2].removesuffix("}")
        assert default in saved
