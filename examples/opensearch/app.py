"""A search with OpenSearch. Its login comes from a Secret, and is rotated while the program runs.

Usage: OPENSEARCH_URL=https://search:9200 python app.py WORDS
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from opensearchpy import AuthenticationException, OpenSearch
from pydantic import BaseModel, SecretStr
from urllib3.util import make_headers

from liveconfig import Settings, SettingsConfigDict
from liveconfig.integrations.credentials import credential

TRIES = 20
PAUSE = 0.25  # seconds between two tries of a refused request


class Login(BaseModel):
    user: str
    password: SecretStr


class SearchSettings(Settings):
    model_config = SettingsConfigDict(volumes=["/etc/secrets"])
    search: Login


class Shop:
    """Searches, and tries again while the login is refused."""

    def __init__(self, settings: SearchSettings, url: str) -> None:
        self._user = credential(settings, "search.user")
        self._password = credential(settings, "search.password")
        self._client = OpenSearch(url, http_auth=self._header)

    def _header(self, method: str, url: str, body: object) -> dict[str, str]:
        return make_headers(basic_auth=f"{self._user()}:{self._password()}")

    def search(self, words: str) -> dict[str, Any]:
        for _ in range(TRIES - 1):
            try:
                return self._search(words)
            except AuthenticationException:
                time.sleep(PAUSE)
        return self._search(words)

    def _search(self, words: str) -> dict[str, Any]:
        return self._client.search(index="items", body={"query": {"match": {"title": words}}})

    def close(self) -> None:
        self._client.close()


def main(words: str) -> None:
    settings = SearchSettings.load()
    with settings.live:
        print(Shop(settings, os.environ["OPENSEARCH_URL"]).search(words))


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
