"""References name content by its hash; a name alone can be given to other content."""

from core.data.references import hash_in, may_share_studies, name_in, same_content


def test_name_and_hash_of_a_reference():
    assert (name_in("wrists@1a2b3c4d"), hash_in("wrists@1a2b3c4d")) == ("wrists", "1a2b3c4d")
    assert name_in("a@b@1a2b3c4d") == "a@b" and name_in("wrists") == "wrists"


def test_content_is_the_same_under_another_name_and_may_differ_under_the_same():
    assert same_content("wrists@1a2b3c4d", "renamed@1a2b3c4d") and not same_content(
        "wrists@1a2b3c4d", "wrists@5e6f7a8b"
    )
    assert may_share_studies("wrists@1a2b3c4d", "renamed@1a2b3c4d")
    assert may_share_studies("wrists@1a2b3c4d", "wrists@5e6f7a8b")
    assert not may_share_studies("wrists@1a2b3c4d", "hands@5e6f7a8b")
