"""How one carrier wants texts cut: one value that intake counts with and dispatch cuts with (sms-domain B27).

Made from the carrier's profile by `gateway.runtime.carriers`. A message is counted for the carrier it is routed to;
on another carrier after a failover it is cut by that one's options, which may give another number of segments.
"""

from dataclasses import dataclass, field
from unicodedata import normalize

from gateway.domain.errors import SegmentationError
from gateway.domain.gsm7 import alphabet, septets_or_none
from gateway.domain.segmentation import (
    AIR_OCTETS,
    DATA_CODINGS,
    MAX_SEGMENTS,
    MAX_SHORT_SEPTETS,
    SPLITS,
    MeasuredText,
    Segmentation,
    SegmentPayload,
    measure_short,
    measure_text,
    measure_whole,
    segment_text,
)

WHOLE = "whole"
"""The split of carriers that get the text as it is, in one submit, and cut it themselves."""
DEFAULT_ALPHABETS = frozenset({"gsm7", "latin1", "ascii"})


@dataclass(frozen=True, slots=True)
class SegmentationOptions:
    """The options of `gateway.domain.segmentation` that belong to a carrier; SegmentationError when they make no sense.

    `default_alphabet` is what data_coding 0 means there (A13): a text of GSM 7-bit that it lacks a character of goes
    as UCS-2. Its segments keep the budget of septets, because that is what goes over the air.

    With the split "whole" the one segment holds the text in UTF-8, of at most `max_characters` (0: any number), and
    `counts_segments` says whether such a text counts as what the carrier will make of it, or as one.
    """

    split: str = "udh"
    reference_bits: int = 8
    packed: bool = False
    national_single_shift: int = 0
    national_locking_shift: int = 0
    default_alphabet: str = "gsm7"
    max_characters: int = 0
    counts_segments: bool = False
    _is_usual: bool = field(init=False, repr=False, compare=False, default=False)
    _is_plain: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        if self.split != WHOLE and self.split not in SPLITS:
            raise SegmentationError(
                "invalid_option", f"split {self.split!r} is not one of udh, sar, payload, whole"
            )
        if self.reference_bits not in (8, 16):
            raise SegmentationError(
                "invalid_option", f"reference_bits {self.reference_bits} is not one of 8, 16"
            )
        if self.default_alphabet not in DEFAULT_ALPHABETS:
            raise SegmentationError(
                "invalid_option",
                f"default_alphabet {self.default_alphabet!r} is not one of gsm7, latin1, ascii",
            )
        alphabet(self.national_single_shift, self.national_locking_shift)
        has_shifts = self.national_single_shift or self.national_locking_shift
        is_usual = self.split in SPLITS and self.default_alphabet == "gsm7" and not has_shifts
        object.__setattr__(self, "_is_usual", is_usual)
        object.__setattr__(self, "_is_plain", is_usual and not self.packed and self.split != "payload")
        if self.default_alphabet != "gsm7" and (
            self.packed or self.national_single_shift or self.national_locking_shift
        ):
            raise SegmentationError(
                "invalid_option", "packed septets and national shifts need the GSM alphabet"
            )

    @property
    def draw_bits(self) -> int:
        """How many bits a concatenation reference has (SAR: always 16)."""
        return 16 if self.split == "sar" else self.reference_bits

    @property
    def is_parted(self) -> bool:
        """Whether a long text becomes several submits, which need a reference to be put together by."""
        return self.split not in ("payload", WHOLE)

    def measure_short(self, text: str) -> MeasuredText | None:
        """Return what `measure` says of a text without wishes that is one segment, None where that is not so plain."""
        return measure_short(text) if self._is_usual else None

    def measure(
        self,
        text: str,
        *,
        encoding: str = "auto",
        transliterate: bool = False,
        max_segments: int = MAX_SEGMENTS,
    ) -> MeasuredText:
        """Return what `cut` will send and how many segments that is; raises SegmentationError."""
        if self._is_usual and encoding == "auto" and not transliterate:
            short = measure_short(text)
            if short is not None:
                return short
        if self.split == WHOLE:
            return self._measure_whole(
                text, encoding=encoding, transliterate=transliterate, max_segments=max_segments
            )
        measured = measure_text(
            text,
            encoding=encoding,
            reference_bits=self.reference_bits,
            split=self.split,
            transliterate=transliterate,
            national_single_shift=self.national_single_shift,
            national_locking_shift=self.national_locking_shift,
            max_segments=max_segments,
        )
        if measured.encoding != "gsm7" or self._lacks(measured.text) is None:
            return measured
        if encoding == "gsm7":
            raise self._not_in_default_alphabet(measured.text)
        # The text as it was written: what was made plain for the sake of septets need not be (C4).
        return measure_text(
            text,
            encoding="ucs2",
            reference_bits=self.reference_bits,
            split=self.split,
            max_segments=max_segments,
        )

    def cut(self, text: str, *, encoding: str, reference: int = 0) -> Segmentation:
        """Return the segments of a text that was measured, here or for another carrier; raises SegmentationError.

        A text that is GSM 7-bit elsewhere and not here goes as UCS-2.
        """
        if self._is_plain:
            short = _segment_short(text, encoding)
            if short is not None:
                return short
        if self.split == WHOLE:
            self._check_length(text)
            return _whole(text, encoding)
        if encoding == "gsm7":
            if self._lacks(text) is None:
                try:
                    return self._segment(text, encoding, reference)
                except SegmentationError as error:
                    if error.code != "not_in_alphabet":
                        raise
            encoding = "ucs2"
        return self._segment(text, encoding, reference)

    def _measure_whole(
        self, text: str, *, encoding: str, transliterate: bool, max_segments: int
    ) -> MeasuredText:
        measured = measure_whole(text, encoding=encoding, transliterate=transliterate)
        self._check_length(measured.text)
        if not self.counts_segments:
            return measured
        return measure_text(measured.text, encoding=measured.encoding, max_segments=max_segments)

    def _check_length(self, text: str) -> None:
        if self.max_characters and len(text) > self.max_characters:
            raise SegmentationError(
                "too_many_segments",
                f"{len(text)} characters exceed the carrier's limit of {self.max_characters}",
            )

    def _segment(self, text: str, encoding: str, reference: int) -> Segmentation:
        return segment_text(
            text,
            encoding=encoding,
            reference=reference,
            reference_bits=self.reference_bits,
            split=self.split,
            packed=self.packed,
            national_single_shift=self.national_single_shift,
            national_locking_shift=self.national_locking_shift,
        )

    def _lacks(self, text: str) -> int | None:
        """Return the index of the first character that data_coding 0 cannot say here, or None."""
        if self.default_alphabet == "gsm7" or text.isascii():
            return None
        try:
            text.encode(self.default_alphabet)
        except UnicodeEncodeError as error:
            return error.start
        return None

    def _not_in_default_alphabet(self, text: str) -> SegmentationError:
        index = self._lacks(text) or 0
        return SegmentationError(
            "not_in_alphabet",
            f"character U+{ord(text[index]):04X} at index {index} is not in the carrier's {self.default_alphabet}",
        )


