"""A small OpenID provider on this machine: whoever asks is logged in at once as the person named in `person`."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "overread"


class Provider:
    """The provider's key, its address, and the claims of the person that it logs in."""

    def __init__(self, port: int):
        self.address = f"http://127.0.0.1:{port}"
        self.person: dict = {"sub": "1", "email": "ana@clinic.example", "email_verified": True, "name": "Ana"}
        self._key = RSAKey.generate_key(2048, {"kid": "key"})
        self._nonces: dict[str, str] = {}

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, dict, dict]:
        """Status, headers and JSON of a request."""
        if path == "/.well-known/openid-configuration":
            ends = {"authorization": "authorize", "token": "token"}
            return (
                200,
                {},
                {
                    "issuer": self.address,
                    **{f"{name}_endpoint": f"{self.address}/{end}" for name, end in ends.items()},
                    "jwks_uri": f"{self.address}/keys",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                },
            )
        if path == "/keys":
            return 200, {}, {"keys": [self._key.as_dict(private=False)]}
        if path == "/authorize":
            code = secrets.token_urlsafe()
            self._nonces[code] = query.get("nonce", "")
            back = urlencode({"code": code, "state": query["state"]})
            return 302, {"Location": f"{query['redirect_uri']}?{back}"}, {}
        if path == "/token" and method == "POST" and query["code"] in self._nonces:
            now = int(time.time())
            claims = {
                "iss": self.address,
                "aud": CLIENT,
                "iat": now,
                "exp": now + 3600,
                "nonce": self._nonces.pop(query["code"]),
                **self.person,
            }
            token = jwt.encode({"alg": "RS256", "kid": "key"}, claims, self._key)
            return 200, {}, {"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "id_token": token}
        return 404, {}, {}


@contextmanager
def provider(port: int) -> Iterator[Provider]:
    """A running provider."""
    known = Provider(port)

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            query = {name: values[0] for name, values in (parse_qs(parts.query) | parse_qs(body)).items()}
            status, headers, value = known.answer(self.command, parts.path, query)
            self.send_response(status)
            for name, text in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        do_GET = do_POST = _handle

        def log_message(self, *arguments) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
