"""Whether a request comes from a program or page of this machine, by its headers alone.

Any page on the internet can let its own name point to this machine once a browser has loaded it (DNS rebinding), and
would then read a server of this machine as if it were its own. The browser still sends that page's name as the host,
which tells it apart. A proxy on this machine says for whom it asks.
"""

import ipaddress
from urllib.parse import urlsplit

Headers = list[tuple[bytes, bytes]]
FORWARDED = (b"x-forwarded-for", b"x-forwarded-host", b"forwarded")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_foreign(headers: Headers, own: str = "") -> bool:
    """Whether a request names another host than this machine and comes from no proxy. own: one more name for it."""
    given = dict(headers)
    if any(name in given for name in FORWARDED):
        return False
    host = given.get(b"host", b"").decode("latin-1").strip().lower()
    return bool(host) and not _is_own(host, own)


def is_from_foreign_page(headers: Headers) -> bool:
    """Whether a page of another machine sent this request with a browser, which names the page in `Origin`.

    A page needs no permission to send a form to another server; only the answer is kept from it. A page of the proxy
    that passes the request on is none of another machine.
    """
    given = dict(headers)
    origin = given.get(b"origin")
    if origin is None:
        return False  # a program, or a page that only opens an address
    try:
        host = urlsplit(origin.decode("latin-1").strip().lower()).netloc
    except ValueError:
        return True
    if "@" in host:
        return True  # no browser writes it, and what stands before it is no host
    if any(name in given for name in FORWARDED):
        served = {given.get(name, b"").decode("latin-1").strip().lower() for name in (b"host", b"x-forwarded-host")}
        return not host or host not in served
    return not host or not _is_own(host)


def _is_own(host: str, own: str = "") -> bool:
    name = host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name) or name.endswith(".localhost") or (bool(name) and name == own.lower())
