"""Blocks of the Postgres bus: what is cut comes back, in bounds."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.bus.blocks import MAX_BLOCK_OCTETS, cut, records_in
from gateway.bus.postgres_sql import MAX_BLOCK_RECORDS


def rows_of(values: list[bytes], *, base: int = 0, first: int = 0) -> list[tuple[int, int, bytes, int]]:
    return [(base + block.last, block.records, block.octets, first) for block in cut(values)]


@given(st.lists(st.binary(max_size=3_000), max_size=40), st.integers(0, 1 << 40))
def test_what_is_cut_comes_back_with_its_offsets(values: list[bytes], base: int) -> None:
    rows = rows_of(values, base=base)
    assert [tuple(one) for one in records_in(rows, limit=1_000)] == list(enumerate(values, start=base))
    assert all(len(octets) <= MAX_BLOCK_OCTETS for _, _, octets, _ in rows)


@given(
    st.lists(st.binary(max_size=900), min_size=1, max_size=40),
    st.integers(0, 45),
    st.integers(min_value=1, max_value=45),
)
def test_a_read_gives_what_was_asked_for_of_the_blocks_that_hold_it(
    values: list[bytes], first: int, limit: int
) -> None:
    rows = [row for row in rows_of(values, first=first) if row[0] >= first]
    assert [one.value for one in records_in(rows, limit=limit)] == values[first : first + limit]


def test_small_records_fill_a_block_to_its_number() -> None:
    blocks = list(cut([b""] * (2 * MAX_BLOCK_RECORDS + 1)))
    assert [block.records for block in blocks] == [MAX_BLOCK_RECORDS, MAX_BLOCK_RECORDS, 1]
    assert [block.last for block in blocks] == [255, 511, 512]


def test_a_record_longer_than_a_page_is_a_block_of_its_own() -> None:
    blocks = list(cut([b"a", b"x" * 20_000, b"b"]))
    assert [block.records for block in blocks] == [1, 1, 1]
