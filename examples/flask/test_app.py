from collections.abc import Callable

from flask.testing import FlaskClient

ADA = {"user": "ada", "password": "correct horse"}


def test_the_greeting_follows_the_configmap(client: FlaskClient, edit: Callable[..., None]) -> None:
    """The next page has the value of an edited ConfigMap."""
    assert "hello world" in client.get("/").text
    edit(message="hello KodeKloud")
    assert "hello KodeKloud" in client.get("/").text


def test_the_checkout_closes_while_the_application_runs(client: FlaskClient, edit: Callable[..., None]) -> None:
    """The flag removes the button from the page, and the checkout answers 503."""
    assert "Order" in client.get("/").text
    edit(checkout_enabled="false")
    assert "Order" not in client.get("/").text
    assert client.post("/checkout").status_code == 503


def test_only_the_rotated_password_works(client: FlaskClient, edit: Callable[..., None]) -> None:
    """After a rotation of the Secret, only the new password works."""
    edit(admin_password="battery staple")
    assert client.post("/login", data=ADA).status_code == 401
    assert client.post("/login", data=ADA | {"password": "battery staple"}).status_code == 302


def test_users_stay_logged_in_when_the_session_key_is_rotated(client: FlaskClient, edit: Callable[..., None]) -> None:
    """A session that was signed with the previous key is still valid."""
    client.post("/login", data=ADA)
    edit(session_key="second key")
    assert ", ada" in client.get("/").text


def test_a_broken_configmap_changes_nothing(client: FlaskClient, edit: Callable[..., None]) -> None:
    """The last good configuration stays in use, the pod stays ready, and the status names the field."""
    edit(checkout_enabled="maybe")
    assert "Order" in client.get("/").text
    assert client.get("/liveconfig/ready").status_code == 200
    assert client.get("/liveconfig/status").status_code == 401
    client.post("/login", data=ADA)
    assert client.get("/liveconfig/status").get_json()["last_rejected"]["fields"] == ["checkout_enabled"]
