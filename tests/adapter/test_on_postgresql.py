"""The tests of the registry store on PostgreSQL, which comes out of a wheel; see on_servers.py."""

from __future__ import annotations

import pytest

from tests.databases import postgresql

pytest.register_assert_rewrite("tests.adapter.on_servers")

from tests.adapter.on_servers import everything_on  # noqa: E402  # its assertions are rewritten as it is imported

pytestmark = pytest.mark.slow

globals().update(everything_on(postgresql))
