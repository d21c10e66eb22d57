"""Whether the review database is as it was written: for `verdicts verify`, `doctor` and the page Agreement."""

from core.review import chain
from core.review.chain import ChainReport
from core.review.database import Store, transaction


def verify_verdicts(store: Store) -> ChainReport:
    """Compare every entry, walkthrough and label revision with the chain of hashes."""
    with transaction(store) as connection:
        return chain.verify(connection)
