"""Django: mirrored settings, the middleware, the pages, the checks, the command."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import django
import pymysql
import pytest
from asgiref.sync import ThreadSensitiveContext
from django.conf import settings as django_settings
from django.core import checks, mail, signing
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.smtp import EmailBackend
from django.core.management import call_command
from django.db.utils import ConnectionHandler
from django.http import HttpRequest, JsonResponse
from django.test import AsyncClient, Client, SimpleTestCase, override_settings
from django.urls import include, path
from django.views.debug import SafeExceptionReporterFilter
from pydantic import BaseModel, SecretStr

from liveconfig import Settings
from liveconfig.integrations.keys import KeyRing
from liveconfig.testing import KubeletVolume, override

pymysql.install_as_MySQLdb()

pytestmark = pytest.mark.usefixtures("django_project")

FIRST = {
    "message": "hello world",
    "session-key": "CANARY-00000001-the-first-key",
    "email-host": "mail-1",
    "email-password": "CANARY-00000002",
    "db.user": "app",
    "db.password": "CANARY-00000003",
}


class Db(BaseModel):
    user: str
    password: SecretStr


class ShopSettings(Settings):
    message: str
    session_key: SecretStr
    old_session_keys: list[SecretStr] = []
    email_host: str
    email_port: int = 25
    email_password: SecretStr | None = None
    db: Db | None = None
    debug_level: int = 0


@pytest.fixture
def volume(kubelet_volume: KubeletVolume) -> KubeletVolume:
    kubelet_volume.write(FIRST)
    return kubelet_volume


@pytest.fixture
def live(volume: KubeletVolume) -> Iterator[ShopSettings]:
    """The live settings, which ``LIVECONFIG`` finds as ``shop_live:settings``."""
    settings = ShopSettings.load(_volumes=volume.path)
    module = ModuleType("shop_live")
    module.settings = settings  # type: ignore[attr-defined]
    known = patch.dict(sys.modules, shop_live=module)
    with settings.live, known, patch.object(HttpRequest, "app", (settings, volume), create=True):
        yield settings


def project(**more: Any) -> Any:
    """The settings of a project, for as long as the block lasts."""
    return override_settings(LIVECONFIG={"SETTINGS": "shop_live:settings", **more}, ROOT_URLCONF=__name__)


def greet(request: HttpRequest) -> JsonResponse:
    """Read the message twice around a swap of the volume."""
    live, volume = request.app  # type: ignore[attr-defined]
    before = live.live.snapshot().message
    volume.update({"message": "hello KodeKloud"})
    live.live.reload()
    return JsonResponse([before, live.live.snapshot().message, live.message], safe=False)


async def agreet(request: HttpRequest) -> JsonResponse:
    return greet(request)


urlpatterns = [
    path("greet", greet),
    path("agreet", agreet),
    path("liveconfig/", include("liveconfig.integrations.django.urls")),
]


class TestMirror:
    """``LIVECONFIG["MIRROR"]``."""

    def test_a_setting_follows_its_field(self, live: ShopSettings, volume: KubeletVolume) -> None:
        """A mirrored setting has the newest value each time it is read, secrets as plain text."""
        mirror = {"SHOP_HOST": "email_host", "SHOP_PASSWORD": "email_password", "SHOP_PORT": "email_port"}
        with project(MIRROR=mirror):
            assert (django_settings.SHOP_HOST, django_settings.SHOP_PORT) == ("mail-1", 25)
            volume.update({"email-host": "mail-2", "email-port": "587", "email-password": "CANARY-00000004"})
            assert live.live.reload()
            assert (django_settings.SHOP_HOST, django_settings.SHOP_PORT) == ("mail-2", 587)
            assert django_settings.SHOP_PASSWORD == "CANARY-00000004"

    @pytest.mark.skipif(django.VERSION >= (6, 1), reason="Django 6.1 has MAILERS in their place")
    def test_the_login_of_e_mail(self, live: ShopSettings, volume: KubeletVolume) -> None:
        """A connection for e-mail takes the newest values of mirrored settings."""
        with project(MIRROR={"EMAIL_HOST": "email_host", "EMAIL_HOST_PASSWORD": "email_password"}):
            volume.update({"email-host": "mail-2", "email-password": "CANARY-00000004"})
            assert live.live.reload()
            backend = mail.get_connection("django.core.mail.backends.smtp.EmailBackend")
            assert isinstance(backend, EmailBackend)
            assert (backend.host, backend.password) == ("mail-2", "CANARY-00000004")

    def test_an_entry_of_a_dictionary(self, live: ShopSettings, volume: KubeletVolume) -> None:
        """A name with dots mirrors one value inside a dictionary, and leaves the others as the project has them."""
        static = {"default": {"BACKEND": "smtp", "OPTIONS": {"host": "mail", "use_tls": True}}}
        mirror = {"MAILERS.default.OPTIONS.password": "email_password", "MAILERS.default.OPTIONS.host": "email_host"}
        with override_settings(MAILERS=static), project(MIRROR=mirror):
            volume.update({"email-password": "CANARY-00000004"})
            assert live.live.reload()
            options = {"host": "mail-1", "use_tls": True, "password": "CANARY-00000004"}
            assert {"default": {"BACKEND": "smtp", "OPTIONS": options}} == django_settings.MAILERS
            with project(MIRROR=mirror):
                assert django_settings.MAILERS["default"]["OPTIONS"] == options
        assert static["default"]["OPTIONS"] == {"host": "mail", "use_tls": True}

    def test_a_setting_below_a_model_that_is_none(self, live: ShopSettings, volume: KubeletVolume) -> None:
        """A mirrored field of a model that is None gives None."""
        with project(MIRROR={"SHOP_USER": "db.user"}):
            assert django_settings.SHOP_USER == "app"
            with override(live, db=None):
                assert django_settings.SHOP_USER is None

    def test_override_settings_and_override_work_together(self, live: ShopSettings) -> None:
        """`override_settings` beats the mirror, `override` changes what is mirrored, and both are undone."""
        with project(MIRROR={"SHOP_HOST": "email_host"}):
            with override(live, email_host="from override"):
                assert django_settings.SHOP_HOST == "from override"
                with override_settings(SHOP_HOST="from override_settings"):
                    assert django_settings.SHOP_HOST == "from override_settings"
                with SimpleTestCase().settings():
                    assert django_settings.SHOP_HOST == "from override"
            assert django_settings.SHOP_HOST == "mail-1"
        assert not hasattr(django_settings, "SHOP_HOST")

    def test_a_field_that_does_not_exist(self, live: ShopSettings) -> None:
        """A mirrored field that does not exist is an error that names the setting and the nearest field."""
        with project(MIRROR={"SHOP_HOST": "email_hots"}):
            (error,) = found_by_check()
        assert error.id == "liveconfig.E003"
        assert "LIVECONFIG[\"MIRROR\"]['SHOP_HOST']" in error.msg
        assert "email_host" in error.msg.replace("email_hots", "")

    def test_no_secret_is_shown(self, live: ShopSettings) -> None:
        """Neither Django's debug page nor the settings that it collects show a mirrored secret."""
        with project(MIRROR={"SECRET_KEY": "session_key", "SHOP_PASSWORD": "email_password"}):
            shown = repr(SafeExceptionReporterFilter().get_safe_settings())
            shown += repr(vars(django_settings)) + repr(vars(django_settings._wrapped))
        assert "CANARY" not in shown


