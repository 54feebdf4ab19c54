"""What a load run left, for people: the report as HTML and PNG, the comparison of two runs, the live view."""
