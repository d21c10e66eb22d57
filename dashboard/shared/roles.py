"""The role of the visitor, from the login and the section [roles] of secrets.toml.

    [roles]
    owner = ["ana@clinic.example"]
    reviewer = ["*@clinic.example"]
    default = "viewer"

The patterns are matched with the visitor's e-mail address; the most powerful role that matches is taken, and `default`
where none does. Without a login everyone is the owner: then only this machine, or people whom a proxy admits, can
open the pages. With a login and without this section, everyone who logs in is an owner.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core import roles
from core.errors import OverreadError


def install() -> None:
    """From now on the functions marked with `core.roles.needs` ask for the visitor's role."""
    roles.decide = visitors_role


def visitors_role() -> str:
    """The role of the visitor whose page runs now; the owner's for work that the server does by itself."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return roles.OWNER
    logged_in = getattr(st.user, "is_logged_in", None)
    if logged_in is None:
        return roles.OWNER
    settings = _settings()
    if settings is None:
        return roles.OWNER if logged_in else roles.VIEWER
    return role_of(st.user.to_dict() if logged_in else {}, settings)


def role_of(user: Mapping, settings: Mapping) -> str:
    """The role of a logged-in person. OverreadError where the section [roles] is not as it should be."""
    default = settings.get("default", roles.VIEWER)
    unknown = sorted(set(settings) - set(roles.ROLES) - {"default"})
    lists = {role: settings.get(role, ()) for role in roles.ROLES}
    if unknown or default not in roles.ROLES or any(isinstance(found, str) for found in lists.values()):
        raise OverreadError(
            f"The section [roles] of secrets.toml may have lists named {', '.join(roles.ROLES)} and a default that is "
            f"one of them; found {', '.join(f'{name} = {settings[name]!r}' for name in settings)}.",
            code="roles-unreadable",
        )
    # An address that the provider calls unverified may be somebody else's, and one with two @ matches two domains.
    email = str(user.get("email") or "").strip().lower() if user.get("email_verified") is not False else ""
    for role in reversed(roles.ROLES):
        if email.count("@") == 1 and any(fnmatchcase(email, str(pattern).strip().lower()) for pattern in lists[role]):
            return role
    return default


def gate(task: str, disabled: bool = False, why: str | None = None) -> dict:
    """The arguments `disabled` and `help` of a button for a task, which say why where the visitor may not do it."""
    if roles.may(task):
        return {"disabled": disabled, "help": why}
    return {"disabled": True, "help": roles.why_not(task)}


def _settings() -> Mapping | None:
    try:
        return st.secrets.get("roles")
    except FileNotFoundError:
        return None
