"""The command line: `python -m hanq list`, `reproduce fig3a`, `bench`."""

import argparse
import sys

from hanq import bench, paper


def main(arguments=None):
    """Run one command; a bad argument ends with its message and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m hanq", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the experiments that can be repeated")
    reproduce = commands.add_parser("reproduce", help="run an experiment; stop it at any time, start it again")
    reproduce.add_argument("experiment", choices=[*paper.EXPERIMENTS, "all"])
    reproduce.add_argument("--out", default="book/results", help="folder of the result files")
    reproduce.add_argument("--quick", action="store_true", help="a few seeds and steps, to try the command")
    reproduce.add_argument("--engine", default="auto", help="auto, fused or torch")
    commands.add_parser("bench", help="time the engines against what one would otherwise run")
    options = parser.parse_args(arguments)
    if options.command == "bench":
        bench.main()
        return 0
    if options.command == "list":
        for name, experiment in paper.EXPERIMENTS.items():
            print(f"{name}: {', '.join(experiment.rows)} on {experiment.environment}, {experiment.protocol}")
        return 0
    for name in paper.EXPERIMENTS if options.experiment == "all" else [options.experiment]:
        try:
            paper.reproduce(name, options.out, quick=options.quick, engine=options.engine)
        except ValueError as error:
            parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
