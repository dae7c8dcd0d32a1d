"""The smallest application: it prints a greeting at each Enter, and follows its ConfigMap and its Secret."""

import logging
import sys

from pydantic import SecretStr

from liveconfig import Change, Settings, SettingsConfigDict


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/config", "/etc/secrets"])
    message: str = "hello world"
    mysql_root_password: SecretStr


logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
settings = AppSettings.load()


@settings.live.on_change(lambda s: s.mysql_root_password)
def reconnect(change: Change[SecretStr]) -> None:
    print("reconnecting with the password of version", change.version, flush=True)


if __name__ == "__main__":
    for _ in sys.stdin:
        print(settings.message, flush=True)
