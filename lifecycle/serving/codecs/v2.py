"""The Open Inference Protocol over REST, inference: POST /v2/models/{model}[/versions/{version}]/infer.

Protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol, with the binary
tensor data extension and the request parameter ``timeout`` (microseconds) of NVIDIA's Triton.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.scoring.signature import InvalidInput, Signature, checked
from lifecycle.serving.codec import Call
from lifecycle.serving.codecs.v2_binary import from_bytes
from lifecycle.serving.codecs.v2_matrix import Head, columns_in_json
from lifecycle.serving.codecs.v2_reply import Reply, answer
from lifecycle.serving.codecs.v2_request import json_length, parameters_of, read_content, read_tensors
from lifecycle.serving.codecs.v2_signature import batch_of, outputs_of
from lifecycle.serving.message import Request, Response, json_response
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release

_LONGEST_HEAD = 16_384  # bytes
_HEADS = 64


class V2Codec:
    """Tensors by name, in JSON or as bytes behind it."""

    name = "v2"

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def decode(self, request: Request, release: Release) -> Call:
        """Read an inference request. The Content-Type is ignored, as the protocol's clients send none."""
        body, signature = request.body, release.signature
        end = json_length(request)
        head = self._heads.get(body[:end]) if end < len(body) else None
        if head is None:
            return self._read(request, end, signature)
        if end + head.length != len(body):
            raise InvalidInput("the body is not as long as the JSON and the tensors that it announces")
        _shorten(request, head.parameters)
        batch, rows = _behind(head, body, end, signature)
        return Call(batch, rows, _params(head.parameters, signature), head.reply)

    def encode(self, call: Call, predictions: Predictions, release: Release) -> Response:
        """Encode predictions as JSON, or as bytes if the client asks for them."""
        reply: Reply = call.reply
        content: dict[str, Any] = {"model_name": release.name, "model_version": str(release.desired.version)}
        if reply.id is not None:
            content["id"] = reply.id
        return answer(content, reply.asked(outputs_of(predictions, release.signature)))

    def refuse(self, refusal: Refusal) -> Response:
        """The protocol's error object."""
        return json_response(orjson.dumps({"error": str(refusal)}), refusal.headers, refusal.status)

    def _read(self, request: Request, end: int, signature: Signature) -> Call:
        """Read a request whose JSON is not cached."""
        body, content = request.body, read_content(request.body, end)
        parameters = parameters_of(content)
        reply = Reply(content, parameters)
        _shorten(request, parameters)
        matrix = columns_in_json(content.get("inputs"), signature) if end == len(body) else None
        if matrix is not None:
            return Call(matrix, len(matrix.array), _params(parameters, signature), reply)
        batch, rows = batch_of(read_tensors(content, body, end), signature)
        if reply.id is None and end <= _LONGEST_HEAD and not any("data" in spec for spec in content["inputs"]):
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            self._heads[body[:end]] = Head(content["inputs"], parameters, reply)
        return Call(batch, rows, _params(parameters, signature), reply)


def _behind(head: Head, body: bytes, end: int, signature: Signature) -> tuple[Batch, int]:
    matrix = head.matrix(body, end, signature)
    if matrix is not None:
        return matrix, len(matrix.array)
    tensors = {
        name: from_bytes(name, datatype, shape, body, (end + begin, end + stop))
        for name, datatype, shape, begin, stop in head.tensors
    }
    return batch_of(tensors, signature)


def _params(parameters: Mapping[str, Any], signature: Signature) -> Mapping[str, Any] | None:
    """Inference parameters of the model among the request's parameters, the protocol's only place for them."""
    return checked(dict(parameters), signature.params) if signature.params else None


def _shorten(request: Request, parameters: Mapping[str, Any]) -> None:
    """Apply the client's own time limit, if it has one."""
    microseconds = parameters.get("timeout", 0)
    if type(microseconds) is not int or microseconds < 0:
        raise InvalidInput("parameter 'timeout' must be a number of microseconds")
    if microseconds:
        request.deadline = min(request.deadline, request.arrived + microseconds / 1e6)
