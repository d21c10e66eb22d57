"""References such as `wrists@1a2b3c4d`: a data set, a checkpoint or imported scores, by name and the start of a hash.

The hash says what it is. The name alone does not: other content can be given the same name, and the same content
another name.
"""


def name_in(reference: str) -> str:
    """The name in a reference; the whole text where it has no hash."""
    return reference.rpartition("@")[0] or reference


def hash_in(reference: str) -> str:
    """The digits of the hash in a reference."""
    return reference.rpartition("@")[2]


def same_content(one: str, other: str) -> bool:
    """Whether two references have one hash. Names may have changed since."""
    return hash_in(one) == hash_in(other)


def may_share_studies(one: str, other: str) -> bool:
    """Whether two data sets may have studies in common: one content, or two versions of one name."""
    return same_content(one, other) or name_in(one) == name_in(other)
