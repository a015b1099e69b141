"""The line of jobs: one computation at a time, in the order of arrival, whoever leaves at whatever moment."""

import asyncio
import random
import time
from contextlib import aclosing

import pytest

from mnistdiff.studio.answers import RequestError
from mnistdiff.studio.events import GoneError, while_connected
from mnistdiff.studio.jobs import MAX_WAITING, Jobs

READERS = MAX_WAITING + 1


class Computations:
    """Computations that record which began, and whether any two were at work at once."""

    def __init__(self):
        self.began, self.at_work, self.most_at_work = [], 0, 0

    def make(self, number):
        def work(emit):
            self.began.append(number)
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
            try:
                for step in range(3):
                    time.sleep(0.0005)
                    emit("step", {"step": step})
            finally:
                self.at_work -= 1

        return work


@pytest.mark.parametrize("seed", range(8))
def test_all_who_stay_are_served_in_order_whoever_leaves(seed):
    choose, computations, stayed = random.Random(seed), Computations(), []

    async def read(jobs, number):
        """Stay to the end, or leave after some events."""
        most = choose.choice([1, 2, 3, 4, 5, 100])
        async with aclosing(jobs.run(computations.make(number))) as events:
            found = []
            async for event in events:
                found.append(event)
                await asyncio.sleep(choose.choice([0, 0, 0.001]))
                if len(found) >= most:
                    return
        assert [event.data["step"] for event in found if event.name == "step"] == [0, 1, 2]
        positions = [event.data["position"] for event in found if event.name == "queued"]
        assert positions == sorted(set(positions), reverse=True)
        assert positions[-1] == 0
        stayed.append(number)

    async def many():
        jobs = Jobs()
        readers = [asyncio.create_task(read(jobs, number)) for number in range(READERS)]
        for reader in choose.sample(readers, 10):
            await asyncio.sleep(choose.random() / 200)
            reader.cancel()
        for outcome in await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), 60):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
        assert await asyncio.wait_for(jobs.result(lambda emit: "free"), 10) == "free"

    asyncio.run(many())
    assert computations.most_at_work == 1
    assert computations.began == sorted(computations.began)
    assert set(stayed) <= set(computations.began)


def test_an_error_of_the_work_is_raised_and_the_next_is_served():
    async def main():
        jobs = Jobs()
        with pytest.raises(ZeroDivisionError):
            await jobs.result(lambda emit: 1 / 0)
        return await jobs.result(lambda emit: 7)

    assert asyncio.run(main()) == 7


def test_a_computation_whose_client_goes_is_ended():
    def without_end(emit):
        while True:
            time.sleep(0.001)
            emit.check()

    async def goes_soon():
        await asyncio.sleep(0.02)
        return {"type": "http.disconnect"}

    async def main():
        jobs = Jobs()
        with pytest.raises(GoneError):
            await while_connected(goes_soon, jobs.result(without_end))
        return await asyncio.wait_for(jobs.result(lambda emit: 7), 10)

    assert asyncio.run(main()) == 7


def test_more_than_may_wait_are_refused():
    async def main():
        jobs = Jobs()
        streams = [jobs.run(lambda emit: time.sleep(0.001)) for _ in range(READERS)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(RequestError) as refused:
            await anext(jobs.run(lambda emit: None))
        for stream in streams:
            await stream.aclose()
        return refused.value.status

    assert asyncio.run(main()) == 503
