"""The two classes give the same values, and the second one follows its volumes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import after
import before
import pytest

from liveconfig import InvalidSettingsError, Volume
from liveconfig.testing import KubeletVolume

PLAIN = {
    "STAGE": "production",
    "SERVICE_NAME": "shop",
    "ALLOWED_ORIGINS": "https://shop.example, https://admin.example",
    "ERROR_REPORTS": "https://errors.example/1",
    "DATABASE_HOST": "db",
    "MAIL_HOST": "mail",
    "MAIL_SENDER": "shop@shop.example",
}
SECRET = {"SESSION_KEY": "k1", "DATABASE_PASSWORD": "p1"}


@pytest.fixture
def volumes(kubelet_volume: KubeletVolume, make_kubelet_volume: Any) -> tuple[KubeletVolume, KubeletVolume]:
    kubelet_volume.write(as_keys(PLAIN))
    secrets = make_kubelet_volume("secrets")
    secrets.write(as_keys(SECRET))
    return kubelet_volume, secrets


@pytest.fixture
def settings(volumes: tuple[KubeletVolume, KubeletVolume]) -> Any:
    config, secrets = volumes
    settings = after.AppSettings.load(_volumes=[config.path, Volume(secrets.path, secret=True)], _env_file=None)
    yield settings
    settings.live.close()


def as_keys(variables: Mapping[str, str]) -> dict[str, str]:
    """The keys of a ConfigMap as people write them."""
    return {name.lower().replace("_", "-"): value for name, value in variables.items()}


def test_variables_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both classes read the same values from variables."""
    for name, value in {**PLAIN, **SECRET}.items():
        monkeypatch.setenv(name, value)
    same = after.AppSettings.load(_volumes=[], _env_file=None)
    assert same.model_dump() == before.AppSettings(_env_file=None).model_dump()  # type: ignore[call-arg]
    same.live.close()


def test_keys_give_the_same(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of the volumes give what the variables gave."""
    for name, value in {**PLAIN, **SECRET}.items():
        monkeypatch.setenv(name, value)
    assert settings.live.latest().model_dump() == before.AppSettings(_env_file=None).model_dump()  # type: ignore[call-arg]


def test_a_rotation(settings: Any, volumes: tuple[KubeletVolume, KubeletVolume]) -> None:
    """Computed and assigned values follow the volumes, and a subscriber is called with the new URL."""
    config, secrets = volumes
    urls: list[str] = []
    settings.live.on_change(lambda s: s.database_url)(lambda change: urls.append(change.new))
    config.update({"service-name": "store"})
    secrets.update({"database-password": "p2"})
    settings.live.reload(wait=True)
    assert settings.mail_sender_name == "store"
    assert urls == [settings.database_url] == ["postgresql+psycopg://app:p2@db:5432/app"]


def test_a_placeholder(settings: Any, volumes: tuple[KubeletVolume, KubeletVolume], caplog: Any) -> None:
    """The placeholder is rejected outside of local: the last good value stays, and the log tells why."""
    _, secrets = volumes
    secrets.update({"database-password": "change-me"})
    assert not settings.live.reload()
    assert settings.database_password == "p1"
    assert any("database_password is still the placeholder" in record.getMessage() for record in caplog.records)


def test_a_wrong_stage(volumes: tuple[KubeletVolume, KubeletVolume]) -> None:
    """A stage that is none is an error at the start that says which there are."""
    config, _ = volumes
    config.update({"stage": "prod"})
    with pytest.raises(InvalidSettingsError, match="'local', 'staging' or 'production'"):
        after.AppSettings.load(_volumes=[config.path], _env_file=None, database_password="x")


def test_no_secret_is_shown(settings: Any, caplog: Any) -> None:
    """What the volume of secrets feeds is hidden when the settings are printed, and so is the URL that holds it."""
    caplog.set_level(logging.DEBUG)
    assert "p1" not in repr(settings)
    assert "p1" not in caplog.text
