"""The settings that change while the application runs."""

from pydantic import BaseModel, SecretStr

from liveconfig import Settings, SettingsConfigDict


class Db(BaseModel):
    user: str
    password: SecretStr


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/greeter"])

    message: str = "hello world"
    checkout_enabled: bool = False
    session_key: SecretStr
    db: Db


settings = AppSettings.load()
