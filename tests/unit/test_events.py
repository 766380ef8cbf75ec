"""What is published, and that publishing never harms whoever does it."""

from __future__ import annotations

import io
import json
import logging

import pytest

from incident import log as logs
from incident.events import BadBroker, Broker, EventPublisher, nudge_topic, state_topic
from incident.messages import CallEvent, CampaignState, QueueSnapshot, send


def publisher(limit: int = 3) -> EventPublisher:
    return EventPublisher("mqtt://127.0.0.1:1883", "node1", "hotline", limit=limit)


def queued(made: EventPublisher) -> list[str]:
    return [message.topic for message in made._queue]


async def test_topics_of_the_contract() -> None:
    made = publisher(10)
    send(made, QueueSnapshot("northwind", {"en": 2}, {"ready": 1}, 3.5, {}, {}, 10.0))
    send(made, CampaignState("c1", "northwind", "running", "running", 3, {"ready": 5}, "", 10.0))
    send(made, CallEvent("node1-1.1", "queued", "northwind", 10.0, language="en"))
    assert queued(made) == [
        "breachline/incident/northwind/queue",
        "breachline/campaign/c1/state",
        "breachline/call/node1-1.1/queued",
    ]
    assert [message.retain for message in made._queue] == [False, True, False]
    assert json.loads(made._queue[2].payload) == {
        "call": "node1-1.1",
        "event": "queued",
        "incident": "northwind",
        "at": 10.0,
        "direction": "inbound",
        "language": "en",
    }
    assert state_topic("node1", "hotline") == "breachline/node1/state"
    assert state_topic("node1", "dialer") == "breachline/node1/state/dialer"
    assert nudge_topic("node1") == "breachline/node1/nudge"


async def test_a_full_queue_drops_the_oldest_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = publisher(3)
    for number in range(6):
        made.publish(f"call/{number}/started", {})
    assert queued(made) == [f"breachline/call/{number}/started" for number in (3, 4, 5)]
    assert made.dropped == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("call/1/started", {"from": "+18005550199"}),
        ("call/1/started", {"deep": [{"er": "call +18005550199 now"}]}),
        ("call/+18005550199/started", {}),
        ("call/1/started", {"from": "15125550109"}),
        ("call/1/started", {"from": "sip:5125550109@carrier"}),
        ("call/1/started", {"note": "at (512) 555-0109"}),
        ("call/15125550109/started", {}),
        ("call/1/started", {"x": object()}),
        ("call/1/started", {"x": float("nan")}),
    ],
)
async def test_what_must_not_go_out_is_refused_without_raising(
    topic: str, payload: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    made = publisher()
    made.publish(topic, payload, retain=True)
    assert queued(made) == []
    assert made._retained == {}
    assert made.refused == 1
    assert "8005550199" not in caplog.text


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1", "mqtt://", "mqtt://host:port", "127.0.0.1:1883"]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(BadBroker):
        Broker.at(url)


def test_a_url_with_everything() -> None:
    assert Broker.at("mqtt://us%40er:p%2Fw@broker.example") == Broker(
        "broker.example", 1883, "us@er", "p/w"
    )


def test_logs_are_json_without_numbers() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure("hotline", "node1", stream=stream)
    try:
        logging.getLogger("some.library").warning("call from %s failed", "+18005550199")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    line = json.loads(stream.getvalue())
    assert (line["service"], line["node"], line["level"]) == ("hotline", "node1", "warning")
    assert line["event"] == "call from +<number> failed"
