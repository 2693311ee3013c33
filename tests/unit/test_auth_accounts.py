"""Users, sessions, tokens and the first login, without HTTP, on a clock moved by hand."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from ems_dash.auth.account_errors import (
    AccountError,
    FirstPasswordExpiredError,
    LoginFailedError,
    NoSuchAccountError,
    SetupCodeError,
)
from ems_dash.auth.actors import Actor, Login
from ems_dash.auth.passwords import PasswordRefusedError
from ems_dash.auth.roles import Role
from ems_dash.auth.throttle import CAP_PER_MINUTE, TooManyAttemptsError
from ems_dash.auth.user_store import UsersFileError
from tests.support.accounts import HERE, OUTSIDE, World, sender
from tests.support.login import PASSWORD, token

CLI = Actor("cli")
NEW = "four calm herons waiting"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path)


def enter(world: World, name: str = "viewer", password: str = PASSWORD) -> tuple[str, Login]:
    sid = world.accounts.begin(world.accounts.check_password(name, password, HERE), HERE)
    login = world.accounts.login_of(sid)
    assert login is not None
    return sid, login


# The first login.


def test_a_fresh_installation_has_one_admin_who_has_to_change_his_password(tmp_path: Path) -> None:
    world = World.make(tmp_path, prepared=False)
    file = tmp_path / "config" / "users.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "admin123" not in file.read_text()
    assert world.accounts.first_login_pending
    sid, login = enter(world, "Admin", "admin123")
    assert login.user.must_change
    with pytest.raises(PasswordRefusedError):
        world.accounts.change_password(login, sid, None, "admin123", HERE)
    world.accounts.change_password(login, sid, None, NEW, HERE)
    assert not world.accounts.first_login_pending
    changed = world.accounts.login_of(sid)
    assert changed is not None
    assert not changed.user.must_change
    with pytest.raises(LoginFailedError):
        world.accounts.check_password("admin", "admin123", HERE)


def test_the_environment_gives_the_first_password(tmp_path: Path) -> None:
    world = World.make(tmp_path, prepared=False, environ={"EMS_ADMIN_PASSWORD": "from outside"})
    with pytest.raises(LoginFailedError):
        world.accounts.check_password("admin", "admin123", HERE)
    _, login = enter(world, "admin", "from outside")
    assert login.user.must_change
    assert login.user.issued is not None
    assert not login.user.issued.documented


def test_from_outside_the_first_login_needs_the_code_of_the_log(tmp_path: Path) -> None:
    world = World.make(tmp_path, prepared=False)
    check = world.accounts.check_password
    for code in ("", "WRONG"):
        with pytest.raises(SetupCodeError):
            check("admin", "admin123", OUTSIDE, code)
    with pytest.raises(LoginFailedError):
        check("admin", "wrong", OUTSIDE, world.accounts.setup_code)
    assert check("admin", "admin123", OUTSIDE, world.accounts.setup_code.lower()) == "admin"
    for address in ("192.168.1.20", "10.3.4.5", "::1", "fd12::1", "::ffff:172.20.0.3"):
        assert check("admin", "admin123", sender(address)) == "admin"


@pytest.mark.parametrize("how", ["a day", "20 failures"])
def test_the_first_password_ends_and_the_command_line_helps(tmp_path: Path, how: str) -> None:
    world = World.make(tmp_path, prepared=False)
    if how == "a day":
        world.pass_time(hours=24)
    else:
        for attempt in range(20):
            with pytest.raises(LoginFailedError):
                world.accounts.check_password("admin", "guess", sender(f"10.0.0.{attempt}"))
            world.pass_time(seconds=2)
    with pytest.raises(FirstPasswordExpiredError, match="set-password admin"):
        world.accounts.check_password("admin", "admin123", HERE)
    # Elsewhere nobody learns that.
    with pytest.raises(LoginFailedError):
        world.accounts.check_password("admin", "admin123", OUTSIDE, world.accounts.setup_code)
    given = world.accounts.reset_password("admin", CLI)
    _, login = enter(world, "admin", given)
    assert login.user.must_change


# Sessions.


def test_a_session_ends_by_idleness_and_in_any_case(world: World) -> None:
    sid, _ = enter(world)
    for _ in range(40):
        world.pass_time(minutes=17.5)
        assert world.accounts.login_of(sid) is not None
    assert world.accounts.sessions("viewer")
    world.pass_time(minutes=20)
    assert world.accounts.login_of(sid) is None, "12 h are over, however busy the page was"
    sid, _ = enter(world)
    world.pass_time(minutes=30)
    assert world.accounts.login_of(sid) is None


def test_sessions_outlive_a_restart_and_their_ids_are_not_in_the_file(world: World) -> None:
    sid, _ = enter(world)
    again = world.opened()
    assert again.login_of(sid) is not None
    kept = b"".join(p.read_bytes() for p in (world.folder / "data").glob("sessions.sqlite*"))
    assert sid.encode() not in kept
    mode = stat.S_IMODE((world.folder / "data" / "sessions.sqlite").stat().st_mode)
    assert mode == 0o600


@pytest.mark.parametrize("what", ["role", "disable", "reset", "remove", "end"])
def test_a_session_ends_with_what_it_rests_on(world: World, what: str) -> None:
    sid, _ = enter(world)
    accounts = world.accounts
    {
        "role": lambda: accounts.set_role("viewer", Role.OPERATOR, CLI),
        "disable": lambda: accounts.set_disabled("viewer", True, CLI),
        "reset": lambda: accounts.reset_password("viewer", CLI),
        "remove": lambda: accounts.remove_user("viewer", CLI),
        "end": lambda: accounts.end_sessions("viewer", CLI),
    }[what]()
    assert accounts.login_of(sid) is None


def test_another_process_can_end_a_session(world: World) -> None:
    sid, _ = enter(world)
    world.opened().set_disabled("viewer", True, CLI)
    assert world.accounts.login_of(sid) is None


def test_a_new_password_keeps_this_session_and_ends_the_others(world: World) -> None:
    here, login = enter(world)
    there, _ = enter(world)
    with pytest.raises(LoginFailedError):
        world.accounts.change_password(login, here, "wrong", NEW, HERE)
    with pytest.raises(AccountError, match="present"):
        world.accounts.change_password(login, here, PASSWORD, PASSWORD, HERE)
    world.accounts.change_password(login, here, PASSWORD, NEW, HERE)
    assert world.accounts.login_of(here) is not None
    assert world.accounts.login_of(there) is None
    with pytest.raises(LoginFailedError):
        world.accounts.check_password("viewer", PASSWORD, HERE)


def test_a_login_replaces_a_hash_of_weaker_parameters(world: World) -> None:
    from argon2 import PasswordHasher

    from ems_dash.auth.passwords import Passwords
    from ems_dash.auth.user_store import UserStore

    store = UserStore(world.folder / "config" / "users.yaml")
    weaker = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    old = weaker.hash(PASSWORD)
    store.change(
        lambda users: users.with_user(
            "viewer", users.users["viewer"].model_copy(update={"password_hash": old})
        )
    )
    enter(world)
    assert store.read().users["viewer"].password_hash.startswith("$argon2id$v=19$m=8,t=1,")


# Guessing.


def test_guessing_waits_longer_and_longer_and_is_told_to_admins(world: World) -> None:
    check = world.accounts.check_password
    for _ in range(5):
        with pytest.raises(LoginFailedError):
            check("viewer", "guess", OUTSIDE)
    with pytest.raises(TooManyAttemptsError) as found:
        check("viewer", PASSWORD, OUTSIDE)
    assert found.value.wait_s == pytest.approx(10.0)
    (lockout,) = world.accounts.lockouts()
    assert (lockout.user, lockout.address, lockout.failures) == ("viewer", "203.0.113.7", 5)
    assert "login.blocked" in world.audit.actions()
    assert check("viewer", PASSWORD, HERE) == "viewer", "others are not in the way"
    waits = []
    for _ in range(10):
        world.pass_time(seconds=found.value.wait_s)
        with pytest.raises(LoginFailedError):
            check("viewer", "guess", OUTSIDE)
        with pytest.raises(TooManyAttemptsError) as found:
            check("viewer", "guess", OUTSIDE)
        waits.append(round(found.value.wait_s))
    assert waits == [20, 40, 80, 160, 320, 640, 900, 900, 900, 900]
    world.pass_time(seconds=900)
    assert check("viewer", PASSWORD, OUTSIDE) == "viewer"
    assert world.accounts.lockouts() == ()


def test_a_restart_lets_nobody_guess_anew(world: World) -> None:
    for _ in range(5):
        with pytest.raises(LoginFailedError):
            world.accounts.check_password("viewer", "guess", OUTSIDE)
        with pytest.raises(LoginFailedError):
            world.accounts.check_password("my-password-as-name", "guess", OUTSIDE)
    world.pass_time(seconds=4)
    world.accounts = world.opened()
    with pytest.raises(TooManyAttemptsError) as found:
        world.accounts.check_password("viewer", PASSWORD, OUTSIDE)
    assert found.value.wait_s == pytest.approx(6.0)
    world.pass_time(seconds=6)
    with pytest.raises(LoginFailedError):
        world.accounts.check_password("viewer", "guess", OUTSIDE)
    (lockout,) = world.accounts.lockouts()
    assert lockout.failures == 6, "it goes on where it was"
    for file in (world.folder / "data").glob("sessions.sqlite*"):
        assert b"my-password" not in file.read_bytes()
    world.pass_time(seconds=20)
    assert world.accounts.check_password("viewer", PASSWORD, OUTSIDE) == "viewer"
    assert world.opened().lockouts() == ()


def test_many_addresses_together_are_slowed_down_too(world: World) -> None:
    for number in range(CAP_PER_MINUTE):
        with pytest.raises(LoginFailedError):
            world.accounts.check_password("nobody", "guess", sender(f"203.0.113.{number}"))
    with pytest.raises(TooManyAttemptsError):
        world.accounts.check_password("viewer", PASSWORD, sender("198.51.100.1"))
    world.pass_time(minutes=1)
    assert world.accounts.check_password("viewer", PASSWORD, HERE)


def test_addresses_of_one_ipv6_network_are_one_sender(world: World) -> None:
    for number in range(5):
        with pytest.raises(LoginFailedError):
            world.accounts.check_password("viewer", "guess", sender(f"2001:db8:1:2::{number}"))
    with pytest.raises(TooManyAttemptsError):
        world.accounts.check_password("viewer", PASSWORD, sender("2001:db8:1:2:ffff::1"))


def test_names_that_do_not_exist_are_not_written_down(world: World) -> None:
    with pytest.raises(LoginFailedError):
        world.accounts.check_password("my-password-typed-as-name", "x", HERE)
    assert "my-password" not in str(world.audit.entries)


# Users.


def test_users_are_added_changed_and_removed_and_everything_is_written_down(world: World) -> None:
    accounts, boss = world.accounts, Actor("admin", "127.0.0.1")
    given = accounts.add_user("Anna", Role.OPERATOR, boss)
    _, login = enter(world, "anna", given)
    assert (login.user.role, login.user.must_change) == (Role.OPERATOR, True)
    accounts.set_role("anna", Role.ADMIN, boss)
    accounts.set_disabled("anna", True, boss)
    with pytest.raises(LoginFailedError):
        accounts.check_password("anna", given, HERE)
    accounts.set_disabled("anna", False, boss)
    accounts.remove_user("anna", boss)
    assert "anna" not in accounts.users().users
    done = [a for who, a, target in world.audit.entries if (who, target) == ("admin", "anna")]
    assert done == ["user.add", "user.role", "user.disabled", "user.disabled", "user.remove"]
    assert given not in str(world.audit.entries)


def test_what_is_so_already_ends_no_session_and_is_not_written_down(world: World) -> None:
    sid, _ = enter(world)
    world.accounts.set_disabled("viewer", False, CLI)
    world.accounts.set_role("viewer", Role.VIEWER, CLI)
    assert world.accounts.login_of(sid) is not None
    assert [who for who, _, target in world.audit.entries if target == "viewer"] == ["viewer"]


def test_a_given_password_ends_after_three_days(world: World) -> None:
    given = world.accounts.add_user("anna", Role.VIEWER, CLI)
    world.pass_time(hours=72)
    with pytest.raises(FirstPasswordExpiredError):
        world.accounts.check_password("anna", given, HERE)


def test_the_last_admin_stays(world: World) -> None:
    accounts = world.accounts
    for change in (
        lambda: accounts.remove_user("admin", CLI),
        lambda: accounts.set_disabled("admin", True, CLI),
        lambda: accounts.set_role("admin", Role.VIEWER, CLI),
    ):
        with pytest.raises(AccountError, match="last admin"):
            change()
    accounts.set_role("operator", Role.ADMIN, CLI)
    accounts.set_role("admin", Role.VIEWER, CLI)
    assert accounts.users().admins == ("operator",)


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 50, "admin", "-x"])
def test_names_that_are_taken_or_not_possible_are_refused(world: World, name: str) -> None:
    with pytest.raises(AccountError):
        world.accounts.add_user(name, Role.VIEWER, CLI)
    assert set(world.accounts.users().users) == {"admin", "operator", "viewer"}


def test_a_file_that_is_wrong_lets_nobody_in_and_says_where(world: World) -> None:
    sid, _ = enter(world)
    file = world.folder / "config" / "users.yaml"
    good = file.read_text()
    for text, words in (
        (good.replace("role: viewer", "role: king", 1), "role"),
        ("users: [", "YAML"),
        (good + "extra: 1\n", "extra"),
    ):
        file.write_text(text)
        with pytest.raises(UsersFileError, match=words):
            world.accounts.login_of(sid)
    file.write_text(good)
    assert world.accounts.login_of(sid) is not None


# Tokens.


def test_a_token_is_its_user_at_most_and_dies_with_him(world: World) -> None:
    accounts = world.accounts
    key, text = accounts.add_token("operator", "Grafana", Role.OPERATOR, 30, CLI)
    assert text not in (world.folder / "config" / "users.yaml").read_text()
    found = accounts.principal_of_token(text, OUTSIDE)
    assert found is not None
    assert (found.name, found.role, found.via, found.token) == (
        *("operator", Role.OPERATOR, "token"),
        key,
    )
    assert accounts.token_uses()[key] == world.clock.now()
    accounts.set_role("operator", Role.VIEWER, CLI)
    lower = accounts.principal_of_token(text, OUTSIDE)
    assert lower is not None
    assert lower.role is Role.VIEWER
    accounts.set_disabled("operator", True, CLI)
    assert accounts.principal_of_token(text, OUTSIDE) is None
    accounts.set_disabled("operator", False, CLI)
    accounts.reset_password("operator", CLI)
    assert accounts.principal_of_token(text, OUTSIDE) is None, "his password has to be changed"


def test_a_token_ends_by_time_and_by_revocation(world: World) -> None:
    accounts = world.accounts
    _, first = accounts.add_token("viewer", "one", Role.VIEWER, 30, CLI)
    key, second = accounts.add_token("viewer", "two", Role.VIEWER, 60, CLI)
    world.pass_time(days=30)
    assert accounts.principal_of_token(first, HERE) is None
    assert accounts.principal_of_token(second, HERE) is not None
    with pytest.raises(NoSuchAccountError):
        accounts.remove_token(key, CLI, user="operator")
    accounts.remove_token(key, CLI, user="viewer")
    assert accounts.principal_of_token(second, HERE) is None


def test_tokens_that_are_wrong_are_nobody(world: World) -> None:
    good = token(Role.VIEWER)
    assert world.accounts.principal_of_token(good, HERE) is not None
    for text in ("", "ems", "ems_", "ems__", good[:-1], good + "x", good.upper(), f"x{good}"):
        assert world.accounts.principal_of_token(text, HERE) is None
    with pytest.raises(AccountError):
        world.accounts.add_token("viewer", "more", Role.ADMIN, 30, CLI)
    for days in (0, 367):
        with pytest.raises(AccountError):
            world.accounts.add_token("viewer", "x", Role.VIEWER, days, CLI)


def test_the_token_of_the_data_folder_works_on_this_machine_only(world: World) -> None:
    world.access()
    text = (world.folder / "data" / "local-token").read_text()
    found = world.accounts.principal_of_token(text, HERE)
    assert found is not None
    assert found.role is Role.ADMIN
    assert world.accounts.principal_of_token(text, sender("192.168.1.2")) is None
    world.access()
    assert world.accounts.principal_of_token(text, HERE) is None, "every start makes a new one"


# Second factor.


def test_codes_count_once_and_recovery_codes_replace_them(world: World) -> None:
    accounts = world.accounts
    _, login = enter(world)
    secret = pyotp.random_base32()
    totp = pyotp.TOTP(secret)

    def code(shift_s: float = 0.0) -> str:
        return totp.at(world.clock.now() + timedelta(seconds=shift_s))

    with pytest.raises(LoginFailedError):
        accounts.set_totp(login, secret, code(3600), HERE)
    recovery = accounts.set_totp(login, secret, code(), HERE)
    assert accounts.needs_code("viewer")
    with pytest.raises(LoginFailedError):
        accounts.check_code("viewer", code(), HERE)
    world.pass_time(seconds=60)
    spaced = code()[:3] + " " + code()[3:]
    accounts.check_code("viewer", spaced, HERE)
    with pytest.raises(LoginFailedError):
        accounts.check_code("viewer", code(-30), HERE)
    accounts.check_code("viewer", recovery[0].upper(), HERE)
    with pytest.raises(LoginFailedError):
        accounts.check_code("viewer", recovery[0], HERE)
    assert recovery[1] not in (world.folder / "config" / "users.yaml").read_text()
    for _ in range(4):
        # Whoever knows the password cannot clear his wrong codes with it.
        accounts.check_password("viewer", PASSWORD, HERE)
        with pytest.raises(LoginFailedError):
            accounts.check_code("viewer", "000000", HERE)
    with pytest.raises(TooManyAttemptsError):
        accounts.check_code("viewer", recovery[1], HERE)
    accounts.drop_totp("viewer", CLI)
    assert not accounts.needs_code("viewer")
