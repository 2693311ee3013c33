"""Who may do what: roles, accounts, sessions, tokens, and the gate before every request."""
