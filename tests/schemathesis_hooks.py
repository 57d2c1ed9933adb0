"""What schemathesis must not send as wrong: it is right on the wire.

A form knows no lists: a field's list is written as so many fields of that name, so one of a single value is
that value, and an empty one is nothing at all.
"""

from typing import Any

import schemathesis
from schemathesis import Case, HookContext


@schemathesis.hook
def filter_case(context: HookContext, case: Case[Any]) -> bool:
    """Leave out forms with a list that its field's schema forbids and the wire does not show."""
    if case.media_type != "multipart/form-data" or not isinstance(case.body, dict):
        return True
    forms = [body for body in case.operation.body if body.media_type == case.media_type]
    properties = forms[0].definition["schema"]["properties"]
    return not any(
        isinstance(value, list)
        and len(value) < 2
        and properties.get(name, {}).get("type") != "array"
        for name, value in case.body.items()
    )
