"""The application that ``INSTALLED_APPS`` names."""

from __future__ import annotations

from contextlib import suppress

from django.apps import AppConfig
from django.core.checks import register
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from liveconfig.integrations.django import _mirror
from liveconfig.integrations.django._configuration import configuration, is_configured
from liveconfig.integrations.django.checks import check, errors


class LiveConfigApp(AppConfig):
    """Put it first in ``INSTALLED_APPS``, so that other applications find the mirrored settings when they start."""

    name = "liveconfig.integrations.django"
    label = "liveconfig"
    verbose_name = "liveconfig"

    def ready(self) -> None:
        """Check the configuration, and mirror settings.

        Raises:
            ImproperlyConfigured: Something in ``LIVECONFIG`` or ``DATABASES`` is wrong.
        """
        register(check, "liveconfig")
        setting_changed.connect(_on_setting_changed, dispatch_uid="liveconfig")
        if is_configured():
            _start()


def _start() -> None:
    if wrong := errors():
        raise ImproperlyConfigured("\n".join(f"({error.id}) {error.msg}" for error in wrong))
    _mirror.install(configuration())


def _on_setting_changed(*, setting: str, value: object, enter: bool, **_more: object) -> None:
    """A test overrides ``LIVECONFIG``: mirror what it says, inside the override, which undoes it."""
    if setting == "LIVECONFIG" and enter and value:
        with suppress(ImproperlyConfigured):  # the checks report it
            _mirror.install(configuration())
