"""The control interface: what another program may ask of the sandbox's memory over HTTP."""

from __future__ import annotations

import hmac
import json
from typing import Any

from .call import LARGEST_BODY, Call, error_answer, json_answer
from .pages import Answer
from .state import State

__all__ = ["CONTROL_ARGUMENTS", "control"]

#: Names of the requests, and which arguments each takes.
CONTROL_ARGUMENTS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "issue": {"user": str, "scope": (str, list), "expires_in": (int, float), "length": int},
    "expire": {"token": str},
    "revoke": {"token": str},
    "fault": {"kind": str, "service": (str, type(None)), "number": (int, float), "times": (int, type(None))},
    "clear-faults": {},
    "lines": {"service": (str, type(None))},
    "users": {},
}
_CONTROL_REQUIRED = {"issue": {"user"}, "expire": {"token"}, "revoke": {"token"}, "fault": {"kind"}}


def control(call: Call, state: State, secret: str) -> Answer:
    """Do what another program asks, if it knows *secret*; *state* is changed, and its lock held by the caller."""
    given = {name.lower(): value for name, value in call.headers.items()}.get("x-sandbox-control", "")
    if not hmac.compare_digest(given.encode(), secret.encode()):
        return error_answer(403, "access_denied", "X-Sandbox-Control is not the sandbox's control secret")
    name = call.path.removeprefix("/control/")
    try:
        arguments = json.loads(call.body or "{}")
        _check_arguments(name, arguments)
        return json_answer(200, _do(name, arguments, state))
    except KeyError:
        return error_answer(404, "unknown_token")
    except ValueError as error:
        return error_answer(400, "invalid_request", str(error))


def _do(name: str, arguments: dict[str, Any], state: State) -> dict[str, Any]:
    if name == "issue":
        scope = arguments.pop("scope", "mail")
        scopes = tuple(scope.split() if isinstance(scope, str) else map(str, scope))
        return {"access_token": state.issue(arguments.pop("user"), scopes, **arguments)}
    if name == "lines":
        service = arguments.get("service")
        return {"lines": [vars(line) for line in state.lines if service in (None, line.service)]}
    if name == "users":
        return {"users": sorted(state.users)}
    if name == "fault":
        state.fault(arguments.pop("kind"), **arguments)
    elif name == "clear-faults":
        state.clear_faults()
    else:
        {"expire": state.expire, "revoke": state.revoke}[name](arguments["token"])
    return {}


def _check_arguments(name: str, arguments: object) -> None:
    """Hold a control request's JSON to `CONTROL_ARGUMENTS`.

    Raises:
        ValueError: it is something else.
    """
    known = CONTROL_ARGUMENTS[name]
    if not isinstance(arguments, dict) or not arguments.keys() <= known.keys():
        raise ValueError(f"expected a JSON object of {', '.join(known) or 'nothing'}")
    if missing := _CONTROL_REQUIRED.get(name, set()) - arguments.keys():
        raise ValueError(f"missing: {', '.join(sorted(missing))}")
    for argument, value in arguments.items():
        if not isinstance(value, known[argument]) or isinstance(value, bool):
            raise ValueError(f"{argument} is of the wrong type")
    if not 1 <= arguments.get("length", 1) <= LARGEST_BODY:
        raise ValueError(f"length must be 1 to {LARGEST_BODY}")
