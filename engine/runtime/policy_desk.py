"""The proposal of the newest tournament: kept, shown, and put in force by a person.

Accepting writes the proposal's keys of the section ``planning`` through the `ConfigDesk`, in one
atomic change with its backup and its record, or not at all. Whether a proposal is in force is
read off the configuration and not remembered, so the two can never disagree. Like every change
of the configuration it takes effect at the next start.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from pathlib import Path

from engine.analytics.backtest.proposal import Proposal
from engine.audit.trail import NO_TRAIL, Trail, noting
from engine.config.desk import ConfigDesk
from engine.config.file_states import Saved
from engine.config.load import FILE_NAME, write_atomically
from engine.domain.errors import BacktestError, ConfigError

PROPOSAL_NAME = "policy_proposal.json"


@dataclass(frozen=True, slots=True)
class ProposalState:
    """The newest proposal.

    Attributes:
        proposal: The proposal.
        in_force: The configuration says the same already.
    """

    proposal: Proposal
    in_force: bool


class PolicyDesk:
    """Keeps one proposal per site folder. Safe to call from several threads.

    Args:
        desk: Changes the configuration.
        folder: Where the proposal is kept.
        trail: Takes down that one was accepted.
    """

    def __init__(self, desk: ConfigDesk, folder: Path, *, trail: Trail = NO_TRAIL) -> None:
        self._trail = trail
        self._desk = desk
        self._path = folder / PROPOSAL_NAME
        self._lock = threading.Lock()

    def propose(self, proposal: Proposal) -> None:
        """Keep a proposal in place of an earlier one; nothing is changed by it.

        Raises:
            ConfigError: It could not be written.
        """
        with self._lock:
            try:
                write_atomically(self._path, proposal.to_json())
            except OSError as exc:
                raise ConfigError(
                    f"The proposal could not be kept: {exc.strerror or exc}.",
                    field=PROPOSAL_NAME,
                    value=str(self._path),
                    hint="Check the space and the rights of the data folder.",
                ) from exc

    def state(self) -> ProposalState | None:
        """Return the newest proposal, None without one.

        Raises:
            BacktestError: It cannot be read.
            ConfigError: The configuration cannot be read.
        """
        with self._lock:
            proposal = self._kept()
        if proposal is None:
            return None
        config = self._desk.read().config
        in_force = config is not None and proposal.is_in_force(config.planning)
        return ProposalState(proposal, in_force)

    def accept(self, who: str) -> Saved:
        """Write the proposal into the configuration.

        Args:
            who: Who accepts it, for the record.

        Raises:
            BacktestError: There is no proposal.
            ConfigProblems: The file has mistakes; nothing was written.
            ConfigChangedError: Somebody else changed the file; nothing was written.
            ConfigError: The file could not be written; nothing was changed.
        """
        with self._lock:
            proposal = self._kept()
            if proposal is None:
                raise BacktestError(
                    "There is no proposal to accept.",
                    field="proposal",
                    hint="Run a tournament first.",
                )
            file = self._desk.read()
            values = copy.deepcopy(file.values)
            section = values.get("planning")
            stated = dict(section) if isinstance(section, dict) else {}
            values["planning"] = stated | proposal.planning()
            accepted = proposal.planning()
            before = {key: stated.get(key) for key in accepted}
            with noting(self._trail, "policy.accept", FILE_NAME, before=before, after=accepted):
                return self._desk.save(values, file.revision, who)

    def dismiss(self) -> None:
        """Forget the proposal; the configuration stays as it is."""
        with self._lock:
            self._path.unlink(missing_ok=True)

    def _kept(self) -> Proposal | None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise BacktestError(
                f"The proposal cannot be read: {exc}.",
                field=PROPOSAL_NAME,
                value=str(self._path),
                hint="Run the tournament again.",
            ) from exc
        return Proposal.from_json(text)
