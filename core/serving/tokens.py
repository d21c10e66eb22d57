"""Bearer tokens with scopes. Only SHA-256 hashes of tokens are kept; a token is random, so no salt is needed.

A file has one token per line: NAME SCOPES HASH, for example `ward-3 read,score 5e88...`. The environment variable
OVERREAD_TOKENS may have the same lines.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import OverreadError

SCOPES = ("read", "score", "admin")
VARIABLE = "OVERREAD_TOKENS"


@dataclass(frozen=True)
class Token:
    """A known token. scopes: read (models, measurements), score (studies), admin (all, and the decision log)."""

    name: str
    scopes: frozenset[str]
    digest: str

    def allows(self, scope: str) -> bool:
        """Whether the token may be used for this."""
        return scope in self.scopes or "admin" in self.scopes

    def line(self) -> str:
        """The token as a line of a file."""
        return f"{self.name} {','.join(scope for scope in SCOPES if scope in self.scopes)} {self.digest}"


def new_token(name: str, scopes: Iterable[str]) -> tuple[str, Token]:
    """A random token, and what is kept of it."""
    text = secrets.token_urlsafe(32)
    return text, _token(f"{name} {','.join(scopes)} {_digest(text)}", "the new token")


def read_tokens(file: Path | None = None) -> tuple[Token, ...]:
    """The tokens of a file and of the environment. OverreadError names a line that cannot be used, but not its text."""
    lines = [(line, f"line {number} of {VARIABLE}") for number, line in _lines(os.environ.get(VARIABLE, ""))]
    if file:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise OverreadError(
                f"{file} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'}); expected one token "
                "per line.",
                code="tokens-unreadable",
            ) from error
        lines += [(line, f"line {number} of {file}") for number, line in _lines(text)]
        if not lines:
            raise OverreadError(
                f"{file} has no tokens. Make one with: python -m core token NAME --scope score", code="tokens-empty"
            )
    return tuple(_token(line, where) for line, where in lines)


def find_token(tokens: Iterable[Token], authorization: str) -> Token | None:
    """The token of an Authorization header; None where it is not known."""
    kind, _, text = authorization.partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        return None
    digest, found = _digest(text.strip()), None
    for token in tokens:  # every token is compared, so that the time of an answer reveals nothing
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def _lines(text: str) -> list[tuple[int, str]]:
    numbered = enumerate(text.splitlines(), 1)
    return [(number, line.strip()) for number, line in numbered if line.strip() and not line.strip().startswith("#")]


def _token(line: str, where: str) -> Token:
    parts = line.split()
    scopes = frozenset(parts[1].split(",")) if len(parts) == 3 else frozenset()
    if (
        not scopes
        or not scopes <= set(SCOPES)
        or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", parts[0])
        or not re.fullmatch(r"[0-9a-f]{64}", parts[2])
    ):
        raise OverreadError(
            f"{where} is not a token; expected NAME SCOPES HASH, scopes of {', '.join(SCOPES)}, the hash SHA-256. "
            "Make one with: python -m core token NAME --scope score",
            code="token-invalid",
        )
    return Token(parts[0], scopes, parts[2])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
