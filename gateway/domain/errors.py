"""Errors that carry a stable code and a detail for people; raised by the pure rooms, turned into problems at the borders."""


class CodedError(ValueError):
    """An input that breaks a rule: `code` is stable and documented, `detail` names the value and the limit."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class SegmentationError(CodedError):
    """A text or payload that cannot be cut into segments as asked.

    Codes: empty_text, lone_surrogate, not_in_alphabet, too_many_segments, invalid_option.
    """


class AddressError(CodedError):
    """A sender or recipient that no carrier could take. Codes: invalid_sender, invalid_number, invalid_region."""


class InspectError(CodedError):
    """An input line of `caudal inspect` that is not as DESIGN section 6 says.

    Codes: unknown_key, missing_key, invalid_value, and those of the errors of the room asked.
    """


def quoted(value: str, *, max_characters: int = 40) -> str:
    """Return the value in quotes for an error detail, shortened, with what cannot be printed escaped."""
    return ascii(value) if len(value) <= max_characters else f"{value[:max_characters]!a}..."
