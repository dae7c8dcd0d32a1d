"""The settings of a web service with pydantic-settings, in the style of templates for full-stack applications."""

import secrets
from typing import Annotated, Any, Literal, Self

from pydantic import AnyUrl, BeforeValidator, Field, HttpUrl, PostgresDsn, computed_field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PLACEHOLDER = "change-me"


def split_origins(value: Any) -> Any:
    """Take the origins as a text with commas, too."""
    is_text = isinstance(value, str) and not value.startswith("[")
    return [part.strip() for part in value.split(",") if part.strip()] if is_text else value


class AppSettings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")
    stage: Literal["local", "staging", "production"] = "local"
    service_name: str
    allowed_origins: Annotated[list[AnyUrl] | str, BeforeValidator(split_origins)] = Field(default_factory=list)
    error_reports: HttpUrl | None = None
    session_key: str = secrets.token_urlsafe(32)
    session_minutes: int = 60 * 24

    database_host: str
    database_port: int = 5432
    database_user: str = "app"
    database_password: str = ""
    database_name: str = "app"

    mail_host: str | None = None
    mail_sender: str | None = None
    mail_sender_name: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def database_url(self) -> str:
        return str(
            PostgresDsn.build(
                scheme="postgresql+psycopg",
                username=self.database_user,
                password=self.database_password,
                host=self.database_host,
                port=self.database_port,
                path=self.database_name,
            )
        )

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mail_enabled(self) -> bool:
        return bool(self.mail_host and self.mail_sender)

    @model_validator(mode="after")
    def name_the_sender(self) -> Self:
        if not self.mail_sender_name:
            self.mail_sender_name = self.service_name
        return self

    @model_validator(mode="after")
    def refuse_placeholders(self) -> Self:
        for name in ("session_key", "database_password"):
            if self.stage != "local" and getattr(self, name) == PLACEHOLDER:
                raise ValueError(f"{name} is still the placeholder of the template")
        return self
