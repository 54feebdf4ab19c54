"""The only place that picks implementations (D13): from settings to the parts of each role.

Every `*Part` has `run`, `stop` and `not_ready`. `gateway.runtime.roles` runs it. A role's module is imported when the
role is built: commands need little of what roles need, and should start in no time.
"""

from gateway.runtime.wiring.parts import Base, Part
from gateway.settings import SettingsError


def build(role: str, base: Base) -> Part:
    """Return the part of a role."""
    match role:
        case "api":
            from gateway.runtime.wiring.api import ApiPart

            return ApiPart(base)
        case "dispatch":
            from gateway.runtime.wiring.dispatch import DispatchPart

            return DispatchPart(base)
        case "back":
            from gateway.runtime.wiring.back import BackPart

            return BackPart(base)
    raise SettingsError(f"unknown role {role!r}")