def _whole(text: str, encoding: str) -> Segmentation:
    try:
        octets = text.encode()
    except UnicodeEncodeError as error:
        raise SegmentationError(
            "lone_surrogate",
            f"U+{ord(text[error.start]):04X} at index {error.start} is half of a surrogate pair",
        ) from None
    return Segmentation(
        encoding, DATA_CODINGS.get(encoding, 8), len(text), (SegmentPayload(0, b"", octets),), 1
    )


USUAL_SEGMENTATION = SegmentationOptions()
"""What SMPP 3.4 carriers take that say nothing else."""


def _segment_short(text: str, encoding: str) -> Segmentation | None:
    """Return what `segment_text` says of a text that fits one segment, without shifts; None for any other."""
    if encoding == "gsm7":
        octets = septets_or_none(text)
        if octets is None or not 0 < len(octets) <= MAX_SHORT_SEPTETS:
            return None
        units = len(octets)
    elif encoding == "ucs2":
        try:
            octets = normalize("NFC", text).encode("utf-16-be")
        except UnicodeEncodeError:
            return None
        if not 0 < len(octets) <= AIR_OCTETS:
            return None
        units = len(octets) // 2
    else:
        return None
    return Segmentation(encoding, DATA_CODINGS[encoding], units, (SegmentPayload(0, b"", octets, ()),), 1)
