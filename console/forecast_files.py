"""A forecast for machines: JSON and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ivr.staffing.correct import Correction
from ivr.staffing.days import DaySummary, channels_in, rota, summaries, total_agents
from ivr.staffing.forecast import Forecast
from ivr.staffing.write import plain


def quarter_rows(forecast: Forecast, seen: dict[int, float] | None = None) -> list[dict[str, Any]]:
    """Every quarter hour as one flat record."""
    rows = []
    for i, quarter in enumerate(forecast.ground.quarters):
        point = forecast.shown[i]
        row: dict[str, Any] = {
            "start": quarter.start.isoformat(),
            "open": int(quarter.open),
            "calls": point.calls,
            "calls_low": forecast.low[i],
            "calls_high": forecast.high[i],
            "first_calls": point.fresh,
            "redials": point.redials,
            "self_service": point.calls - point.to_agents,
            "to_agents": point.to_agents,
            "agents": total_agents(forecast, i),
            "agents_square_root": forecast.points[i].check + forecast.notice_agents(i),
            "agents_on_rota": rota(forecast, total_agents(forecast, i)),
            # Nobody answers at a closed hour: there is no wait to speak of.
            "answered_in_time": point.answered_in_time if quarter.open else None,
            "mean_wait_seconds": point.mean_wait if quarter.open else None,
            "abandoned": point.abandoned,
            "call_backs_chosen": point.kept,
            "call_backs_made": point.called_back,
            "call_backs_owed": point.owed,
            "occupancy": point.occupancy,
            "channels_inbound": channels_in(forecast, i),
            "notice_calls": forecast.notice_calls[i],
            "notice_agents": forecast.notice_agents(i),
            "notice_channels": forecast.notice_channels(i),
        }
        for language, points in forecast.languages.items():
            row[f"calls_{language}"] = points[i].calls
            row[f"agents_{language}"] = points[i].agents
        if seen is not None:
            row["counted"] = seen.get(i)
        rows.append({key: _rounded(value) for key, value in row.items()})
    return rows


def document(
    forecast: Forecast,
    days: Sequence[DaySummary],
    words: Sequence[str],
    correction: Correction | None,
    understood: str = "",
) -> dict[str, Any]:
    """Everything, as one JSON document. ``understood``: how the real counts were read."""
    busiest = max(days, key=lambda each: each.calls)
    staffed = max(days, key=lambda each: each.agents)
    data: dict[str, Any] = {
        "scenario": plain(forecast.scenario),
        "summary": {
            "words": list(words),
            "calls": _rounded(sum(each.calls for each in days)),
            "calls_per_person": _rounded(forecast.ground.per_person),
            "busiest_day": str(busiest.day),
            "busiest_day_calls": _rounded(busiest.calls),
            "busiest_day_calls_low": _rounded(busiest.low),
            "busiest_day_calls_high": _rounded(busiest.high),
            "agents": staffed.agents,
            "agents_low": staffed.agents_low,
            "agents_high": staffed.agents_high,
            "agents_at": forecast.ground.quarters[staffed.peak].start.isoformat(),
            "agents_on_rota": staffed.rota,
            "channels_inbound": max(each.channels for each in days),
            "notice_channels": max(each.notice_channels for each in days),
            "notice_calls_finish": str(forecast.finish) if forecast.finish else None,
        },
        "days": [_day(each) for each in days],
        "notices": [
            {key: _rounded(value) for key, value in asdict(each).items()}
            for each in forecast.ground.notices
        ],
        "quarters": quarter_rows(forecast, correction.seen if correction else None),
    }
    if correction is not None:
        belief = correction.after.belief
        data["correction"] = {
            "read": understood,
            "hours": correction.hours,
            "until": correction.until.isoformat(),
            "counted": _rounded(correction.observed),
            "forecast": _rounded(correction.expected),
            "scale": _rounded(belief.scale.mean),
            "scale_sd": _rounded(belief.scale.sd),
            "shift_days": belief.shift,
            "shift_probability": _rounded(belief.weights[belief.shift]),
            "days_before": [_day(each) for each in summaries(correction.before)],
        }
    return data


def _day(day: DaySummary) -> dict[str, Any]:
    return {key: _rounded(value) for key, value in asdict(day).items() if key != "peak"}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return value if value is None or isinstance(value, int | str | bool) else str(value)


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Raises OSError."""
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