class TestSecretKey:
    """``SECRET_KEY`` in ``LIVECONFIG["MIRROR"]``."""

    def test_what_was_signed_before_a_rotation_stays_good(self, live: ShopSettings, volume: KubeletVolume) -> None:
        """A value that was signed with the key before is still accepted after the key was rotated."""
        with project(MIRROR={"SECRET_KEY": "session_key"}):
            signed = signing.dumps("ada")
            volume.update({"session-key": "CANARY-00000005-the-second-key"})
            assert live.live.reload()
            assert signing.loads(signed) == "ada"
            assert "CANARY-00000005-the-second-key" in django_settings.SECRET_KEY_FALLBACKS

    def test_the_key_in_the_settings_module_is_never_accepted(self, live: ShopSettings) -> None:
        """A signature with the static ``SECRET_KEY`` is not valid while the key is mirrored."""
        signed = signing.dumps("mallory")
        with project(MIRROR={"SECRET_KEY": "session_key"}), pytest.raises(signing.BadSignature):
            signing.loads(signed)
        assert signing.loads(signed) == "mallory"

    def test_old_keys_come_from_a_field(self, live: ShopSettings, volume: KubeletVolume) -> None:
        """A field behind ``SECRET_KEY_FALLBACKS`` holds old keys, so that a pod that starts later accepts them."""
        volume.update({"old-session-keys": '["CANARY-00000006-an-old-key"]'})
        assert live.live.reload()
        signed = signing.dumps("ada", key="CANARY-00000006-an-old-key")
        with project(MIRROR={"SECRET_KEY": "session_key", "SECRET_KEY_FALLBACKS": "old_session_keys"}):
            assert signing.loads(signed) == "ada"
            volume.update({"old-session-keys": "[]"})
            assert live.live.reload()
            with pytest.raises(signing.BadSignature):
                signing.loads(signed)

    def test_old_keys_beside_a_ring_are_an_error(self, live: ShopSettings) -> None:
        """A field behind ``SECRET_KEY_FALLBACKS`` beside a `KeyRing` is the error E003, as the ring would not use it."""
        ring = KeyRing(live, "session_key", sign_after=60)
        with project(MIRROR={"SECRET_KEY": ring, "SECRET_KEY_FALLBACKS": "old_session_keys"}):
            (error,) = found_by_check()
        assert (error.id, "previous='old_session_keys'" in error.msg) == ("liveconfig.E003", True)

    def test_an_empty_key_is_an_error(self, live: ShopSettings) -> None:
        """An empty key is Django's own error, as it is in a settings module: nothing is signed with it."""
        error = pytest.raises(ImproperlyConfigured, match="must not be empty")
        with project(MIRROR={"SECRET_KEY": "session_key"}), override(live, session_key=""), error:
            signing.dumps("ada")


