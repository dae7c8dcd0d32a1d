"""Fields that are validated one by one, where the instance as a whole cannot be made."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel

from liveconfig import Settings, SettingsConfigDict
from liveconfig._loading.cached import cached
from liveconfig._loading.field_validation import validated_apart


class Database(BaseModel):
    user: str = "nobody"
    port: int = 1


def known(value: Any) -> Any:
    """Take one value only, and raise what no validator should."""
    return {"default": value}[value]


class App(Settings):
    model_config = SettingsConfigDict(watch=False)
    message: str = "default"
    number: int = 0
    refused: Annotated[str, AfterValidator(known)] = "default"
    db: Database = Database()
    replica: Database = Database(port=2)


def test_what_is_known_of_each_field(load):
    """What has data has its value, or the data where it is not valid; what has none has its default, model by model."""
    fields = load(App).live._core.loader.plan.fields
    values = dict(validated_apart(fields, {"number": "x", "refused": "text", "db": {"port": "5"}}))
    assert values == {
        "message": "default",
        "number": "x",
        "refused": "text",
        "db.user": "nobody",
        "db.port": 5,
        "replica.user": "nobody",
        "replica.port": 2,
    }


def test_a_cached_value_of_a_class():
    """A cached value that is asked of the class is its descriptor, as a property is, for tools that look at classes."""

    class Owner:
        @cached
        def value(self) -> int:
            return 1

    assert isinstance(Owner.value, cached)
    assert Owner().value == 1
