"""Identifiers and chance. The only user of `uuid` and `random` in the product."""

import random
import uuid
from typing import Protocol


class Ids(Protocol):
    def new_id(self) -> str:
        """A fresh identifier, unique without asking anybody: 32 hexadecimal digits."""

    def uniform(self, low: float, high: float) -> float:
        """A number between the two, for jitter."""


class RandomIds:
    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def new_id(self) -> str:
        return uuid.uuid4().hex

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


class SeededIds:
    """The same ids and the same chance for the same seed: for simulation and tests."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def new_id(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
