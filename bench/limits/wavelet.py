"""A wavelet matrix in numpy (Claude, Navarro & Ordóñez, "The wavelet matrix", 2015)."""

from __future__ import annotations

import numpy as np


class Wavelet:
    """Numbers by their bits, the highest first: counts and selections in any range of places."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.bits = int(numbers.max()).bit_length() if len(numbers) else 0
        self.zeros: list[np.ndarray] = []
        current = numbers.astype(np.int32)
        for bit in range(self.bits - 1, -1, -1):
            one = ((current >> bit) & 1).astype(bool)
            count = np.zeros(len(current) + 1, dtype=np.int32)
            np.cumsum(~one, out=count[1:])
            self.zeros.append(count)
            current = np.concatenate([current[~one], current[one]])

    def smaller(self, low: np.ndarray, high: np.ndarray, bound: np.ndarray) -> np.ndarray:
        """How many numbers at places low <= place < high are smaller than `bound`."""
        found = np.where(bound >> self.bits > 0, high - low, 0)
        low, high = low.copy(), high.copy()
        for level, zeros in enumerate(self.zeros):
            one = ((bound >> (self.bits - 1 - level)) & 1).astype(bool)
            zero_low, zero_high = zeros[low], zeros[high]
            found += np.where(one & (bound >> self.bits == 0), zero_high - zero_low, 0)
            low = np.where(one, low - zero_low + zeros[-1], zero_low)
            high = np.where(one, high - zero_high + zeros[-1], zero_high)
        return found

    def kth(self, low: np.ndarray, high: np.ndarray, k: np.ndarray) -> np.ndarray:
        """The k-th smallest number, from 0, at places low <= place < high; 0 for no places."""
        found = np.zeros(len(low), dtype=np.int64)
        low, high, k = low.copy(), high.copy(), k.copy()
        for zeros in self.zeros:
            zero_low, zero_high = zeros[low], zeros[high]
            count = zero_high - zero_low
            one = (k >= count) & (high > low)
            k = np.where(one, k - count, k)
            low = np.where(one, low - zero_low + zeros[-1], zero_low)
            high = np.where(one, high - zero_high + zeros[-1], zero_high)
            found = (found << 1) | one
        return found
