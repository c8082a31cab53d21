"""What a worker does next: train a candidate further, or begin a new one. Read from the database alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from osanas.strategy.history import History
from osanas.strategy.known_cost import KnownCost, Price
from osanas.strategy.ladder import Promotion, next_promotion


@dataclass(frozen=True)
class NextStep:
    """Decides on promotions.

    Attributes:
        strategy: Judges candidates.
        price: Measures a member without training it; None leaves new candidates to a sampler of Optuna's. Such a
            sampler says nothing about what its candidates are worth, so that promotions do not compete with them.
    """

    strategy: KnownCost
    price: Price | None

    def promotion(self, history: Callable[[], History], rungs: tuple[int, ...], *, may_begin: bool) -> Promotion | None:
        """The promotion that comes before anything new, or None.

        Args:
            history: Reads what is known of the study; not asked where there is no ladder.
            rungs: The ladder.
            may_begin: Whether a new candidate might be begun instead.
        """
        if len(rungs) == 1:
            return None
        rivals = may_begin and self.price is not None
        return next_promotion(history(), self.strategy, price=self.price, has_rival=rivals)
