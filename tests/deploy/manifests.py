"""Every kustomization as the resources it builds, and ways to look into them."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.tools import ROOT, kustomize, run

Resource = dict[str, Any]

# Shipped ones, and one of the tests' own with the components that no overlay has.
OVERLAYS = sorted(
    path.parent
    for folder in (ROOT / "k8s/overlays", Path(__file__).parent / "overlays")
    for path in folder.glob("*/kustomization.yaml")
)
SERVING = [path for path in OVERLAYS if path.name != "train"]


@cache
def build(overlay: Path) -> tuple[Resource, ...]:
    """Return the resources of an overlay."""
    done = run(*kustomize(), overlay)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(overlay: Path, *kinds: str) -> list[Resource]:
    """Return an overlay's resources of some kinds."""
    return [resource for resource in build(overlay) if resource["kind"] in kinds]


def pod_specs(overlay: Path) -> Iterator[Resource]:
    """Yield the pod specification of each workload."""
    for resource in of_kind(overlay, "Deployment", "Job"):
        yield resource["spec"]["template"]["spec"]


def containers(pod: Resource) -> list[Resource]:
    """Return a pod's containers, those that run first included."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def serving(overlay: Path) -> tuple[Resource, Resource]:
    """Return the pod specification of the service and its one container."""
    (deployment,) = of_kind(overlay, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def environment(container: Resource) -> dict[str, Any]:
    """Return a container's variables by name: a value, or where it comes from."""
    return {
        item["name"]: item.get("value", item.get("valueFrom")) for item in container.get("env", [])
    }


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Tell whether labels satisfy a selector's equalities."""
    return selector.items() <= labels.items()


def main() -> None:
    """Write what each overlay builds into a folder: `python -m tests.deploy.manifests FOLDER`."""
    for overlay in OVERLAYS:
        text = yaml.safe_dump_all(build(overlay))
        (Path(sys.argv[1]) / f"{overlay.name}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
