"""Requests that nobody would write: the codecs take them or say what is wrong, and nothing else happens."""

from __future__ import annotations

import copy
import json
import random
import struct
import warnings
from typing import Any

import numpy as np
import pytest

from lifecycle.scoring.contract import row_count
from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.codecs.tfserving import TfServingCodec
from lifecycle.serving.codecs.v2 import V2Codec
from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal
from tests.proof import rounds
from tests.serving_here import Model, echo, mixed, numbers, release, tensor

REQUESTS = rounds(100_000, 5_000)
LENGTH = b"inference-header-content-length"

VALUES = [None, True, False, 0, -1, 1.5, 2**53 + 1, 2**63, -(2**63) - 1, 1e308, "", "x", "\0", "FP64", "BYTES"]
VALUES += [
    [],
    {},
    [[]],
    [1],
    [True, 1.0],
    {"a": 1},
    [None],
    [1, "x"],
    [[1.0], 2.0],
    [0],
    [10**30],
    [1] * 40,
    "9" * 3000,
]
TOKENS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b'"',
    b":",
    b"\\ud800",
    b"\xff",
    b"\0",
    b"NaN",
    b"1e400",
    b"-0",
    b"9" * 400,
]


def columns(**more: Any) -> list[dict]:
    made = {
        "a": ("FP64", [1.5, 2.0]),
        "b": ("INT64", [1, 2]),
        "c": ("BYTES", ["p", "ü"]),
        "d": ("BOOL", [True, False]),
    }
    return [tensor(name, datatype, values, **more) for name, (datatype, values) in made.items()]


def binary(name: str, datatype: str, shape: list[int], size: int) -> dict:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


TEXTS = struct.pack("<I", 1) + b"p" + struct.pack("<I", 2) + "ü".encode()
V2: list[tuple[Model, dict, bytes]] = [
    (mixed(), {"id": "1", "inputs": columns(), "outputs": [{"name": "y"}], "parameters": {"timeout": 0}}, b""),
    (mixed(), {"inputs": columns(content_type="str"), "parameters": {"binary_data_output": True}}, b""),
    (numbers(), {"inputs": [tensor(name, "FP64", [1.0, 2.5]) for name in "xyz"]}, b""),
    (numbers(), {"inputs": [tensor("x", "FP32", [[1, 2, 3]])]}, b""),
    (echo(), {"inputs": [tensor("input-0", "FP32", [[1, 2], [3, 4]])]}, b""),
    (numbers(), {"inputs": [binary(name, "FP64", [2], 16) for name in "xyz"]}, bytes(48)),
    (echo(), {"inputs": [binary("input-0", "FP32", [2, 2], 16)]}, bytes(16)),
    (
        mixed(),
        {"inputs": [*columns()[:2], binary("c", "BYTES", [2], 11), binary("d", "BOOL", [2], 2)]},
        TEXTS + b"\1\0",
    ),
]
ROW = {"a": 1.5, "b": 1, "c": "p", "d": True}
TF: list[tuple[Model, dict, bytes]] = [
    (mixed(), {"signature_name": "serving_default", "instances": [ROW, ROW]}, b""),
    (mixed(), {"inputs": {name: [value, value] for name, value in ROW.items()}}, b""),
    (mixed(), {"instances": [ROW | {"a": [1.5], "c": {"b64": "cA=="}}]}, b""),
    (numbers(), {"instances": [[1, 2.5, 3], [4, 5, 6]]}, b""),
    (echo(), {"inputs": [[1.0, 2.0], [3.0, 4.0]]}, b""),
]


@pytest.mark.parametrize(("codec", "seeds"), [(V2Codec(), V2), (TfServingCodec(), TF)], ids=["v2", "tfserving"])
def test_whatever_is_sent_is_read_or_refused(codec, seeds):
    dice = random.Random(7)
    releases = [release("m", model) for model, _, _ in seeds]
    taken = longest = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(REQUESTS):
            which = dice.randrange(len(seeds))
            request = spoiled(dice, *seeds[which][1:])
            try:
                call = codec.decode(request, releases[which])
            except (InvalidInput, Refusal) as refusal:
                longest = max(longest, len(str(refusal)))
                continue
            taken += 1
            assert call.rows == row_count(call.batch)
            for column in releases[which].signature.inputs:
                assert call.batch[column.name].dtype == column.dtype
    assert REQUESTS / 100 < taken < REQUESTS
    assert longest < 5000


def spoiled(dice: random.Random, content: dict, tail: bytes) -> Request:
    """A request with a mistake or two, in what it says or in its bytes."""
    content = copy.deepcopy(content)
    for _ in range(dice.choice([0, 1, 1, 2])):
        change(dice, content)
    head = json.dumps(content).encode()
    length = len(head)
    body = bytearray(head + tail)
    for _ in range(dice.choice([0, 0, 0, 1, 2])):
        place = dice.randrange(len(body) + 1)
        match dice.randrange(4):
            case 0:
                body[place : place + 1] = bytes([dice.randrange(256)])
            case 1:
                body[place:place] = dice.choice(TOKENS)
            case 2:
                del body[place : place + dice.randrange(1, 20)]
            case 3:
                length = dice.choice([0, 1, length - 1, length + 1, len(body), len(body) + 1, 2**40])
    request = Request("POST", "/", [(LENGTH, b"%d" % length)] if tail or length != len(head) else [])
    request.body = bytes(body)
    return request


def change(dice: random.Random, content: Any) -> None:
    """Put something else in one place of it."""
    places = [
        (owner, key)
        for owner in containers(content)
        for key in (owner if isinstance(owner, dict) else range(len(owner)))
    ]
    if not places:
        return
    owner, key = dice.choice(places)
    match dice.randrange(4):
        case 0 if isinstance(owner, dict):
            owner[dice.choice(["parameters", "shape", "x", "", "binary_data_size", "data"])] = copy.deepcopy(
                dice.choice(VALUES)
            )
        case 1:
            del owner[key]
        case _:
            owner[key] = copy.deepcopy(dice.choice(VALUES))


def containers(content: Any) -> list[Any]:
    """All lists and objects in it that hold something."""
    inside = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    found = [content] if inside else []
    return found + [deeper for value in inside for deeper in containers(value)]


def test_the_seeds_are_good_requests():
    for codec, seeds in ((V2Codec(), V2), (TfServingCodec(), TF)):
        for model, content, tail in seeds:
            head = json.dumps(content).encode()
            request = Request("POST", "/", [(LENGTH, b"%d" % len(head))] if tail else [])
            request.body = head + tail
            released = release("m", model)
            call = codec.decode(request, released)
            response = codec.encode(call, model.predict(call.batch), released)
            assert (response.status, call.rows) == (200, len(np.atleast_1d(next(iter(call.batch.values())))))
