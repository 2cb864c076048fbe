"""Faults that a later call does not meet again."""

from __future__ import annotations

ENDPOINT = "RecognizeImage"


TRANSIENT = [
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 408},
    *({"kind": "status", "status": status} for status in (500, 502, 503, 504)),
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncate"},
    {"kind": "wrong_content_type"},
    {"kind": "not_json"},
    {"kind": "unknown_task_status"},
]


def named(fault):
    return str(fault.get("status") or fault["kind"])


def times(failures, fault, flavour):
    """How many calls must go wrong for so many failures: aiohttp repeats a GET that was reset once by itself."""
    return failures * (2 if flavour == "aiohttp" and fault["kind"].startswith("reset") else 1)
