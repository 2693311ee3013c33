"""``user``: users, their sessions and API tokens, on the machine itself."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.domain.errors import EmsError

if TYPE_CHECKING:
    from ems_dash.auth.accounts import Accounts

ROLES = ("viewer", "operator", "admin")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "user",
        help="manage users, sessions and API tokens",
        description="Manage users, sessions and API tokens; works beside the running program.",
    )
    actions = command.add_subparsers(dest="user_action", required=True, metavar="ACTION")
    listed = _action(actions, "list", "list the users", _list)
    listed.add_argument("--json", action="store_true", help="print JSON")
    add = _action(actions, "add", "add a user", _add)
    add.add_argument("name", help="name of the user")
    add.add_argument("--role", choices=ROLES, default="viewer", help="what the user may")
    _add_password(add)
    password = _action(actions, "set-password", "give a user a new password", _set_password)
    password.add_argument("name", help="name of the user")
    _add_password(password)
    role = _action(actions, "set-role", "give a user another role; his sessions end", _set_role)
    role.add_argument("name", help="name of the user")
    role.add_argument("role", choices=ROLES, help="the new role")
    for verb, what in (
        ("remove", "remove a user with his tokens"),
        ("disable", "let a user in no more; his sessions end"),
        ("enable", "let a user in again"),
        ("totp-off", "take the second factor from a user"),
    ):
        _action(actions, verb, what, _change).add_argument("name", help="name of the user")
    sessions = _action(actions, "sessions", "list the sessions, or end those of a user", _sessions)
    sessions.add_argument("name", nargs="?", help="user whose they are")
    sessions.add_argument("--end", action="store_true", help="end all sessions of the user")
    sessions.add_argument("--json", action="store_true", help="print JSON")
    tokens = _action(actions, "tokens", "list the API tokens", _tokens)
    tokens.add_argument("--json", action="store_true", help="print JSON")
    token = _action(actions, "add-token", "make an API token and print it once", _add_token)
    token.add_argument("name", help="user the token belongs to")
    token.add_argument("what", help="what the token is for")
    token.add_argument("--role", choices=ROLES, default="viewer", help="most it may")
    token.add_argument("--days", type=int, default=90, help="how long it lasts; default 90")
    revoke = _action(actions, "revoke-token", "revoke an API token", _revoke)
    revoke.add_argument("token", help="its id, the part between the underscores")


def _action(actions: Any, name: str, what: str, action: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=what, description=what)
    for folder in ("config", "data"):
        shown = f"default: {folder}"
        parser.add_argument(
            f"--{folder}", type=Path, default=Path(folder), metavar="DIR", help=shown
        )
    parser.set_defaults(action=action)
    return parser


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from the first line of the input instead of asking",
    )
    parser.add_argument(
        "--random", action="store_true", help="make a password and print it, ask for none"
    )


def _accounts(arguments: argparse.Namespace) -> Accounts:
    from ems_dash.auth.web import open_accounts
    from engine.audit.opening import open_audit
    from engine.config.sites import load_installation
    from engine.domain.clock import SystemClock

    # The accounts are those of the whole installation.
    config = load_installation(arguments.config).sites[0]
    audit = open_audit(arguments.config, arguments.data)
    return open_accounts(arguments.config, arguments.data, config.access, SystemClock(), audit)


def _actor() -> Any:
    from ems_dash.auth.actors import Actor

    return Actor("cli")


def _password(arguments: argparse.Namespace) -> str | None:
    if arguments.random:
        return None
    if arguments.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise EmsError("The two passwords differ.", field="password", hint="Try again.")
    return first


def _list(arguments: argparse.Namespace) -> int:
    found = _accounts(arguments).users()
    rows = [
        {
            "name": name,
            "role": user.role.value,
            "disabled": user.disabled,
            "must_change": user.must_change,
            "totp": user.totp is not None,
            "created": user.created.isoformat(),
        }
        for name, user in found.users.items()
    ]
    if arguments.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        marks = [word for word in ("disabled", "must_change", "totp") if row[word]]
        print(f"{row['name']:<20} {row['role']:<9} {', '.join(marks).replace('_', ' ')}".rstrip())
    return 0


def _add(arguments: argparse.Namespace) -> int:
    from ems_dash.auth.roles import Role

    accounts, password = _accounts(arguments), _password(arguments)
    given = accounts.add_user(arguments.name, Role(arguments.role), _actor(), password)
    print(f"{arguments.name.lower()} is added as {arguments.role}; the password has to be changed.")
    if password is None:
        print(given)
    return 0


def _set_password(arguments: argparse.Namespace) -> int:
    accounts, password = _accounts(arguments), _password(arguments)
    given = accounts.reset_password(arguments.name, _actor(), password)
    print(f"{arguments.name} has a new password and changes it at the next login.")
    if password is None:
        print(given)
    return 0


def _set_role(arguments: argparse.Namespace) -> int:
    from ems_dash.auth.roles import Role

    _accounts(arguments).set_role(arguments.name, Role(arguments.role), _actor())
    print(f"{arguments.name} is {arguments.role}.")
    return 0


def _change(arguments: argparse.Namespace) -> int:
    accounts, name = _accounts(arguments), arguments.name
    if arguments.user_action == "remove":
        accounts.remove_user(name, _actor())
        print(f"{name} is removed.")
    elif arguments.user_action == "totp-off":
        accounts.drop_totp(name, _actor())
        print(f"{name} has no second factor.")
    else:
        disabled = arguments.user_action == "disable"
        accounts.set_disabled(name, disabled, _actor())
        print(f"{name} is {'disabled' if disabled else 'enabled'}.")
    return 0


def _sessions(arguments: argparse.Namespace) -> int:
    accounts = _accounts(arguments)
    if arguments.end:
        if arguments.name is None:
            raise EmsError("Whose sessions?", field="name", hint="Name the user.")
        print(f"{accounts.end_sessions(arguments.name, _actor())} sessions ended.")
        return 0
    found = accounts.sessions(arguments.name)
    if arguments.json:
        rows = [
            {
                "key": s.key,
                "user": s.user,
                "address": s.address,
                "created": s.created.isoformat(),
                "seen": s.seen.isoformat(),
            }
            for s in found
        ]
        print(json.dumps(rows))
        return 0
    for s in found:
        print(f"{s.user:<20} {s.address:<24} since {_time(s.created)}, last {_time(s.seen)}")
    return 0


def _tokens(arguments: argparse.Namespace) -> int:
    accounts = _accounts(arguments)
    rows = [
        {
            "id": key,
            "user": token.user,
            "name": token.name,
            "role": token.role.value,
            "expires": token.expires.isoformat(),
        }
        for key, token in accounts.users().tokens.items()
    ]
    if arguments.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        print(f"{row['id']} {row['user']:<20} {row['role']:<9} {row['name']}, to {row['expires']}")
    return 0


def _add_token(arguments: argparse.Namespace) -> int:
    from ems_dash.auth.roles import Role

    _, text = _accounts(arguments).add_token(
        arguments.name, arguments.what, Role(arguments.role), arguments.days, _actor()
    )
    print(text)
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    _accounts(arguments).remove_token(arguments.token, _actor())
    print(f"{arguments.token} is revoked.")
    return 0


def _time(ts: datetime) -> str:
    return f"{ts.astimezone():%Y-%m-%d %H:%M}"
