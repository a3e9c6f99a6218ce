"""Reading the ledger as somebody who trusts nobody, to see whether it is whole and is what happened."""

from lifecycle.promotion.audit.verify import audit

__all__ = ["audit"]
