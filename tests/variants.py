"""The sixteen variants: each PostgreSQL major, with and without each feature, the Pythons spread over them."""

from dataclasses import dataclass
from itertools import product

from tests import interpreters


@dataclass(frozen=True)
class Variant:
    postgres: int
    auth: bool
    payments: bool
    python: str

    @property
    def answers(self) -> dict[str, object]:
        return {
            "postgres_version": self.postgres,
            "auth": self.auth,
            "payments": self.payments,
            "python_version": interpreters.serving(self.python),
        }

    def __str__(self) -> str:
        features = [name for name in ("auth", "payments") if getattr(self, name)]
        return "-".join([f"postgres{self.postgres}", *(features or ["bare"]), f"python{self.python}"])


_CHOICES = list(product((15, 16, 17, 18), (True, False), (True, False)))

# In turn, so that each Python meets each feature.
VARIANTS = [Variant(*choice, interpreters.WANTED[i % len(interpreters.WANTED)]) for i, choice in enumerate(_CHOICES)]


def typed_as(variant: Variant) -> Variant:
    """The variant that mypy reads for this one: everything on each Python, and each other set of features once."""
    if variant.auth and variant.payments:
        return next(
            other for other in reversed(VARIANTS) if other.python == variant.python and other.auth and other.payments
        )
    return next(
        other for other in reversed(VARIANTS) if (other.auth, other.payments) == (variant.auth, variant.payments)
    )


# What a file list depends on.
FEATURES = [
    {"auth": True, "payments": True},
    {"auth": True, "payments": False},
    {"auth": False, "payments": True},
    {"auth": False, "payments": False},
]
