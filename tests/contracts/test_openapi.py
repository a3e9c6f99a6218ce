"""/openapi.json of a deployed model: it is valid, and its examples are ones that the server takes."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import jsonschema
import pytest

from lifecycle.serving.release import Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State
from tests.serving_here import echo, mixed, numbers, serving

pytestmark = pytest.mark.slow

SCORING = ["/invocations", "/models/flights/invocations", "/v2/models/flights/infer"]
SCORING += ["/v2/models/flights/versions/1/infer", "/v1/models/flights:predict"]


@pytest.fixture(scope="module")
def ask(lifecycle_models, rest):
    address = urlsplit(rest.deploy(lifecycle_models[0].spec("flights")).address)

    def ask(method, path, content=None):
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    return ask


@pytest.fixture(scope="module")
def document(ask):
    return ask("GET", "/openapi.json")[1]


@pytest.mark.parametrize("path", SCORING)
def test_the_models_example_is_right_by_its_own_schema_and_so_is_the_answer(ask, document, path):
    operation = document["paths"][path]["post"]
    media = operation["requestBody"]["content"]["application/json"]
    check(document, media["schema"], media["example"])
    status, answer = ask("POST", path, media["example"])
    assert status == 200
    check(document, operation["responses"]["200"]["content"]["application/json"]["schema"], answer)


def test_it_says_whose_version_this_is(document):
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "flights: flights-delay"
    assert document["info"]["version"] == "1"


def test_every_schema_is_one(document):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_route_is_there_and_says_whether_it_asks_for_a_key(document):
    told = {
        (path, method.upper()): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for route in routes_of(State(Releases("m"), Settings())).all:
        path = route.path.replace("{model}", "flights").replace("{version}", "1")
        assert ("security" in told[path, route.method]) == (route.permission != "none")


def test_several_models_have_their_own_columns_and_their_own_paths():
    with serving({"mixed": mixed(), "numbers": numbers(), "echo": echo()}) as here:
        document = here.ask("GET", "/openapi.json").json
        example = {"inputs": {"x": [1.0], "y": [2.0], "z": [3.0]}}
        for name, fits in (("numbers", True), ("mixed", False), ("echo", False)):
            schema = {"$ref": f"#/components/schemas/{name}.mlflow.request"}
            assert is_right(document, schema, example) == fits
            answer = here.ask("POST", f"/models/{name}/invocations", example)
            assert (answer.status == 200) == fits
            assert answer.headers["x-lifecycle-model"] == f"model-of-{name}"
        assert here.ask("POST", "/models/other/invocations", example).status == 404


def test_before_the_first_version_there_is_nothing_to_describe():
    with serving({"numbers": numbers()}) as here:
        here.state.releases.drop("numbers")
        assert here.ask("GET", "/openapi.json").status == 503
        assert here.ask("GET", "/docs").status == 200


def check(document, schema, content) -> None:
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(content)


def is_right(document, schema, content) -> bool:
    return jsonschema.Draft202012Validator({**schema, "components": document["components"]}).is_valid(content)
