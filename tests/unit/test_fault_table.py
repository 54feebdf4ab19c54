"""The table of the fault suite: what is written is read back, and later runs are added to their rows."""

from tests.faults.books import Outcome
from tests.faults.table import BEGIN, END, Table, read, write


def an_outcome(seed: int, **fields) -> Outcome:
    return Outcome("kill api", "kafka", seed, **{"accepted": 100, "recovery_s": 1.0, **fields})


def test_runs_are_added_up_written_and_read_back(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nnot run yet\n{END}\nafter\n")
    table = read(page)
    table.add(an_outcome(1, doubled=2, bound=3, drained_s=0.5))
    table.add(an_outcome(2, doubled=1, bound=3, lost=1, repeated=4, recovery_s=3.0, trouble=["1 lost"]))
    write(table, page)
    row = "| kill api | kafka | 2 | 1 | 200 | 1 | 2 | 3 | 4 | 2.0 s | 3.0 s | 0.5 s |"
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith(f"{row}\n{END}\nafter\n")
    assert str(read(page)) == str(table)
    assert read(page).runs("kill api", "kafka") == 2


def test_tables_made_apart_are_merged():
    one, other = Table(), Table()
    one.add(an_outcome(1))
    other.add(an_outcome(2, recovery_s=4.0))
    other.add(an_outcome(3, recovery_s=4.0, trouble=["x"]))
    other.add(Outcome("kill api", "postgres", 1, accepted=7))
    one.merge(other)
    assert one.runs("kill api", "kafka") == 3
    assert "| kill api | kafka | 3 | 1 | 300 | 0 | 0 | 0 | 0 | 3.0 s | 4.0 s | 0.0 s |" in str(one)
    assert "| kill api | postgres | 1 | 0 | 7 |" in str(one)
