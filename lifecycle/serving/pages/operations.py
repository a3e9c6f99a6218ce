"""One operation of the OpenAPI document: its request and its answers."""

from __future__ import annotations

from typing import Any

from lifecycle.serving.pages import schemas
from lifecycle.serving.pages.example import Example
from lifecycle.serving.pages.schemas import Schema
from lifecycle.serving.release import Release

_JSON = "application/json"
_ERRORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mlflow": ("MLflow's error", ("error_code", "message")),
    "v2": ("The protocol's error", ("error",)),
    "tfserving": ("The protocol's error", ("error",)),
}
_TITLES = {
    "mlflow": "Score rows (MLflow)",
    "v2": "Infer (Open Inference Protocol)",
    "tfserving": "Predict (TensorFlow Serving)",
}
_FILES = ("application/vnd.apache.parquet", "application/vnd.apache.arrow.stream")
_BYTES: Schema = {"type": "string", "format": "binary"}


def scoring_operation(codec: str, release: Release, example: Example | None) -> dict[str, Any]:
    """Request and answers of a protocol's scoring path for one model; refers to :func:`scoring_schemas`.

    Args:
        codec: Name of the protocol.
    """
    rows = example and example.of(codec)
    content: dict[str, Any] = {_JSON: {"schema": _ref(release, codec, "request")}}
    if rows:
        content[_JSON]["example"] = rows
    good: dict[str, Any] = {_JSON: {"schema": _ref(release, codec, "answer")}}
    if codec == "mlflow":
        content |= {media: {"schema": _BYTES} for media in _FILES} | {"text/csv": {"schema": schemas.STRING}}
    if codec == "v2":
        good["application/octet-stream"] = {"schema": _BYTES}  # with the binary tensor extension
    return {
        "tags": [release.name],
        "summary": f"{_TITLES[codec]}: {release.name}",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "Predictions", "content": good}, **_refusals(codec)},
    }


def scoring_schemas(release: Release) -> dict[str, Schema]:
    """Schemas of each protocol for one model, by the names that operations refer to."""
    signature = release.signature
    made = {
        "mlflow": (schemas.scoring_request(signature), schemas.scoring_answer(signature)),
        "v2": (schemas.v2_request(signature), schemas.v2_answer()),
        "tfserving": (schemas.tf_request(signature), schemas.tf_answer(signature)),
    }
    return {
        f"{release.name}.{codec}.{side}": schema
        for codec, both in made.items()
        for side, schema in zip(("request", "answer"), both, strict=True)
    }


def page_operation(path: str, docstring: str) -> dict[str, Any]:
    """Answers of a path that does not score.

    Args:
        docstring: The page's own docstring.
    """
    protocol = "v2" if path.startswith("/v2") else "tfserving" if path.startswith("/v1/") else "mlflow"
    answer = {"description": "The answer", "content": _answer(path)}
    responses = {"200": answer, **_refusals(protocol)}
    if path.startswith("/v2") and path.endswith("/ready"):
        responses["400"] = answer | {"description": "No"}
    if path.endswith("load"):
        del responses["200"]
    operation = {"tags": ["server"], "summary": docstring.partition("\n")[0].strip(), "responses": responses}
    if path == "/v2/repository/index":
        schema: Schema = {"type": "object", "properties": {"ready": {"type": "boolean"}}}
        operation["requestBody"] = {"content": {_JSON: {"schema": schema}}}
    return operation


def error_answers() -> dict[str, Any]:
    """Answers without predictions, by protocol."""
    answers = {
        codec: {"description": title, "content": _error(fields)} for codec, (title, fields) in _ERRORS.items()
    }
    answers["mlflow"]["content"]["text/plain"] = {"schema": schemas.STRING}  # type: ignore[index]
    return answers


def _error(fields: tuple[str, ...]) -> dict[str, Any]:
    schema = {"type": "object", "properties": dict.fromkeys(fields, schemas.STRING), "required": list(fields)}
    return {_JSON: {"schema": schema}}


def _ref(release: Release, codec: str, side: str) -> Schema:
    return {"$ref": f"#/components/schemas/{release.name}.{codec}.{side}"}


def _refusals(codec: str) -> dict[str, Any]:
    error = {"$ref": f"#/components/responses/{codec}"}
    return {"4XX": error, "5XX": error}


def _answer(path: str) -> dict[str, Any]:
    fields = _FIELDS.get(path.replace("/versions/{version}", ""))
    if fields is None:
        return {"*/*": {}}
    required = {name: {"type": kind} for name, kind in fields.items()}
    return {_JSON: {"schema": {"type": "object", "properties": required, "required": list(required)}}}


_FIELDS = {
    "/metadata": {"name": "string", "model": "string", "version": "integer", "digest": "string"},
    "/v2": {"name": "string", "version": "string", "extensions": "array"},
    "/v2/health/live": {"live": "boolean"},
    "/v2/health/ready": {"ready": "boolean"},
    "/v2/models/{model}": {"name": "string", "versions": "array", "platform": "string"}
    | {"inputs": "array", "outputs": "array"},
    "/v2/models/{model}/ready": {"name": "string", "ready": "boolean"},
    "/v1/models/{model}": {"model_version_status": "array"},
    "/v1/models/{model}/metadata": {"model_spec": "object", "metadata": "object"},
}
