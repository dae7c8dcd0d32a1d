"""One transaction at a time, and what happens to the requests that come meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from liveconfig._engine.single_flight import SingleFlight

PATIENCE = 30.0


class Flight(SingleFlight):
    """Counts the calls that it makes."""

    def __init__(self):
        self.again, self.ended = [], []
        super().__init__(lambda: self.again.append(None), lambda: self.ended.append(None))


@pytest.fixture
def flight():
    return Flight()


@pytest.fixture
def pool():
    """A second thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def running(flight, pool):
    """A transaction that runs in another thread, until the event is set."""
    begun, go = threading.Event(), threading.Event()

    def transaction():
        begun.set()
        assert go.wait(PATIENCE)

    ends = pool.submit(flight.run, transaction)
    assert begun.wait(PATIENCE)

    def end():
        go.set()
        ends.result(PATIENCE)

    yield end
    end()


class TestNumbers:
    def test_each_is_higher(self, flight):
        """Each request draws a higher number, and a transaction that begins now serves the highest."""
        first, second = flight.draw(), flight.draw()
        assert first < second
        assert flight.newest(first) == second
        assert flight.newest(second + 1) == second + 1

    def test_served(self, flight):
        """A transaction serves the numbers up to its own, and no later ones."""
        first, second, third = (flight.draw() for _ in range(3))
        assert not flight.is_served(first, insist=False)
        flight.serve(second, insist=False)
        assert [flight.is_served(each, insist=False) for each in (first, second, third)] == [True, True, False]

    def test_served_by_one_that_tried_again(self, flight):
        """A request that insists is served only by a transaction that tried again what is rejected."""
        number = flight.draw()
        flight.serve(number, insist=False)
        assert not flight.is_served(number, insist=True)
        flight.serve(number, insist=True)
        assert flight.is_served(number, insist=True)
        assert flight.is_served(number, insist=False)


class TestLooks:
    def test_inside(self, flight):
        """A look knows that it is inside, hands on what the work returns, and reports its end once."""
        assert not flight.is_inside()
        assert flight.enter(lambda: (flight.is_inside(), flight.enter(flight.is_inside), len(flight.ended))) == (
            True,
            True,
            0,
        )
        assert not flight.is_inside()
        assert len(flight.ended) == 1

    def test_an_inner_one_leaves_the_outer_one(self, flight):
        """The end of a look inside a look does not end the outer one."""

        def outer():
            flight.enter(lambda: None)
            return flight.is_inside(), flight.longest() is not None

        assert flight.enter(outer) == (True, True)

    def test_one_that_raises(self, flight):
        """A look that raises has ended, too."""
        with pytest.raises(ZeroDivisionError):
            flight.enter(lambda: 1 / 0)
        assert not flight.is_inside()
        assert flight.longest() is None
        assert len(flight.ended) == 1

    def test_of_another_thread(self, flight, pool):
        """A look of another thread is not the caller's."""
        assert flight.enter(lambda: pool.submit(flight.is_inside).result(PATIENCE)) is False

    def test_longest(self, flight, pool, monkeypatch):
        """The seconds of the oldest look are known, also from another thread; None if none runs."""
        now = [100.0]
        monkeypatch.setattr("liveconfig._clock.monotonic", lambda: now[0])
        assert flight.longest() is None

        def outer():
            now[0] = 103.0
            return pool.submit(flight.enter, flight.longest).result(PATIENCE)

        assert flight.enter(outer) == 3.0


class TestTransactions:
    def test_alone(self, flight, running, pool):
        """A transaction waits for the running one."""
        order = []
        with ThreadPoolExecutor(1) as third:
            waits = third.submit(flight.run, lambda: order.append("second"))
            order.append("first")
            running()
            waits.result(PATIENCE)
        assert order == ["first", "second"]

    def test_inside_its_own(self, flight):
        """Inside a transaction, another one of this thread runs at once."""
        done = []
        flight.run(lambda: flight.run(lambda: done.append("run")))
        flight.run(lambda: done.append(flight.run_now(lambda: done.append("run now"))))
        assert done == ["run", "run now", True]

    def test_now(self, flight):
        """If none runs, it is run, and nobody is asked to come again."""
        done = []
        assert flight.run_now(lambda: done.append("now"))
        assert done == ["now"]
        assert not flight.again

    def test_turned_away(self, flight, running):
        """While another thread runs one, it is not run; ``again`` is called once, after that one has ended."""
        done = []
        assert flight.run_now(lambda: done.append("now")) is False
        assert not flight.again
        running()
        assert (done, len(flight.again)) == ([], 1)
        flight.run(lambda: None)
        assert len(flight.again) == 1

    def test_one_that_raises(self, flight, pool):
        """A transaction that raises lets the next one of another thread run."""
        with pytest.raises(ZeroDivisionError):
            flight.run(lambda: 1 / 0)
        assert pool.submit(flight.run_now, lambda: None).result(PATIENCE)

    def test_free(self, flight, running):
        """It is free when no other thread runs a transaction, and inside one's own."""
        assert flight.is_free_within(0.01) is False
        running()
        assert flight.is_free_within(0.01) is True
        inside = []
        flight.run(lambda: inside.append(flight.is_free_within(0.01)))
        assert inside == [True]


class TestWithin:
    def test_free(self, flight):
        """If none runs, it is run."""
        done = []
        assert flight.run_within(0.01, lambda: done.append("run")) is True
        assert done == ["run"]

    def test_too_long(self, flight, running):
        """If the running one does not end in time, it is not run, also not later."""
        done = []
        assert flight.run_within(0.01, lambda: done.append("run")) is False
        running()
        flight.run(lambda: None)
        assert not done

    def test_in_time(self, flight, running):
        """If the running one ends in time, it is run."""
        done = []
        with ThreadPoolExecutor(1) as third:
            waits = third.submit(flight.run_within, PATIENCE, lambda: done.append("run"))
            running()
            assert waits.result(PATIENCE) is True
        assert done == ["run"]

    @pytest.mark.parametrize("failure", [None, ZeroDivisionError])
    def test_inside_its_own(self, flight, failure):
        """Inside a transaction it is put off until that one ends, in order, also if that one raises."""
        order = []

        def transaction():
            assert flight.run_within(0.01, lambda: order.append("one")) is True
            assert flight.run_within(0.01, lambda: order.append("two")) is True
            order.append("end")
            if failure is not None:
                raise failure

        if failure is None:
            flight.run(transaction)
        else:
            with pytest.raises(failure):
                flight.run(transaction)
        flight.run(lambda: None)
        assert order == ["end", "one", "two"]

    def test_after_one_that_was_put_off_raises(self, flight):
        """What is put off behind one that raises still runs, once."""
        order = []

        def transaction():
            flight.run_within(0.01, lambda: 1 / 0)
            flight.run_within(0.01, lambda: order.append("next"))

        with pytest.raises(ZeroDivisionError):
            flight.run(transaction)
        flight.run(lambda: None)
        assert order == ["next"]