class TestMiddleware:
    """``LiveConfigMiddleware``."""

    MIDDLEWARE = ["liveconfig.integrations.django.middleware.LiveConfigMiddleware"]

    @pytest.mark.parametrize("view", ["greet", "agreet"])
    def test_a_request_has_one_snapshot(self, live: ShopSettings, volume: KubeletVolume, view: str) -> None:
        """Under WSGI a request sees one snapshot to its end, in sync and async views; the next one has the newest."""
        with project(), override_settings(MIDDLEWARE=self.MIDDLEWARE):
            client = Client()
            assert client.get(f"/{view}").json() == ["hello world", "hello world", "hello KodeKloud"]
            assert client.get(f"/{view}").json() == ["hello KodeKloud"] * 3

    @pytest.mark.parametrize("view", ["greet", "agreet"])
    async def test_an_async_request_has_one_snapshot(
        self, live: ShopSettings, volume: KubeletVolume, view: str
    ) -> None:
        """Under ASGI a request sees one snapshot to its end, in sync and async views; the next one has the newest."""
        with project(), override_settings(MIDDLEWARE=self.MIDDLEWARE):
            async with ThreadSensitiveContext():  # as Django's ASGI handler does
                client = AsyncClient()
                assert (await client.get(f"/{view}")).json() == ["hello world", "hello world", "hello KodeKloud"]
                assert (await client.get(f"/{view}")).json() == ["hello KodeKloud"] * 3


