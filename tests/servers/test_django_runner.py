"""Django's own test runner on real servers, in a project of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

PROJECT = {
    "live.py": """
import os
from pydantic import BaseModel, SecretStr
from liveconfig import Settings

class Db(BaseModel):
    user: str
    password: SecretStr

class AppSettings(Settings):
    email_host: str = "mail-1"
    db: Db

settings = AppSettings.load(_volumes=os.environ["APP_VOLUME"])
""",
    "project.py": """
import json, os
import pymysql
pymysql.install_as_MySQLdb()
DATABASES = {"default": json.loads(os.environ["APP_DATABASE"])}
INSTALLED_APPS = ["liveconfig.integrations.django", "django.contrib.auth", "django.contrib.contenttypes"]
LIVECONFIG = {"SETTINGS": "live:settings", "MIRROR": {"EMAIL_HOST": "email_host"}}
SECRET_KEY = "a key for tests"
""",
    "tests.py": """
from django.conf import settings
from django.contrib.auth.models import User
from django.test import TestCase, override_settings
from live import settings as live
from liveconfig.testing import override

class Users(TestCase):
    def test_a_user(self):
        User.objects.create_user("ada")
        self.assertEqual(User.objects.count(), 1)

class Both(TestCase):
    def test_override(self):
        User.objects.create_user("bob")
        with override(live, email_host="mail-test"):
            self.assertEqual(settings.EMAIL_HOST, "mail-test")
            with override_settings(EMAIL_HOST="mine"):
                self.assertEqual(settings.EMAIL_HOST, "mine")
            self.assertEqual(settings.EMAIL_HOST, "mail-test")
        self.assertEqual((settings.EMAIL_HOST, User.objects.count()), ("mail-1", 1))
""",
}


def database(server: Any) -> dict[str, Any]:
    """An entry of ``DATABASES`` whose login may create databases."""
    if hasattr(server, "socket"):
        with pymysql.connect(unix_socket=server.socket, user="root") as admin:
            admin.cursor().execute("GRANT ALL ON *.* TO app@localhost")
        where = {"ENGINE": "mysql", "NAME": "shop", "HOST": server.socket, "OPTIONS": {"ssl_disabled": True}}
    else:
        with psycopg.connect(host=server.host, user="postgres", autocommit=True) as admin:
            admin.execute("ALTER ROLE app CREATEDB")
        where = {"ENGINE": "postgresql", "NAME": "shop", "HOST": server.host}
    return where | {"ENGINE": f"liveconfig.integrations.django.{where['ENGINE']}"}


@pytest.mark.parametrize("on", ["postgres", "mariadb"], indirect=True)
@pytest.mark.parametrize("parallel", ["1", "2"])
def test_the_test_runner(rotation: Any, tmp_path: Path, parallel: str) -> None:
    """``manage.py test`` creates and clones its database with the live login, and runs overrides of both kinds."""
    project = tmp_path / "project"
    project.mkdir()
    for name, text in PROJECT.items():
        (project / name).write_text(text)
    variables = {
        "APP_DATABASE": json.dumps(database(rotation.server)),
        "APP_VOLUME": str(rotation.volume.path),
        "DJANGO_SETTINGS_MODULE": "project",
        "PYTHONPATH": str(project),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "django", "test", "--noinput", "--parallel", parallel],
        cwd=project,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Ran 2 tests" in ran.stderr
    assert "CANARY" not in ran.stdout + ran.stderr
