"""SMPP session without I/O: operation matrix, window, timers and connection, for both roles.

Start at `connection.SmppConnection`; its module docstring walks through the use of the package.
"""
