"""Makes datasets from common forms of logs: episodes, tables, vector environments and Minari."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike

from hanq.data import episodes as logs
from hanq.data import minari_format
from hanq.data.foundations.arguments import plain, warn
from hanq.data.foundations.settings import set_aside

if TYPE_CHECKING:
    import minari

Label = int | str


class Makers:
    """Makers of a `Dataset` from something other than arrays. Further options are those of `Dataset.from_arrays`."""

    @classmethod
    @set_aside()
    def from_episodes(cls, episodes: Iterable[Mapping[str, Any]], *, actions: Sequence[Label] | None = None, **options: Any) -> Self:
        """Make a dataset from a list of episodes of any lengths.

        - episodes: one dict per episode, with `observations` (n + 1, obs_dim), or (n, obs_dim) with or without
          `next_observations` of the same shape; `actions` and `rewards` (n,); and `terminated`, a single flag that is true if the
          episode ended by itself and false if it was cut off. One flag per step is accepted too. `truncated` is ignored, because
          an episode that did not terminate was cut off.
        - actions: the names of the actions, like `action_labels` of `from_arrays`.
        - options: environment, action_count, provenance.

        Next observations are found within each episode. If an episode was cut off and only n of its observations are known,
        its last step has no successor and is left out; a warning says how many steps are.
        Raises ValueError naming the episode and what is wrong with it.
        """
        return cls._of(logs.of_episodes(episodes), actions, options)

    @classmethod
    @set_aside()
    def from_frame(
        cls,
        table: Any,
        observations: Sequence[str],
        action: str,
        reward: str,
        episode: str | None,
        terminated: str,
        *,
        truncated: str | None = None,
        actions: Sequence[Label] | None = None,
        **options: Any,
    ) -> Self:
        """Make a dataset from a table with one row per step, in order of time within each episode.

        - table: a pandas or polars table, a dict of arrays, or anything else that gives columns by name.
        - observations: the names of the columns that form an observation.
        - action, reward: the names of two columns. Actions may be strings if `actions` lists them.
        - episode: the name of the column that identifies a row's episode, by numbers or by names; None if `truncated` marks where
          episodes were cut off.
        - terminated, truncated: the names of columns that are true in the row in which an episode ended, or was cut off.
        - actions: the names of the actions, like `action_labels` of `from_arrays`.
        - options: environment, action_count, provenance.

        The next observation is that of the next row in the same episode. The last step of an episode that was cut off has none
        and is left out; a warning says how many steps are. Raises ValueError naming the argument or the column.
        """
        return cls._of(logs.of_frame(table, observations, action, reward, episode, terminated, truncated), actions, options)

    @classmethod
    @set_aside()
    def from_vector(
        cls,
        observations: ArrayLike,
        actions: ArrayLike,
        rewards: ArrayLike,
        terminated: ArrayLike,
        truncated: ArrayLike,
        *,
        autoreset: str = "next_step",
        action_labels: Sequence[Label] | None = None,
        **options: Any,
    ) -> Self:
        """Make one dataset from the steps of a vector environment, such as one from `gymnasium.make_vec`.

        - observations: (steps + 1, environments, obs_dim), or (steps, environments, obs_dim) without those after the last actions.
        - actions, rewards, terminated, truncated: (steps, environments).
        - autoreset: how the environments were reset, as in `gymnasium.vector.AutoresetMode`. With "next_step", the step after the
          end of an episode ignores its action; such steps are dropped. With "same_step", the observation after an end is the first
          one of the next episode, so that the last step of an episode that was cut off has no successor and is left out.
        - action_labels and options (environment, action_count, provenance): see `from_arrays`.
        """
        return cls._of(logs.of_vector(observations, actions, rewards, terminated, truncated, autoreset), action_labels, options)

    @classmethod
    @set_aside()
    def from_minari(cls, dataset: "str | minari.MinariDataset", **options: Any) -> Self:
        """Make a dataset from a Minari dataset, given as an object or by the name of one that is already on this machine.

        Actions must be discrete or one-hot. Observations must be a one-dimensional Box, or Discrete, which becomes one-hot.
        options: environment (by default none), provenance. Giving a name requires the package minari.
        Raises ValueError naming a space that is not supported.
        """
        episodes, labels, provenance = minari_format.read(dataset)
        given = options.get("provenance")
        options["provenance"] = provenance | plain("provenance", {} if given is None else given)
        return cls._of(logs.of_episodes(episodes), options.pop("action_labels", labels), options)

    def to_minari(self, name: str, **options: Any) -> "minari.MinariDataset":
        """Write the transitions as a Minari dataset with a name such as "my/log-v0", and return it. Requires minari.

        Consecutive rows that fit together become one episode; in a shuffled log every step is an episode of its own. Actions are
        numbered from 0, whatever their labels. options: those of minari.create_dataset_from_buffers (author, description, ...).
        """
        return minari_format.write(self, name, options)

    @classmethod
    def _of(cls, found, labels, options):
        """Make a dataset from what `episodes` found, and warn of what was left out."""
        counts = {name: found.pop(name) for name in ("left_out", "resets") if name in found}
        if counts["left_out"]:
            total = counts["left_out"] + len(found["rewards"])
            warn(
                f"{counts['left_out']} of {total} steps are left out: each is the last known of an episode that was cut off, "
                "without a next observation"
            )
        provenance = options.pop("provenance", None)
        provenance = counts | provenance if isinstance(provenance, Mapping) else counts if provenance is None else provenance
        return cls.from_arrays(**found, action_labels=labels, provenance=provenance, **options)  # type: ignore[attr-defined]
