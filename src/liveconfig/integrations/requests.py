"""requests: requests with the newest token."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import SecretStr

from liveconfig.integrations._extras import extra_of
from liveconfig.integrations._token import TokenOptions

with extra_of(__name__):
    from requests import PreparedRequest, Response
    from requests.auth import AuthBase
    from requests.compat import urljoin
    from requests.sessions import SessionRedirectMixin
    from requests.utils import requote_uri

__all__ = ["TokenAuth"]


class TokenAuth(TokenOptions, AuthBase):
    """Adds the token of the newest snapshot to each request: ``session.auth = TokenAuth(settings, "api_token")``.

    On a 401 the volume is read, and if the token is another then, the request is repeated once. A request whose body
    can be read only once (a file, a generator) is not repeated.

    The header never follows a redirect to another host, whatever its name is.

    Args:
        settings: Live settings.
        token: The dotted name of the field that holds the token. While the field is None no header is sent.
        header: The header that carries it.
        scheme: The scheme before the token, such as ``Bearer``; empty for the token alone.

    Raises:
        LiveConfigError: There is no such field; the message names the nearest. Or, when a request is made: the token
            cannot be sent in a header.
    """

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the token; requests calls this for each request."""
        self._token.put(request.headers)
        request.register_hook("response", self._answered)  # type: ignore[no-untyped-call]
        return request

    def _answered(self, response: Response, **how: Any) -> Response:
        """Handle an answer; requests calls this for each one, before it follows a redirect."""
        request = response.request
        if response.status_code == HTTPStatus.UNAUTHORIZED and self._put_newer(request):
            response = _repeat(request, response, **how)
        if _leads_to_another_host(response):
            self._withdraw(request)
        return response

    def _put_newer(self, request: PreparedRequest) -> bool:
        """Read the volume, and put a newer token into the request if it can be repeated; whether there is one."""
        sent = request.headers.get(self._token.header)
        if sent is None or not isinstance(request.body, str | bytes | None):
            return False
        self._token.read_volume()
        return self._token.put_newer(request.headers, SecretStr(sent))

    def _withdraw(self, request: PreparedRequest) -> None:
        """Remove the header and the hook from a request, as the redirected one copies those that it has."""
        request.headers.pop(self._token.header, None)
        others = [hook for hook in request.hooks["response"] if hook != self._answered]
        request.hooks = {**request.hooks, "response": others}  # requests is going through the old list


def _repeat(request: PreparedRequest, response: Response, **how: Any) -> Response:
    """Send the request once more, on the same connection if possible."""
    _ = response.content  # to the end, or the connection cannot be used again
    response.close()
    again: Response = response.connection.send(request, **how)
    again.history.append(response)
    return again


def _leads_to_another_host(response: Response) -> bool:
    """Whether requests itself removes an ``Authorization`` header from the redirected request."""
    redirects: Any = SessionRedirectMixin()
    target = redirects.get_redirect_target(response)
    if target is None:
        return False
    try:
        return bool(redirects.should_strip_auth(response.url, requote_uri(urljoin(response.url, target))))
    except ValueError:  # its port is no number
        return True
