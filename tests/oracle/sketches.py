"""Approximate aggregates, one value at a time: a hash, HyperLogLog, and rounding to few digits."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from oracle.times import FIRST_DAY, from_datetime

REGISTERS, LONGEST = 2**11, 53
DIGITS = 7


def hashed(value: Any) -> int:
    """64 bits; of a number by its own 64 bits, of a text by its bytes, eight at a time."""
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        return mixed(_bits(value))
    state = mixed(len(value))
    for place in range(0, len(value), 8):
        state = mixed(state ^ int.from_bytes(value[place : place + 8], "little"))
    return state


def mixed(word: int) -> int:
    """The finalizer of SplitMix64."""
    word = (word + 0x9E3779B97F4A7C15) % 2**64
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    return word ^ word >> 31


def _bits(value: Any) -> int:
    if isinstance(value, float):
        plain = math.nan if math.isnan(value) else value + 0.0
        (bits,) = struct.unpack("<Q", struct.pack("<d", plain))
        return int(bits)
    if isinstance(value, datetime):
        return from_datetime(value) % 2**64
    if isinstance(value, date):
        return (value - FIRST_DAY).days % 2**64
    return int(value) % 2**64


def approximate_count(hashes: Iterable[int]) -> int:
    """HyperLogLog with Ertl's improved estimator (2017)."""
    registers: dict[int, int] = {}
    for word in hashes:
        register, rest = divmod(word, 2**LONGEST)
        rank = min(LONGEST - rest.bit_length() + 1, LONGEST)
        registers[register] = max(rank, registers.get(register, 0))
    if not registers:
        return 0
    share = 1 - len(registers) / REGISTERS
    free = share + sum(share ** (2**k) * 2 ** (k - 1) for k in range(1, 40))
    total = sum(2.0**-rank for rank in registers.values())
    return round(REGISTERS**2 / (2 * math.log(2)) / (REGISTERS * free + total))


def rounded(value: float) -> float:
    """To seven binary digits, halves away from zero, or to the last that a float has."""
    if not math.isfinite(value):
        return value
    _, exponent = math.frexp(value)
    unit = 2.0 ** (max(exponent, -1021) - DIGITS)
    half = math.floor(abs(value) / unit + 0.5) * (unit / 2)
    return math.copysign(min(half, 127 * 2.0**1016) * 2, value)
