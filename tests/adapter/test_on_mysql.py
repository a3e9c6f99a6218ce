"""The registry store on MariaDB, which stands for MySQL too; in make proof only. See on_servers.py."""

from __future__ import annotations

import pytest

from tests.databases import mariadb

pytest.register_assert_rewrite("tests.adapter.on_servers")

from tests.adapter.on_servers import everything_on  # noqa: E402  # its assertions are rewritten as it is imported

pytestmark = [pytest.mark.slow, pytest.mark.proof]

globals().update(everything_on(mariadb))
