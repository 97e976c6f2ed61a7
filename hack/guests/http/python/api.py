"""The API of ../README.md: it says what count, sum and mean some numbers have."""

import json
import math
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, str], bytes]


def by_query(target: str) -> Answer:
    try:
        return describe([float(n) for n in parse_qs(urlsplit(target).query).get("n", [])])
    except ValueError:
        return describe(None)


def by_body(body: bytes | None) -> Answer:
    try:
        return describe(json.loads(body or b""))
    except ValueError:
        return describe(None)


def describe(numbers: Any) -> Answer:
    if not isinstance(numbers, list) or not numbers or not all(finite(n) for n in numbers):
        return text(400, {"error": "give one number or more"})
    total = sum(numbers)
    return text(200, {"count": len(numbers), "sum": total, "mean": total / len(numbers)})


def finite(n: Any) -> bool:
    return isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n)


def not_found() -> Answer:
    return text(404, {"error": "there is only /numbers"})


def not_allowed() -> Answer:
    status, headers, content = text(405, {"error": "use GET or POST"})
    return status, {"allow": "GET, POST", **headers}, content


def text(status: int, value: Any) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(value).encode() + b"\n"
