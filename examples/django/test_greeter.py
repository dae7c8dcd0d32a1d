from collections.abc import Callable
from typing import Any

from django.db import close_old_connections
from django.test import Client


def test_the_greeting_follows_the_configmap(client: Client, edit: Callable[..., None]) -> None:
    """An edited ConfigMap is in the next page."""
    assert client.get("/").content == b"hello world"
    edit(message="hello KodeKloud")
    assert client.get("/").content == b"hello KodeKloud"


def test_logged_in_users_stay_logged_in_when_the_session_key_is_rotated(
    client: Client, edit: Callable[..., None]
) -> None:
    """A session that was signed with the previous key is still valid."""
    client.get("/enter/ada")
    edit(session_key="second key")
    assert client.get("/").content == b"hello world, ada"


def test_the_checkout_closes_while_the_application_runs(client: Client, edit: Callable[..., None]) -> None:
    """The flag closes the checkout."""
    assert client.get("/checkout").json() == {"order": "accepted", "as": "app"}
    edit(checkout_enabled="false")
    assert client.get("/checkout").status_code == 503


def test_no_order_is_lost_when_the_database_password_is_rotated(
    client: Client, edit: Callable[..., None], server: Any
) -> None:
    """Orders are accepted before, during and after a rotation, whichever side is first."""

    def order() -> int:
        close_old_connections()  # Django does this for each request; its test client does not
        return client.get("/checkout").status_code

    assert order() == 200
    server.set_password("second password")
    assert order() == 200
    edit(db__password="second password")
    assert order() == 200
    edit(db__password="third password")
    assert order() == 200
    server.set_password("third password")
    assert order() == 200


def test_a_broken_configmap_changes_nothing(client: Client, edit: Callable[..., None]) -> None:
    """The last good configuration stays in use, and the pod stays ready."""
    edit(checkout_enabled="maybe")
    assert client.get("/checkout").status_code == 200
    assert client.get("/liveconfig/ready").json()["ready"]
