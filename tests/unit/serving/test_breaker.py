from __future__ import annotations

from lifecycle.serving.breaker import PAUSE_S, Breaker


def test_a_worker_that_had_answered_is_replaced_at_once():
    breaker = Breaker()
    for now in range(0, 60, 2):  # killed every two seconds, as in the proof
        breaker.ended(float(now), answered=True)
        assert breaker.may_start(float(now))
    assert not breaker.open


def test_those_that_never_answer_are_tried_less_and_less_often_and_then_given_up():
    breaker, now, waits = Breaker(), 0.0, []
    while not breaker.open:
        breaker.ended(now, answered=False)
        begun = now
        while not breaker.may_start(now):
            now += 0.05
        waits.append(round(now - begun, 1))
    assert waits[:-1] == sorted(waits[:-1])
    assert len(waits) == 5
    assert waits[-1] >= PAUSE_S - 0.1


def test_many_ends_in_a_short_time_open_it_even_if_each_had_answered():
    breaker = Breaker()
    for number in range(30):
        breaker.ended(number * 0.5, answered=True)
    assert breaker.open
    assert not breaker.may_start(20.0)
    assert breaker.may_start(15 + PAUSE_S)


def test_an_answer_or_something_else_to_serve_closes_it():
    for heal in (Breaker.answers, Breaker.reset):
        breaker = Breaker()
        for _ in range(5):
            breaker.ended(1.0, answered=False)
        assert breaker.open
        heal(breaker)
        assert not breaker.open
    assert breaker.may_start(1.0)
