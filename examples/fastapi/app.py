"""A greeting, a feature flag and a password that follow their ConfigMap and Secret."""

import logging
import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import SecretStr

from liveconfig import Change, Settings, SettingsConfigDict
from liveconfig.integrations.fastapi import lifespan, pinned, router

log = logging.getLogger("uvicorn.error")


class AppSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/greeter"])

    message: str = "hello world"
    checkout_enabled: bool = False
    admin_password: SecretStr


settings = AppSettings.load()
Current = Annotated[AppSettings, Depends(pinned(settings))]


@settings.live.on_change(lambda s: s.checkout_enabled)
async def announce(change: Change[bool]) -> None:
    log.info("checkout is now %s", "open" if change.new else "closed")


def authenticate(current: Current, login: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> str:
    password = current.admin_password.get_secret_value()
    if not secrets.compare_digest(login.password.encode(), password.encode()):
        raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})
    return login.username


app = FastAPI(lifespan=lifespan(settings))
app.include_router(router(settings, status=True, status_dependencies=[Depends(authenticate)]))


@app.get("/")
async def greet(current: Current) -> dict[str, str]:
    return {"message": current.message}


@app.post("/checkout")
async def checkout(current: Current) -> dict[str, str]:
    if not current.checkout_enabled:
        raise HTTPException(503, "checkout is closed")
    return {"order": "accepted"}


@app.get("/admin")
async def admin(user: Annotated[str, Depends(authenticate)]) -> dict[str, str]:
    return {"welcome": user}
