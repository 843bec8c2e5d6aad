"""Datasets from logs as people have them: episodes, tables, vector environments, Minari."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike

from hanq.data import episodes as logs
from hanq.data import minari_format
from hanq.data.arguments import warn
from hanq.data.settings import set_aside

if TYPE_CHECKING:
    import minari

Label = int | str


class Makers:
    """What `Dataset` can be made from, beside arrays. Each option that is not described is one of `Dataset.from_arrays`."""

    @classmethod
    @set_aside()
    def from_episodes(cls, episodes: Iterable[Mapping[str, Any]], *, actions: Sequence[Label] | None = None, **options: Any) -> Self:
        """A dataset of episodes of any lengths.

        - episodes: a dict each, with `observations` (n + 1, obs_dim), or (n, obs_dim) with or without as many `next_observations`;
          `actions` and `rewards` (n,); `terminated`, one flag: whether the episode ended, and was not merely cut off. (One flag a
          step is taken too; `truncated` is what is not terminated, and not read.)
        - actions: labels of the actions, as `action_labels` of `from_arrays`.
        - options: environment, action_count, provenance.

        Next observations are found within each episode. The last step of an episode that was cut off, and of which only n
        observations are known, has no successor: it is left out, with a warning that says how many are.
        Raises ValueError naming the episode and what is wrong in it.
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
        """A dataset of a table with a row for each step, in the order of time within each episode.

        - table: whatever gives columns by name: pandas, polars, a dict of arrays.
        - observations: names of its columns, one for each number of an observation.
        - action, reward: names of columns; actions may be texts, see actions.
        - episode: name of the column that says which episode a row is of, by numbers or names; None where `truncated` tells.
        - terminated, truncated: names of columns, true in the row where an episode ended, or was cut off.
        - actions: labels of the actions, as `action_labels` of `from_arrays`.
        - options: environment, action_count, provenance.

        Next observations are the next row's of the same episode. The last step of one that was cut off has none: it is left out,
        with a warning that says how many are. Raises ValueError naming the argument or the column.
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
        """One dataset of what several environments gave side by side, as those of `gymnasium.make_vec` do.

        - observations: (steps + 1, environments, obs_dim), or (steps, ...) without what followed the last actions.
        - actions, rewards, terminated, truncated: (steps, environments).
        - autoreset: how environments began anew, as in `gymnasium.vector.AutoresetMode`. "next_step": in the step after an end the
          action counts for nothing; these steps are dropped. "same_step": the observation after an end is the next episode's
          first, so that the last step of an episode that was cut off has no successor and is left out.
        - action_labels, and options (environment, action_count, provenance): as in `from_arrays`.
        """
        return cls._of(logs.of_vector(observations, actions, rewards, terminated, truncated, autoreset), action_labels, options)

    @classmethod
    @set_aside()
    def from_minari(cls, dataset: "str | minari.MinariDataset", **options: Any) -> Self:
        """A dataset of one of Minari's, by name (installed already: nothing is downloaded) or as Minari loaded it.

        Takes discrete or one-hot actions, and observations in a Box of one axis or Discrete, which become one-hot.
        options: environment (by default none), provenance. Needs the package minari where a name is given.
        Raises ValueError naming the space that it cannot take.
        """
        episodes, labels, provenance = minari_format.read(dataset)
        options["provenance"] = provenance | dict(options.get("provenance") or {})
        return cls._of(logs.of_episodes(episodes), options.pop("action_labels", labels), options)

    def to_minari(self, name: str, **options: Any) -> "minari.MinariDataset":
        """Write the transitions as a Minari dataset, `name` as "my/log-v0", and return it; needs minari and h5py.

        Rows that follow each other become one episode; those of a shuffled log have episodes of one step each. Actions are
        numbered from 0, whatever their labels. options: as minari.create_dataset_from_buffers has them (author, description, ...).
        """
        return minari_format.write(self, name, options)

    @classmethod
    def _of(cls, found, labels, options):
        """The dataset of what `episodes` found, with a word on what was left out."""
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
