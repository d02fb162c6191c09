"""How much convergence takes on at a time: as much as leaves the loop to others soon enough.

Does not belong here: the clock, which the caller looks at.
"""

_ROWS_MIN, _ROWS_MAX = 50, 5_000


class Pace:
    """Rows a slice, by how long the slices before took."""

    def __init__(self, slice_s: float = 0.008) -> None:
        self._slice_s = slice_s  # what is aimed at; one process is never divided
        self._rows = 500

    def rows(self) -> int:
        return self._rows

    def took(self, elapsed_s: float) -> None:
        """Slower at once, faster by and by: a slice that is too long holds everybody up."""
        if elapsed_s > self._slice_s:
            self._rows = max(_ROWS_MIN, int(self._rows * self._slice_s / elapsed_s))
        elif elapsed_s < self._slice_s / 2:
            self._rows = min(_ROWS_MAX, self._rows + self._rows // 4)
