"""What schemas cannot see: names that must be the same in two places, promises kept in both."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from app.api.routes import batch, detect, health, products
from app.http.server import WRITE_ANSWERS_S
from app.products.profile import ProductsFile
from app.settings import PREFIX, Settings
from tests.deploy.manifests import (
    OVERLAYS,
    SERVING,
    Resource,
    build,
    containers,
    environment,
    matches,
    of_kind,
    pod_specs,
    serving,
)
from tests.deploy.tools import ROOT

UNITS = {"": 0, "m": -3, "k": 3, "M": 6, "G": 9, "Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40}


def _ids(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


every_overlay = pytest.mark.parametrize("overlay", OVERLAYS, ids=_ids(OVERLAYS))
serving_overlay = pytest.mark.parametrize("overlay", SERVING, ids=_ids(SERVING))


def _quantity(text: object) -> Decimal:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(m|k|M|G|Ki|Mi|Gi|Ti|)", str(text))
    assert found, f"{text!r} is no quantity"
    number, unit = Decimal(found[1]), found[2]
    return number * (Decimal(2) if unit.endswith("i") else Decimal(10)) ** UNITS[unit]


@serving_overlay
def test_everything_that_selects_pods_selects_the_service(overlay: Path) -> None:
    """Service, disruption budget, network policy, deployment and spread mean the same pods."""
    (deployment,) = of_kind(overlay, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [r["spec"]["selector"] for r in of_kind(overlay, "Service")]
    selectors += [
        r["spec"]["selector"]["matchLabels"] for r in of_kind(overlay, "PodDisruptionBudget")
    ]
    selectors += [
        r["spec"]["podSelector"]["matchLabels"] for r in of_kind(overlay, "NetworkPolicy")
    ]
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    selectors += [constraint["labelSelector"]["matchLabels"] for constraint in spread]
    assert len(selectors) == 5
    for selector in selectors:
        assert selector
        assert matches(selector, labels)


@serving_overlay
def test_monitor_finds_the_services_port(overlay: Path) -> None:
    """Prometheus scrapes /metrics on a port that the Service has, under the job's name that alarms use."""
    (service,) = of_kind(overlay, "Service")
    for monitor in of_kind(overlay, "ServiceMonitor"):
        assert matches(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert endpoint["path"] in _paths()
        assert service["metadata"]["name"] == "ssvp-inspect"


@serving_overlay
def test_ports_agree(overlay: Path) -> None:
    """Service, policy and probes name the container's port, and the service listens there."""
    _, container = serving(overlay)
    (port,) = container["ports"]
    (service,) = of_kind(overlay, "Service")
    (policy,) = of_kind(overlay, "NetworkPolicy")
    named = [item["targetPort"] for item in service["spec"]["ports"]]
    named += [item["port"] for rule in policy["spec"]["ingress"] for item in rule["ports"]]
    named += [container[probe]["httpGet"]["port"] for probe in PROBES]
    assert set(named) == {port["name"]}
    assert int(environment(container)["SSVP_PORT"]) == port["containerPort"]


PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def _paths() -> set[str]:
    routers = (detect.router, batch.router, products.router, health.router)
    return {
        route.path for router in routers for route in router.routes if isinstance(route, APIRoute)
    }


@serving_overlay
def test_probes_ask_what_the_service_answers(overlay: Path) -> None:
    """Alive and ready are different questions: a restart mends only the first."""
    _, container = serving(overlay)
    asked = {probe: container[probe]["httpGet"]["path"] for probe in PROBES}
    assert set(asked.values()) <= _paths()
    assert asked["livenessProbe"] == "/livez"
    assert asked["readinessProbe"] == "/readyz"


@serving_overlay
def test_a_pod_is_given_the_time_it_needs_to_end(overlay: Path) -> None:
    """Others stop sending first; then what was accepted is answered; only then may the pod be killed."""
    pod, container = serving(overlay)
    sleep, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    grace_s = int(environment(container)["SSVP_GRACE_TIME_S"])
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + grace_s + WRITE_ANSWERS_S + 5
    readiness = container["readinessProbe"]
    assert int(seconds) > readiness["periodSeconds"] * readiness["failureThreshold"]


@serving_overlay
def test_a_rolling_update_leaves_replicas(overlay: Path) -> None:
    """Either the successor comes first, or others carry the line meanwhile."""
    (deployment,) = of_kind(overlay, "Deployment")
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    assert sum(rolling.values()) == 1
    scalers = of_kind(overlay, "ScaledObject", "HorizontalPodAutoscaler")
    least = [deployment["spec"].get("replicas")]
    least += [s["spec"].get("minReplicaCount", s["spec"].get("minReplicas")) for s in scalers]
    assert min(number for number in least if number is not None) >= 2
    (budget,) = of_kind(overlay, "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1


@every_overlay
def test_pods_are_restricted(overlay: Path) -> None:
    """What the Pod Security Standard `restricted` asks of pods, and a root folder nobody writes to."""
    for pod in pod_specs(overlay):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in containers(pod):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}


@serving_overlay
def test_namespace_enforces_it(overlay: Path) -> None:
    """The cluster refuses other pods, whatever a manifest says."""
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@every_overlay
def test_images_have_a_tag(overlay: Path) -> None:
    """`latest` would be whatever a node happens to have."""
    for pod in pod_specs(overlay):
        for container in containers(pod):
            assert re.fullmatch(r"[a-z./-]+:(?!latest$)[\w.-]+", container["image"])


@every_overlay
def test_quantities_can_be_read_and_limits_bound_requests(overlay: Path) -> None:
    """Each container says what it needs and what it may take."""
    for pod in pod_specs(overlay):
        for container in containers(pod):
            limits, requests = container["resources"]["limits"], container["resources"]["requests"]
            assert {"cpu", "memory"} <= requests.keys()
            for name in requests:
                assert 0 < _quantity(requests[name]) <= _quantity(limits[name])
        for volume in pod.get("volumes", []):
            if "emptyDir" in volume:
                assert _quantity(volume["emptyDir"]["sizeLimit"]) > 0


@every_overlay
def test_environment_holds_real_settings_of_the_right_kind(overlay: Path) -> None:
    """Every SSVP_ name is a setting, and every value is one that it takes."""
    fields = {PREFIX + name.upper(): name for name in Settings.model_fields}
    for pod in pod_specs(overlay):
        for container in containers(pod):
            variables = environment(container)
            named = {name for name in variables if name.startswith(PREFIX)}
            assert named <= fields.keys()
            given = {fields[name]: variables[name] for name in named}
            Settings.model_validate({k: v for k, v in given.items() if isinstance(v, str)})


@every_overlay
def test_variables_stand_after_those_they_use(overlay: Path) -> None:
    """Kubernetes fills in $(NAME) only if NAME came before."""
    for pod in pod_specs(overlay):
        for container in containers(pod):
            seen: set[str] = set()
            for item in container.get("env", []):
                assert set(re.findall(r"\$\((\w+)\)", str(item.get("value", "")))) <= seen
                seen.add(item["name"])


def _wanted_by(pod: Resource) -> set[tuple[str, str]]:
    """Return the config maps a pod refers to, and the claims."""
    found = {
        ("ConfigMap", source["configMapRef"]["name"])
        for container in containers(pod)
        for source in container.get("envFrom", [])
    }
    found |= {
        ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
        for volume in pod.get("volumes", [])
        if "persistentVolumeClaim" in volume
    }
    return found


@every_overlay
def test_what_pods_refer_to_is_there(overlay: Path) -> None:
    """Config maps and claims exist; each mount has its volume; each service account its resource."""
    there = {(r["kind"], r["metadata"]["name"]) for r in build(overlay)}
    if overlay.name == "train":  # it fills the volume that the service reads
        there.add(("PersistentVolumeClaim", "ssvp-bundles"))
    for pod in pod_specs(overlay):
        assert _wanted_by(pod) <= there
        if "serviceAccountName" in pod:
            assert ("ServiceAccount", pod["serviceAccountName"]) in there
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in containers(pod):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


@every_overlay
def test_paths_given_to_the_service_are_mounted(overlay: Path) -> None:
    """A keys' file or a bundle that is looked for beside its volume is not there."""
    for pod in pod_specs(overlay):
        for container in containers(pod):
            mounts = [Path(mount["mountPath"]) for mount in container.get("volumeMounts", [])]
            for value in environment(container).values():
                if isinstance(value, str) and value.startswith("/"):
                    assert any(Path(value).is_relative_to(mount) for mount in mounts), value


@every_overlay
def test_everything_stands_in_the_namespace(overlay: Path) -> None:
    """Nothing lands in `default`."""
    for resource in build(overlay):
        if resource["kind"] != "Namespace":
            assert resource["metadata"]["namespace"] == "ssvp-inspect"


@every_overlay
def test_nothing_goes_out(overlay: Path) -> None:
    """A policy on egress that allows nothing, for each workload."""
    policies = of_kind(overlay, "NetworkPolicy")
    for workload in of_kind(overlay, "Deployment", "Job"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        (policy,) = [
            p for p in policies if matches(p["spec"]["podSelector"]["matchLabels"], labels)
        ]
        assert "Egress" in policy["spec"]["policyTypes"]
        assert not policy["spec"].get("egress")


@pytest.mark.parametrize("name", ["gpu", "line", "autoscale"])
def test_one_replica_has_one_gpu(name: str) -> None:
    """And refuses to come up without it."""
    _, container = serving(ROOT / "k8s/overlays" / name)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert environment(container)["SSVP_DEVICE"] == "cuda:0"


@pytest.mark.parametrize("name", ["autoscale", "autoscale-hpa"])
def test_scaling_aims_at_the_deployment_and_owns_its_number(name: str) -> None:
    """A fixed number of replicas would fight it."""
    overlay = ROOT / "k8s/overlays" / name
    (scaler,) = of_kind(overlay, "ScaledObject", "HorizontalPodAutoscaler")
    (deployment,) = of_kind(overlay, "Deployment")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]


def test_profiles_are_read_where_they_are_mounted() -> None:
    """From the ConfigMap, whole, read-only and under a name that stays: a new file needs no restart."""
    overlay = ROOT / "k8s/overlays/line"
    pod, container = serving(overlay)
    file = Path(environment(container)["SSVP_PRODUCTS_FILE"])
    (mount,) = [m for m in container["volumeMounts"] if m["mountPath"] == str(file.parent)]
    assert mount["readOnly"] is True
    assert "subPath" not in mount  # the kubelet never updates those
    (volume,) = [v for v in pod["volumes"] if v["name"] == mount["name"]]
    (config,) = [
        c for c in of_kind(overlay, "ConfigMap") if c["metadata"]["name"] == "ssvp-products"
    ]
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    assert ProductsFile.model_validate_json(config["data"][file.name]).products == {}
