"""What can be wrong with the database, for people: the text says what to do."""


class StoreError(Exception):
    """The database cannot be used as asked."""
