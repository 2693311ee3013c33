"""What may become a password, and how one is kept."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from ems_dash.auth.passwords import (
    BusyError,
    PasswordRefusedError,
    Passwords,
    check_new_password,
    temporary_password,
)
from tests.support.login import CHEAP


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("admin123", "first"),
        ("short-one", "short"),
        ("x" * 300, "long"),
        ("aaaaaaaaaaaaaa", "common"),
        ("123456789012", "common"),
        ("abcdefghijklmn", "common"),
        ("qwertzuiopqw", "common"),
        ("Passwort2026!", "common"),
        ("P@ssw0rd2026!", "common"),
        ("adminadmin2026", "common"),
        ("EMS-Dash-2026-11", "common"),
        ("Batteriespeicher1", "common"),
        ("anna-anna-2026", "common"),
    ],
)
def test_what_others_would_try_is_refused(password: str, why: str) -> None:
    with pytest.raises(PasswordRefusedError) as found:
        check_new_password(password, "anna")
    assert found.value.value == why


@pytest.mark.parametrize(
    "password",
    ["nine wise otters juggling", "Kirschkuchen-Fahrradklingel", "h4K!s9Lq_2pR", "zwölf Äpfel rot"],
)
def test_good_ones_are_taken(password: str) -> None:
    check_new_password(password, "anna")


def test_given_passwords_are_good_and_never_the_same() -> None:
    made = {temporary_password() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        check_new_password(password, "anna")


def test_parameters_are_those_of_the_documentation_and_old_ones_are_noticed() -> None:
    strong = Passwords()
    stored = strong.hash("nine wise otters juggling")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,")
    assert strong.matches(stored, "nine wise otters juggling")
    assert not strong.matches(stored, "nine wise otters jugglinG")
    assert not strong.is_outdated(stored)
    assert strong.is_outdated(CHEAP.hash("x"))


def test_a_user_that_does_not_exist_costs_as_much_work() -> None:
    class Counting(PasswordHasher):
        verified = 0

        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            type(self).verified += 1
            return super().verify(hash, password)

    passwords = Passwords(Counting(time_cost=1, memory_cost=8, parallelism=1))
    stored = passwords.hash("nine wise otters juggling")
    assert not passwords.matches(stored, "wrong")
    assert not passwords.matches(None, "wrong")
    assert Counting.verified == 2


def test_no_more_than_two_are_checked_at_once() -> None:
    class Nested(PasswordHasher):
        passwords: Passwords
        depth = 0

        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            # A check within a check stands for one in another thread.
            type(self).depth += 1
            return self.passwords.matches(None, "x")

    hasher = Nested(time_cost=1, memory_cost=8, parallelism=1)
    Nested.passwords = Passwords(hasher, wait_s=0.0)
    with pytest.raises(BusyError):
        Nested.passwords.matches(None, "x")
    assert Nested.depth == 2
    Nested.passwords.hash("free again")
