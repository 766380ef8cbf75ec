"""Progressive: one line per idle agent, so that whoever answers finds an agent."""

from __future__ import annotations

from collections import Counter

from dialer.pacing.model import AgentState, Decision, Snapshot


class Progressive:
    """Idle agents, less those that a ringing line, an answered call or a caller will need."""

    name = "progressive"

    def decide(self, snapshot: Snapshot) -> Decision:
        states = Counter(agent.state for agent in snapshot.agents)
        idle = states[AgentState.IDLE]
        needed = (
            len(snapshot.ringing)
            + snapshot.answered_waiting
            + snapshot.inbound_waiting
            + snapshot.claimed
        )
        free = max(0, idle - needed)
        dial = min(free, snapshot.limits.most)
        signed_in = len(snapshot.agents) - states[AgentState.OFFLINE]
        numbers = {
            "agents": signed_in,
            "idle": idle,
            "busy": states[AgentState.BUSY] + states[AgentState.RINGING],
            "wrapup": states[AgentState.WRAPUP],
            "paused": states[AgentState.PAUSED],
            "ringing": len(snapshot.ringing),
            "answered_waiting": snapshot.answered_waiting,
            "inbound_waiting": snapshot.inbound_waiting,
            "claimed": snapshot.claimed,
            "free_channels": snapshot.limits.channels,
            "calls_now": snapshot.limits.calls,
            "ceiling_left": snapshot.limits.ceiling,
        }
        return Decision(dial, _reason(snapshot, signed_in, idle, free, dial), numbers)


def _reason(snapshot: Snapshot, signed_in: int, idle: int, free: int, dial: int) -> str:
    queue = snapshot.queue
    if signed_in == 0:
        return f"0 agents are signed in for {queue}"
    if idle == 0:
        return f"none of the {signed_in} agents signed in for {queue} is idle"
    if free == 0:
        parts = [
            (len(snapshot.ringing), "ringing lines"),
            (snapshot.answered_waiting, "answered calls"),
            (snapshot.inbound_waiting, "waiting callers"),
            (snapshot.claimed, "calls of other queues"),
        ]
        spoken = ", ".join(f"{number} {name}" for number, name in parts if number)
        return f"the {idle} idle agents for {queue} are spoken for: {spoken}"
    if dial < free:
        return f"{free} agents are free for {queue}, but {snapshot.limits.tightest} allows {dial}"
    return f"one line for each of {free} free agents for {queue}"