class TestPages:
    """``include("liveconfig.integrations.django.urls")``."""

    def test_the_probe(self, live: ShopSettings, volume: KubeletVolume) -> None:
        """The probe answers 200 with a rejected change, and 503 where ``FAIL_WHEN_UNHEALTHY`` asks for it."""
        with project():
            answer = Client().get("/liveconfig/ready")
            assert (answer.status_code, answer.json()) == (200, {"ready": True, "healthy": True, "version": 1})
            volume.update({"email-port": "many"})
            assert not live.live.reload()
            answer = Client().get("/liveconfig/ready")
            assert (answer.status_code, answer.json()) == (200, {"ready": True, "healthy": False, "version": 1})
        with project(FAIL_WHEN_UNHEALTHY=True):
            assert Client().get("/liveconfig/ready").status_code == 503

    def test_the_status_is_off_by_default(self, live: ShopSettings) -> None:
        """The status page is a 404 unless ``STATUS`` is true, and holds no value."""
        with project():
            assert Client().get("/liveconfig/status").status_code == 404
        with project(STATUS=True):
            answer = Client().get("/liveconfig/status")
            assert answer.json()["fields"]["session_key"]["kind"] == "volume"
            assert "CANARY" not in answer.text
            assert "no-store" in answer["Cache-Control"]

    @pytest.mark.parametrize("page", ["ready", "status"])
    def test_the_pages_need_no_database(self, live: ShopSettings, page: str) -> None:
        """No database with ``ATOMIC_REQUESTS`` that is down, ``default`` or another, fails the probe or the status."""
        down = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "x",
            "HOST": "/nowhere",
            "ATOMIC_REQUESTS": True,
        }
        databases = ConnectionHandler({"default": down, "reports": down})
        with project(STATUS=True), patch("django.core.handlers.base.connections", databases):
            assert Client().get(f"/liveconfig/{page}").status_code == 200


class TestChecks:
    """The system checks."""

    def test_all_is_well(self, live: ShopSettings) -> None:
        """A project whose fields all come from volumes has no message but for the fields with a default."""
        with project(MIRROR={"SHOP_HOST": "email_host"}):
            assert found_by_check() == []

    def test_liveconfig_is_missing(self) -> None:
        """A project without ``LIVECONFIG`` gets the error E001."""
        (error,) = found_by_check()
        assert (error.id, error.level) == ("liveconfig.E001", checks.ERROR)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ("shop_live:settings", "not a dictionary"),
            ({}, "not a live settings object"),
            ({"SETTINGS": object()}, "it is a object, not a live settings object"),
            ({"SETTINGS": ShopSettings}, "not a live settings object"),
            ({"SETTINGS": "shop_live"}, '"module:name"'),
            ({"SETTINGS": "shop_dead:settings"}, "there is no module 'shop_dead'"),
            ({"SETTINGS": "shop_live:seitings"}, "shop_live has no 'seitings'"),
            ({"SETTINGS": "shop_live:settings", "MIRRORS": {}}, "did you mean 'MIRROR'?"),
        ],
    )
    def test_liveconfig_is_wrong(self, live: ShopSettings, given: Any, words: str) -> None:
        """Something wrong in the setting is the error E002; the message says what, and how it should be."""
        with override_settings(LIVECONFIG=given):
            (error,) = found_by_check()
        assert error.id == "liveconfig.E002"
        assert words in error.msg

    def test_a_snapshot_is_refused(self, live: ShopSettings) -> None:
        """A snapshot in place of live settings is an error."""
        with override_settings(LIVECONFIG={"SETTINGS": live.live.snapshot()}):
            (error,) = found_by_check()
        assert "is a snapshot" in error.msg

    def test_a_frozen_field(self, volume: KubeletVolume, monkeypatch: pytest.MonkeyPatch) -> None:
        """The warning W001: a field that the environment serves cannot change, and the warning says what to do."""
        monkeypatch.setenv("DEBUG_LEVEL", "3")
        settings = ShopSettings.load(_volumes=volume.path)
        with settings.live, override_settings(LIVECONFIG={"SETTINGS": settings}):
            (warning,) = found_by_check()
        assert warning.id == "liveconfig.W001"
        assert "debug_level is read from the environment variable DEBUG_LEVEL and cannot change" in warning.msg
        assert "from_environment" in warning.hint

    def test_a_setting_that_django_reads_at_start(self, live: ShopSettings) -> None:
        """The warning W002: a mirrored setting that Django reads only when it starts does not follow."""
        with project(MIRROR={"LOGGING": "message"}):
            (warning,) = found_by_check()
        assert (warning.id, "LOGGING" in warning.msg) == ("liveconfig.W002", True)

    def test_a_database_with_a_password(self, live: ShopSettings) -> None:
        """The warning W003: a password in ``DATABASES`` beside the live login has no effect."""
        with project(), databases(PASSWORD="CANARY-00000007"):
            (warning,) = found_by_check()
        assert (warning.id, "CANARY" in warning.msg) == ("liveconfig.W003", False)

    def test_a_database_whose_field_does_not_exist(self, live: ShopSettings) -> None:
        """The error E003: a database names a field that does not exist, or an option that is not known."""
        with project(), databases(OPTIONS={"liveconfig": {"user": "db.usr"}}):
            (error,) = found_by_check()
        assert (error.id, "db.user" in error.msg) == ("liveconfig.E003", True)
        with project(), databases(OPTIONS={"liveconfig": {"pasword": "db.password"}}):
            (error,) = found_by_check()
        assert (error.id, "'password'" in error.msg) == ("liveconfig.E003", True)


