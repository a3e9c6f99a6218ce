"""Whatever MLflow or its database raises becomes one line of ours, without passwords."""

from __future__ import annotations

import pytest
import requests
import sqlalchemy.exc
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos import databricks_pb2 as codes

from lifecycle.errors import Conflict, LifecycleError, NotFound, PromotionRefused, Unavailable, UsageError
from lifecycle.registry.mlflow_versions import translated


def raised(error: Exception) -> LifecycleError:
    with pytest.raises(LifecycleError) as caught, translated():
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (codes.RESOURCE_DOES_NOT_EXIST, NotFound),
        (codes.PERMISSION_DENIED, PromotionRefused),
        (codes.RESOURCE_CONFLICT, Conflict),
        (codes.RESOURCE_ALREADY_EXISTS, Conflict),
        (codes.INVALID_PARAMETER_VALUE, UsageError),
        (codes.UNAUTHENTICATED, UsageError),
        (codes.TEMPORARILY_UNAVAILABLE, Unavailable),
        (codes.INTERNAL_ERROR, Unavailable),
        (codes.INVALID_STATE, Unavailable),
        (codes.REQUEST_LIMIT_EXCEEDED, Unavailable),
    ],
)
def test_each_code_has_its_error(code, kind):
    error = raised(MlflowException("what it says", code))
    assert type(error) is kind
    assert "what it says" in str(error)


def test_a_refusal_over_http_reads_as_the_guard_wrote_it():
    answer = {"error_code": "PERMISSION_DENIED", "message": "Version 1 may not go to Production: no."}
    assert str(raised(RestException(answer))) == "Version 1 may not go to Production: no."


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("refused"),
        requests.Timeout("too late"),
        ConnectionResetError("reset"),
        sqlalchemy.exc.OperationalError("SELECT secret", {}, Exception("database is locked")),
        MlflowException("(sqlite3.DatabaseError) file is not a database\n[SQL: …]", codes.BAD_REQUEST),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_answer_is_unavailable_in_one_line(error):
    answer = raised(error)
    assert isinstance(answer, Unavailable)
    assert "\n" not in str(answer)
    assert "SELECT" not in str(answer)


def test_passwords_in_urls_do_not_come_through():
    error = raised(MlflowException("API request to http://ada:s3cret@host:5000/api failed"))
    assert "s3cret" not in str(error)
    assert "http://host:5000/api" in str(error)


def test_our_own_errors_pass_as_they_are():
    mine = NotFound("mine")
    assert raised(mine) is mine
