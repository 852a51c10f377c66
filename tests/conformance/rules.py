"""Which of the data that the API's document allows may be refused all the same, and why.

A schema cannot say that a password is one that half the world uses, nor which strings are cursors.
So these operations may answer 422 to data that fits their schema, but only for these rules;
whatever else is refused, the document should have told.
"""

import schemathesis

NO_SCHEMA_SAYS = {
    "GET /users": {("cursor", "invalid_format")},
    "POST /auth/register": {("password", "common_password"), ("password", "same_as_identity")},
    "POST /users": {("password", "common_password"), ("password", "same_as_identity")},
    "PUT /auth/password": {
        ("new_password", "common_password"),
        ("new_password", "same_as_identity"),
    },
}


@schemathesis.check
def refused_only_for_what_no_schema_says(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code == 422:
        broken = {(error["field"], error["code"]) for error in response.json()["errors"]}
        unsaid = broken - NO_SCHEMA_SAYS.get(case.operation.label, set())
        assert not unsaid, f"{case.operation.label} fits its schema and breaks {sorted(unsaid)}"
    if response.status_code == 415:
        # Without a body there is no type: only the cookie may stand for the body.
        assert not response.request.body, f"{case.operation.label} has a body of the right type"
