"""What every reader returns."""

from dataclasses import dataclass, field
from typing import Any

from glassviz.agents.config import AgentConfig


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained agent as it was read from a file, every leaf checked against its configuration.

    Attributes:
        config: all that is needed to run the parameters.
        params: tree of float32 arrays, laid out as `agents.networks.init_params` does.
        name: what films and tables call it: the file's name without its suffix.
        format: layout that the file was read from.
        sha256: hash of the file.
        provenance: where the parameters came from. `save` keeps what it is given; an imported
            file has `algo`, `env_id`, `seed`, `env_steps`, `returns` as far as it told them,
            `source` (file, format and hash), `ignored_leaves` (parameters that this package has
            no use for) and `losses` (what else did not come over, a sentence each).
        assumptions: what the file did not say and the reader assumed, a sentence each.
    """

    config: AgentConfig
    params: dict[str, Any] = field(repr=False)
    name: str
    format: str
    sha256: str
    provenance: dict[str, Any] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
