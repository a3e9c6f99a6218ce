"""What comparing the values of one column gives, whatever their kind."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.statistics.chance import PermutationNull


@dataclass(frozen=True, slots=True)
class Picture:
    """Shares of the rows by bin (then ``ordered``) or category, 0 to 1; all three are as long."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Values:
    """How far the values of a column are apart.

    Attributes:
        distance: As Evidently measures it.
        chance: What random splits of the same values give.
        unit: What kind of distance it is, for people.
        new: Share of the current values in categories that the reference lacks, beyond what chance gives.
        missing: Share of the reference's values in categories that the current rows lack.
    """

    distance: float
    chance: PermutationNull
    unit: str
    picture: Picture
    new: float = 0.0
    missing: float = 0.0

    @property
    def beyond(self) -> float:
        """The part of the distance that is not chance."""
        return self.chance.beyond(self.distance)
