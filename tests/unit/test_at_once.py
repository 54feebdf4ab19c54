"""A coroutine whose first step is made at once: values, exceptions, cancellation and deadlines go through."""

import asyncio

import pytest

from gateway.ingress.at_once import AtOnce


async def steps(event: asyncio.Event, *, heard: list[str] | None = None) -> int:
    try:
        await event.wait()
        await asyncio.sleep(0)
        await event.wait()
    except asyncio.CancelledError:
        if heard is not None:
            heard.append("cancelled")
        raise
    return 7


async def test_what_needs_no_waiting_is_done_at_once() -> None:
    async def ready() -> str:
        return "there"

    started = AtOnce(ready())
    assert started.is_done
    assert started.result() == "there"


async def test_what_the_first_step_raises_comes_at_once() -> None:
    async def broken() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        AtOnce(broken())


async def test_what_waits_is_awaited_with_all_its_steps() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    started = AtOnce(steps(event))
    assert not started.is_done
    assert await started == 7


async def test_an_exception_of_a_later_step_comes_out() -> None:
    async def later() -> None:
        await asyncio.sleep(0)
        raise ValueError("later")

    started = AtOnce(later())
    with pytest.raises(ValueError, match="later"):
        await started


async def test_a_deadline_ends_the_wait_and_the_coroutine_hears_of_it() -> None:
    heard: list[str] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await AtOnce(steps(asyncio.Event(), heard=heard))
    assert heard == ["cancelled"]


async def test_a_coroutine_may_answer_a_cancellation_with_a_value() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done all the same"
        return "never"

    async def outer() -> str:
        return await AtOnce(stubborn())

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "done all the same"
