"""Addresses of review databases: read as people write them, and shown without their secrets."""

import re
from urllib.parse import quote, unquote

import sqlalchemy as sql

HIDDEN = "***"
_SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)


def read_address(url: str) -> sql.URL:
    """The parts of an address. A password may contain '@', ':', '/' and '?' as they are. ValueError for any other text.

    sqlalchemy's own errors may be raised, too; they quote the address, so callers must not show them.
    """
    scheme, colon, rest = url.partition("://")
    before, question, options = rest.partition("?")
    if question and "@" not in before and "@" in options and "=" not in options.split("@")[0]:
        before, question, options = rest, "", ""  # the question mark is in the password
    login, at, place = before.rpartition("@")
    user, known, password = login.partition(":")
    if known:
        # unquote first: what is written as %40 already stays one character
        login = f"{user}:{quote(unquote(password), safe='')}"
    return sql.make_url(f"{scheme}{colon}{login}{at}{place}{question}{options}")


def shown_address(address: sql.URL) -> str:
    """The address for messages: a password, and every option that has a secret, as ***."""
    options = {name: HIDDEN if _SECRET.search(name) else value for name, value in address.query.items()}
    return address.set(query=options).render_as_string(hide_password=True)


def without_secrets(text: str, address: sql.URL) -> str:
    """A text of another program without the password, however it quotes it."""
    values = [address.password or "", *(value for name, value in address.query.items() if _SECRET.search(name))]
    found = {str(part) for value in values for part in ((value,) if isinstance(value, str) else value) if part}
    for secret in sorted({one for value in found for one in (value, quote(value, safe=""))}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
