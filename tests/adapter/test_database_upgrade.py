from tests.databases import KINDS


def test_x():
    assert KINDS