def found_by_check() -> list[Any]:
    return [message for message in checks.run_checks() if str(message.id).startswith("liveconfig.")]


def databases(**how: Any) -> Any:
    """Have the checks find one database."""
    handler = ConnectionHandler(
        {"default": {"ENGINE": "liveconfig.integrations.django.postgresql", "NAME": "shop", **how}}
    )
    return patch("liveconfig.integrations.django.checks.connections", handler)


class TestCommands:
    """``manage.py``."""

    def test_explain(self, live: ShopSettings) -> None:
        """``manage.py liveconfig explain`` prints where each value comes from, and no value."""
        output = io.StringIO()
        with project():
            call_command("liveconfig", "explain", stdout=output)
        assert "session_key" in output.getvalue()
        assert "CANARY" not in output.getvalue()

    def test_explain_a_frozen_field(self, volume: KubeletVolume, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its exit code is 1 if a field that a volume should feed is frozen."""
        monkeypatch.setenv("DEBUG_LEVEL", "3")
        settings = ShopSettings.load(_volumes=volume.path)
        with settings.live, override_settings(LIVECONFIG={"SETTINGS": settings}), pytest.raises(SystemExit) as ended:
            call_command("liveconfig", "explain", stdout=io.StringIO())
        assert ended.value.code == 1

    def test_explain_unhealthy_settings(self, volume: KubeletVolume) -> None:
        """Its exit code is 3 if the settings are not healthy, and its text is that of ``liveconfig explain``."""
        settings = ShopSettings.load(_volumes=volume.path)
        settings.live.close()
        volume.write({"session_key": "moved on"})
        output = io.StringIO()
        with override_settings(LIVECONFIG={"SETTINGS": settings}), pytest.raises(SystemExit) as ended:
            call_command("liveconfig", "explain", stdout=output)
        assert ended.value.code == 3
        assert "NOT HEALTHY, see the problems below." in output.getvalue()
        assert "\nFIELD " in output.getvalue()

    @pytest.mark.parametrize(("engine", "program"), [("postgresql", "psql"), ("mysql", "mysql")])
    def test_dbshell(
        self, live: ShopSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, program: str
    ) -> None:
        """``dbshell`` starts the database's shell with the newest login, and leaves no password behind."""
        said = tmp_path / "said"
        fake = tmp_path / program
        fake.write_text(f'#!/bin/sh\necho "$*" "$PGPASSWORD$MYSQL_PWD" > {said}\n')
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        database = {"ENGINE": f"liveconfig.integrations.django.{engine}", "NAME": "shop", "HOST": "db"}
        connection = ConnectionHandler({"default": database})["default"]
        with project():
            connection.client.runshell([])
        assert "app" in said.read_text()
        assert "CANARY-00000003" in said.read_text()
        assert "CANARY" not in repr(connection.settings_dict)
