"""Users and tokens by name, changed one user at a time."""

from __future__ import annotations

from collections.abc import Callable

from ems_dash.auth.account_errors import AccountError, NoSuchAccountError
from ems_dash.auth.user_store import UserStore
from ems_dash.auth.users import User, UsersFile


class UserBook:
    """Reads and changes the users of an installation; safe for several threads.

    Args:
        store: Keeps them.
    """

    def __init__(self, store: UserStore) -> None:
        self._store = store

    def read(self) -> UsersFile:
        """Return all users and tokens."""
        return self._store.read()

    def change(self, edit: Callable[[UsersFile], UsersFile]) -> None:
        """Replace all users and tokens by what `edit` makes of them."""
        self._store.change(edit)

    def user(self, name: str) -> User:
        """Return a user.

        Raises:
            NoSuchAccountError: No such user.
        """
        return _found(self._store.read(), name)

    def edit(self, name: str, edit: Callable[[User], User], *, keep_admin: bool = False) -> None:
        """Replace a user by what `edit` makes of him.

        Raises:
            NoSuchAccountError: No such user.
            AccountError: With `keep_admin`, no admin would be left.
        """

        def change(users: UsersFile) -> UsersFile:
            changed = users.with_user(name, edit(_found(users, name)))
            return with_admin(changed) if keep_admin else changed

        self._store.change(change)


def _found(users: UsersFile, name: str) -> User:
    user = users.users.get(name)
    if user is None:
        raise NoSuchAccountError(f"There is no user {name[:40]}.", field="user")
    return user


def again(user: User, **changed: object) -> User:
    """Return the changed user with all his sessions ended."""
    return user.model_copy(update={**changed, "generation": user.generation + 1})


def with_admin(users: UsersFile) -> UsersFile:
    """Return the users as they are.

    Raises:
        AccountError: None of them is an admin.
    """
    if not users.admins:
        raise AccountError(
            "The last admin has to stay.",
            field="role",
            value="last_admin",
            hint="Make somebody else an admin first.",
        )
    return users


def valid(make: Callable[[], UsersFile], field: str, value: str) -> UsersFile:
    """Return what `make` makes.

    Args:
        make: Makes users with a name that somebody typed.
        field: Field it was typed into.
        value: What was typed.

    Raises:
        AccountError: It is not possible as a name.
    """
    try:
        return make()
    except ValueError as exc:
        raise AccountError(
            f"'{value[:40]}' is not possible as a name.",
            field=field,
            value="name",
            hint="Use small letters, digits and . _ - @, at most 40 characters.",
        ) from exc
