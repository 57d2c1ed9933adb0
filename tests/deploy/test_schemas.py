"""Every resource against its schema: Kubernetes' own, or one written from an operator's pages."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.deploy.manifests import OVERLAYS, build
from tests.deploy.tools import ROOT

OWN = {
    schema["properties"]["kind"]["const"]: schema
    for schema in (
        json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.json")
    )
}
# The oldest that factories still run, and the newest that is known.
VERSIONS = ["1.29", kubernetes_validate.latest_version()]
IDS = [str(path.relative_to(ROOT)) for path in OVERLAYS]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS, ids=IDS)
def test_resources_are_valid(overlay: Path, version: str) -> None:
    """A resource of a kind without a schema is an error here, not a pass."""
    for resource in build(overlay):
        if schema := OWN.get(resource["kind"]):
            jsonschema.validate(resource, schema)
        else:
            kubernetes_validate.validate(resource, version, strict=True)


def _without(resource: dict[str, Any], field: str) -> dict[str, Any]:
    return {**resource, "spec": {k: v for k, v in resource["spec"].items() if k != field}}


@pytest.mark.parametrize(
    ("kind", "required"),
    [("ServiceMonitor", "endpoints"), ("PrometheusRule", "groups"), ("ScaledObject", "triggers")],
)
def test_own_schemas_refuse(kind: str, required: str) -> None:
    """They can tell: a missing field, and one that is spelled wrong."""
    resource = next(r for path in OVERLAYS for r in build(path) if r["kind"] == kind)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_without(resource, required), OWN[kind])
    misspelt = {**resource, "spec": {**resource["spec"], "scrapeIntervall": "5s"}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(misspelt, OWN[kind])


def test_a_kind_without_a_schema_is_refused() -> None:
    """The check above rests on it."""
    unknown = {"apiVersion": "example.org/v1", "kind": "Unheard", "metadata": {"name": "x"}}
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate(unknown, "1.29", strict=True)
