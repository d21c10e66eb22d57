"""The warning of a server on which more people may do more than its owner may think."""

import pytest

from dashboard.shared import exposure


class Secrets(dict):
    """A secrets.toml with these sections."""

    def load_if_toml_exists(self) -> bool:
        return bool(self)


@pytest.mark.parametrize(
    ("sections", "at", "said"),
    [
        ({}, "127.0.0.1", ""),
        ({}, "0.0.0.0", exposure.SENTENCE),
        ({"auth": {}}, "0.0.0.0", exposure.NO_ROLES),
        ({"auth": {}}, "127.0.0.1", exposure.NO_ROLES),
        ({"auth": {}, "roles": {"default": "owner"}}, "0.0.0.0", ""),
        # Roles without a login decide nothing.
        ({"roles": {"default": "viewer"}}, "0.0.0.0", exposure.SENTENCE),
    ],
)
def test_the_warning_says_who_may_do_what(monkeypatch, sections, at, said):
    monkeypatch.setattr(exposure.st, "secrets", Secrets(sections))
    monkeypatch.setattr(exposure.st, "get_option", {"server.address": at}.get)
    assert exposure.warning() == said
