"""Commands of `loadtest`, a module for each group."""
