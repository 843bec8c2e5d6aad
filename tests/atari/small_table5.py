"""Arguments of `python -m hanq table5` that train in seconds."""

SMALL = {"transitions": 60, "batch-size": 2, "eval-every": 1, "eval-episodes": 1, "eval-steps": 5}
RATES = [1e-3, 1e-4]


def arguments(folder, row="HANQ", steps=2, rates=RATES, seeds=(5, 3)):
    small = [part for name, count in SMALL.items() for part in (f"--{name}", count)]
    words = ["--row", row, "--steps", steps, "--learning-rate", *rates, "--seed", *seeds, "--work", folder, "--out", folder / "out"]
    return [str(word) for word in ("table5", *words, *small)]
