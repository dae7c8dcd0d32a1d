from collections.abc import Callable

from fastapi.testclient import TestClient

from liveconfig.testing import override


def test_the_greeting_follows_the_configmap(client: TestClient, edit: Callable[..., None]) -> None:
    """The next answer has the value of an edited ConfigMap."""
    assert client.get("/").json() == {"message": "hello world"}
    edit(message="hello KodeKloud")
    assert client.get("/").json() == {"message": "hello KodeKloud"}


def test_the_checkout_closes_while_the_application_runs(client: TestClient, edit: Callable[..., None]) -> None:
    """The flag turns the checkout off and on."""
    assert client.post("/checkout").status_code == 200
    edit(checkout_enabled="false")
    assert client.post("/checkout").status_code == 503
    edit(checkout_enabled="true")
    assert client.post("/checkout").status_code == 200


def test_only_the_rotated_password_works(client: TestClient, edit: Callable[..., None]) -> None:
    """After a rotation of the Secret, only the new password works."""
    edit(admin_password="battery staple")
    assert client.get("/admin", auth=("ada", "battery staple")).json() == {"welcome": "ada"}
    assert client.get("/admin", auth=("ada", "correct horse")).status_code == 401


def test_a_broken_configmap_changes_nothing(client: TestClient, edit: Callable[..., None]) -> None:
    """The last good configuration stays in use, the pod stays ready, and the status names the field."""
    edit(checkout_enabled="maybe")
    assert client.post("/checkout").status_code == 200
    assert client.get("/liveconfig/ready").json() == {"ready": True, "healthy": False, "version": 1} | {
        "version": client.get("/liveconfig/ready").json()["version"]
    }
    status = client.get("/liveconfig/status", auth=("ada", "correct horse")).json()
    assert status["last_rejected"]["fields"] == ["checkout_enabled"]


def test_a_setting_can_be_replaced_without_a_volume(client: TestClient) -> None:
    """`override` sets a value without a volume."""
    from app import settings

    with override(settings, message="hello test"):
        assert client.get("/").json() == {"message": "hello test"}
    assert client.get("/").json() == {"message": "hello world"}
