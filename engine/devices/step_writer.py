"""Writes the steps of a command, sparing registers that are kept in flash memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.codec import encode
from engine.devices.command_def import WriteRules, WriteStep
from engine.devices.link import ModbusLink
from engine.devices.spec import DeviceSpec
from engine.devices.write_budget import WriteBudget, WriteCountStore
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError

log = logging.getLogger(__name__)

_READ_HOLDING: Final = 3


class StepWriter:
    """Writes steps of commands to one device; called by the thread of its link.

    Args:
        spec: The device.
        link: Connection it is behind.
        budget: Daily budget of flash writes, or None when no step needs one.
    """

    def __init__(self, spec: DeviceSpec, link: ModbusLink, budget: WriteBudget | None) -> None:
        self._spec = spec
        self._link = link
        self._budget = budget
        self._flash: dict[int, tuple[int, ...]] = {}
        self._flash_session: int | None = None

    def write(self, steps: Iterable[WriteStep], power_kw: float, *, force: bool) -> bool:
        """Write the steps in order, except flash-backed ones that hold their value already.

        Returns:
            False when the budget does not allow it (never with `force`); nothing was sent.

        Raises:
            LinkError, DeviceAnswerError: As the link raises them.
            DeviceError: The count of flash writes is not available (never with `force`).
        """
        writes = [(step, self._words(step, power_kw)) for step in steps]
        needed = [
            (step, words)
            for step, words in writes
            if step.volatile or self._differs(step, words, ask=not force)
        ]
        flash_writes = sum(not step.volatile for step, _ in needed)
        if (
            flash_writes
            and self._budget is not None
            and not force
            and not self._budget.allows(flash_writes)
        ):
            return False
        for step, words in needed:
            if not step.volatile:
                self._count_flash_write(force=force)
            self._flash.pop(step.address, None)
            self._link.write(
                self._spec.unit_id,
                step.function,
                self._spec.profile.wire_address(step.address),
                words,
            )
            if not step.volatile:
                self._flash[step.address] = words
        return True

    def _words(self, step: WriteStep, power_kw: float) -> tuple[int, ...]:
        return encode(step, step.value_for(power_kw), self._spec.profile.word_order, "power_kw")

    def _differs(self, step: WriteStep, words: tuple[int, ...], *, ask: bool) -> bool:
        """True unless the flash-backed register is known, or read, to hold `words` already."""
        if self._flash_session != self._link.session:
            self._flash.clear()
            self._flash_session = self._link.session
        if step.address not in self._flash:
            if not ask:
                # A safe stop has no time for questions.
                return True
            try:
                held = self._link.read(
                    self._spec.unit_id,
                    _READ_HOLDING,
                    self._spec.profile.wire_address(step.address),
                    len(words),
                )
            except DeviceAnswerError as exc:
                if not exc.is_illegal_request:
                    raise
                # Not readable, so only writing makes sure.
                return True
            if self._flash_session != self._link.session:
                self._flash.clear()
                self._flash_session = self._link.session
            self._flash[step.address] = held
        return self._flash[step.address] != words

    def _count_flash_write(self, *, force: bool) -> None:
        if self._budget is None:
            return
        try:
            self._budget.count()
        except DeviceError as exc:
            if not force:
                raise
            log.error("%s: the safe stop is written uncounted: %s", self._spec.name, exc)


def flash_budget(
    spec: DeviceSpec,
    command: WriteRules,
    store: WriteCountStore | None,
    clock: Clock,
    *,
    counted_as: str | None = None,
) -> WriteBudget | None:
    """Return the daily budget of flash writes of a command, None when it needs none.

    Args:
        spec: The device.
        command: The command.
        store: Keeps the count, or None where nothing does.
        clock: Gives the day.
        counted_as: Name of the count in `store`; None for the name of the device.

    Raises:
        DeviceError: It needs one, but nothing keeps the count.
    """
    if command.daily_write_budget is None or not command.flash_backed:
        return None
    if store is None:
        raise DeviceError(
            f"{spec.name} keeps what is written in flash memory, but nothing counts the writes.",
            field="write_counts",
            value=None,
            hint="Give the device group a store for the counts.",
        )
    return WriteBudget(counted_as or spec.name, command.daily_write_budget, store, clock)
