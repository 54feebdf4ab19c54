"""One load run from start to verdict."""
