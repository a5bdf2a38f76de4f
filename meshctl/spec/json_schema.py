"""The JSON Schema of the language, for editors and for tools that write specs.

It says no more than a schema can: what names refer to, and what only holds for several fields together, is
known to `meshctl validate` alone. Where both speak, nothing is valid here that is refused there, but for a
few texts whose rule no pattern can hold.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from meshctl.spec.mesh import MeshSpec
from meshctl.spec.route_tests import RouteTestsSpec
from meshctl.spec.types import Model, given

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "A meshctl mesh"
TESTS_TITLE = "Route tests of a meshctl mesh"


class _Generator(GenerateJsonSchema):
    """Says of optional keys that they may be left out, not that they may be null or empty."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        if schema["schema"]["type"] == "nullable" and schema["function"]["function"] is given:
            kind = schema["schema"]["schema"]["type"]
            if kind == "list":
                inner = {**inner, "minItems": 1}
            elif kind in ("dict", "model", "definition-ref"):
                inner = {**inner, "minProperties": 1}
        return inner

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            made["additionalProperties"] = False
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401 - one of pydantic's many
        return False


def json_schema() -> dict[str, Any]:
    """The schema of a spec in one file; parts of a spec in a folder lack what stands in the others."""
    return _schema(MeshSpec, TITLE)


def route_tests_schema() -> dict[str, Any]:
    """The schema of a file of route tests."""
    return _schema(RouteTestsSpec, TESTS_TITLE)


def _schema(model: type[Model], title: str) -> dict[str, Any]:
    made = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    for definition in made["$defs"].values():
        definition.pop("title", None)
    return {"$schema": DIALECT, **made, "title": title}
