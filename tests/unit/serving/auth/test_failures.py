"""What is counted of those whom nobody knows."""

from __future__ import annotations

import logging

import pytest

from lifecycle.serving.auth import failures
from lifecycle.serving.auth.failures import LIMIT, WINDOW_S, Failures


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def counted(now):
    return Failures(lambda: now[0])


def test_the_first_ones_are_told_no_and_the_others_when_to_come_back(counted, now):
    assert [counted.count("10.0.0.1") for _ in range(LIMIT)] == [0] * LIMIT
    assert counted.count("10.0.0.1") == WINDOW_S
    now[0] += 59.5
    assert counted.count("10.0.0.1") == 1
    now[0] += 1
    assert counted.count("10.0.0.1") == 0


def test_addresses_are_counted_apart_and_a_network_of_ipv6_as_one(counted):
    for number in range(LIMIT):
        counted.count("10.0.0.1")
        counted.count(f"2001:db8::{number:x}")
    assert counted.count("10.0.0.2") == 0
    assert counted.count("2001:db8::ffff%eth0") > 0
    assert counted.count("2001:db8:0:1::1") == 0


def test_the_table_is_bounded(counted, monkeypatch):
    monkeypatch.setattr(failures, "_ADDRESSES", 100)
    for number in range(1000):
        counted.count(f"address-{number}")
    assert len(counted._seen) == 100


def test_the_log_says_so_once_a_window(counted, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            counted.count("10.0.0.1")
    assert caplog.text.count("10.0.0.1") == 1
