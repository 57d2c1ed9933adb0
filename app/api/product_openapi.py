"""What `/docs` shows of product profiles: bodies and parameters that FastAPI cannot derive.

Knows the OpenAPI document; the contract itself is in `product_schemas`.
"""

from typing import Any

from app.api.openapi import object_schema, query_parameter, with_image
from app.api.product_schemas import CalibrateParameters, GivenScore, RollbackParameters

CALIBRATE_DESCRIPTION = """
Send pictures of good parts; the answer is a threshold that rejects a good part with a probability of at most
`false_reject`. A rate of 0.005 needs 199 pictures, 0.02 needs 49.

    curl -F image=@good1.png -F image=@good2.png ... -F false_reject=0.02 \\
        'localhost:8080/v1/products/metal%20nut/calibrate'
    curl -d '{"image_path": "line3/good/*.png"}' 'localhost:8080/v1/products/metal%20nut/calibrate'

Or send each picture to `/v1/detect` and the scores here, with `model.digest` of the answers. If one picture
cannot be scored, none counts. The product profile is saved where SSVP_PRODUCTS_FILE can be written; `text` is
always the whole file.
"""


def calibrate_openapi() -> dict[str, Any]:
    """Return the calibration's bodies and query parameters."""
    properties: dict[str, Any] = CalibrateParameters.model_json_schema(ref_template="{model}")[
        "properties"
    ]
    score = GivenScore.model_json_schema()
    array = {"type": "array", "items": score, "minItems": 1}
    digest = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    flat = {k: v for k, v in properties.items() if k not in ("scores", "digest", "image_path")}
    pictures = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    by_path = object_schema({**flat, "image_path": properties["image_path"]}, ["image_path"])
    by_scores = object_schema({**flat, "scores": array, "digest": digest}, ["scores", "digest"])
    return {
        "parameters": [query_parameter(name, of) for name, of in flat.items()],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": with_image(flat, pictures)},
                "application/json": {"schema": {"anyOf": [by_path, by_scores]}},
            },
        },
    }


def rollback_openapi() -> dict[str, Any]:
    """Return the rollback's body."""
    schema = RollbackParameters.model_json_schema()
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}
