"""Without tokens, the service is for programs: pages of other machines are refused before a file is read."""

from starlette.types import ASGIApp, Receive, Scope, Send

from core.host_names import is_foreign, is_from_foreign_page
from core.serving.problems import problem


class OwnPages:
    """Refuses what a browser sends for a page of another machine, with 403. local: only this machine reaches us.

    A page on the internet could otherwise send studies to a service of the reader's machine, and from there into its
    archive; and under a name that points to this machine (DNS rebinding) it could read the answers.
    """

    def __init__(self, app: ASGIApp, local: bool):
        self.app, self.local = app, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_from_foreign_page(scope["headers"]):
            text = "A web page of another machine sent this request. Configure tokens (--tokens FILE) to allow that."
        elif scope["type"] == "http" and self.local and is_foreign(scope["headers"]):
            text = (
                "This service is for its own machine, as http://localhost, and was asked for under another name. "
                "Let the proxy in front of it send X-Forwarded-For, or configure tokens (--tokens FILE)."
            )
        else:
            await self.app(scope, receive, send)
            return
        await problem(403, text, "page-foreign")(scope, receive, send)
