import threading

import pytest

from mgdn_edge.runtime.pairing.channel import Channel


def test_lossless_keeps_order_and_waits_for_room():
    channel, taken = Channel(2), []

    def consume():
        while (item := channel.get()) is not None:
            taken.append(item)

    consumer = threading.Thread(target=consume)
    consumer.start()
    assert all(channel.put(item) for item in range(1, 500))
    channel.close()
    consumer.join(10)
    assert taken == list(range(1, 500))


def test_latest_hands_over_what_it_drops():
    dropped = []
    channel = Channel(1, on_drop=dropped.append)
    for item in (1, 2, 3):
        assert channel.put(item)
    assert dropped == [1, 2]
    assert channel.peek() == 3
    assert channel.get() == 3


def test_close_lets_the_rest_be_taken():
    channel = Channel(3)
    channel.put(1)
    channel.close()
    assert (channel.peek(), channel.get(), channel.peek(), channel.get()) == (1, 1, None, None)


@pytest.mark.parametrize("blocked", ["put", "get", "peek"])
def test_abort_wakes_whoever_waits(blocked):
    channel, results = Channel(1), []
    if blocked == "put":
        channel.put(1)
    action = {"put": lambda: channel.put(2), "get": channel.get, "peek": channel.peek}[blocked]
    waiting = threading.Thread(target=lambda: results.append(action()))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    channel.abort()
    waiting.join(10)
    assert results == [False if blocked == "put" else None]
    assert channel.put(3) is False
    assert channel.get() is None
