"""A greeting, a feature flag and two passwords that follow their ConfigMap and Secret."""

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, abort, current_app, redirect, render_template_string, request, session, url_for
from pydantic import SecretStr
from werkzeug.wrappers import Response

from liveconfig import Change, Settings, SettingsConfigDict
from liveconfig.integrations.flask import LiveConfig

PAGE = """
<h1>{{ live.snapshot.message }}{% if session.user %}, {{ session.user }}{% endif %}</h1>
{% if live.snapshot.checkout_enabled %}<form method="post" action="/checkout"><button>Order</button></form>{% endif %}
"""


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/greeter"])

    message: str = "hello world"
    checkout_enabled: bool = False
    admin_password: SecretStr
    session_key: SecretStr


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def guarded(**values: Any) -> Any:
        return view(**values) if session.get("user") else abort(401)

    return guarded


live = LiveConfig[AppSettings](
    mirror={"SECRET_KEY": "session_key"},
    status=True,
    status_decorators=[login_required],
)


@live.on_change(lambda s: s.checkout_enabled)
def announce(change: Change[bool]) -> None:
    current_app.logger.info("checkout is now %s", "open" if change.new else "closed")


def create_app(settings: AppSettings | None = None) -> Flask:
    app = Flask(__name__)
    live.init_app(app, settings or AppSettings.load())

    @app.get("/")
    def greet() -> str:
        return render_template_string(PAGE)

    @app.post("/login")
    def login() -> Response:
        expected = live.snapshot.admin_password.get_secret_value()
        if not secrets.compare_digest(request.form["password"].encode(), expected.encode()):
            abort(401)
        session["user"] = request.form["user"]
        return redirect(url_for("greet"))

    @app.post("/checkout")
    def checkout() -> dict[str, str]:
        if not live.snapshot.checkout_enabled:
            abort(503, "checkout is closed")
        return {"order": "accepted"}

    return app
