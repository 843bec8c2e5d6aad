"""The command line, `hanq` or `python -m hanq`: repeat the paper's tables and figures, compare, train on Seaquest, time."""

import argparse
import signal
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hanq.atari import bench as atari_bench
from hanq.atari import check_gpu, table5
from hanq.atari import command as seaquest
from hanq.data import environments, simulators
from hanq.engines import bench, bench_lab, bench_screens
from hanq.reproduction import ledger, minatar, offline_choice, pipeline, protocol, reruns, schedule
from hanq.training.train import ENGINES

STUDIES = {  # experiments with files of their own; looked up when they run
    offline_choice.NAME: lambda *given, **options: offline_choice.reproduce(*given, **options),
    schedule.NAME: lambda *given, **options: schedule.reproduce(*given, **options),
    minatar.SCALE: lambda *given, **options: minatar.scale(*given, **options),
    reruns.NAME: lambda *given, **options: reruns.reproduce(*given, **options),
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose error messages always fit on one line."""

    def error(self, message):
        super().error(" ".join(message.split()))


def installed_version():
    """The installed package's version; from a plain folder hanq runs too, and has none."""
    try:
        return version("hanq")
    except PackageNotFoundError:
        return "(run from a folder, not installed)"


def main(arguments=None):
    """Run one command and return its exit status: 0 on success, 1 where a check fails, 130 after Ctrl-C.

    Raises SystemExit: with the status 2 after a bad argument, whose message goes to stderr, and with 0 after --help and --version.
    """
    prog = "hanq" if Path(sys.argv[0]).stem == "hanq" else "python -m hanq"
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("--version", action="version", version=f"hanq {installed_version()}")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, example, help):
        return commands.add_parser(name, help=help, description=f"{help}.", epilog=f"example: {prog} {name} {example}".strip())

    command("list", "", "the tables and figures that can be repeated")
    reproduce = command("reproduce", "table1 --env Pendulum --quick", "run a table or figure; stop it at any time, start it again")
    reproduce.add_argument("experiment", choices=[*protocol.EXPERIMENTS, *STUDIES, "all"])
    reproduce.add_argument("--env", help="only the rows of this environment")
    reproduce.add_argument("--out", default="book/results", help="folder of the result files")
    reproduce.add_argument("--quick", action="store_true", help="a few seeds and steps, to try the command")
    reproduce.add_argument("--engine", choices=["auto", *ENGINES], default="auto")
    compare = command("ledger", "--csv > ledger.csv", "every score of the paper beside ours")
    compare.add_argument("--csv", action="store_true", help="as comma-separated values")
    compare.add_argument("--results", default="book/results", help="folder of the result files")
    seaquest.add_arguments(
        command("seaquest", "--algorithm HANQ --learning-rate 1e-4 --steps 1000", "train on Seaquest's frames; stop it, start it again")
    )
    table5.add_arguments(
        command(
            "table5", "--row HANQ --learning-rate 1e-4 --seed 0 --steps 10000", "the paper's Table 5 on Seaquest; stop it, start it again"
        )
    )
    check_gpu.add_arguments(command("check-gpu", "", "whether a GPU trains rightly, and how long Table 5 will take"))
    speed = command("bench", "", "time the engines against what one would otherwise run")
    which = speed.add_mutually_exclusive_group()
    which.add_argument("--atari", action="store_true", help="Seaquest's steps and frames a second instead")
    which.add_argument(
        "--lab", action="store_true", help="the book's laboratory beside the engines instead, one agent each; needs a checkout"
    )
    options = parser.parse_args(arguments)
    try:
        return RUN[options.command](options) or 0
    except (ValueError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("stopped" + "; the same command goes on" * (options.command in RESUMED), file=sys.stderr)
        return 130


def show_list(options):
    for name in protocol.EXPERIMENTS:
        jobs = protocol.jobs(name)
        print(f"{name}: {len(jobs)} results on {', '.join(dict.fromkeys(job.environment for job in jobs))}, {jobs[0].protocol.chosen}")
    for name in (offline_choice.NAME, reruns.NAME):
        print(f"{name}: 1 result on {', '.join(environments.ENVIRONMENTS)}, grid")
    print(f"{schedule.NAME}: 1 result on {schedule.ENVIRONMENT}, grid")
    print(f"{minatar.SCALE}: {len(minatar.GAMES)} results on {', '.join(minatar.GAMES)}, grid")


def everything(environment):
    """List all experiments on an environment, or on any for None: the paper's first, MinAtar's last. Raises ValueError if it is unknown."""
    wanted = None if environment is None else (simulators.known(environment) or environments.find(environment)).name
    names = [name for name in protocol.EXPERIMENTS if wanted in (None, *(job.environment for job in protocol.jobs(name)))]
    own = [minatar.SCALE, minatar.NAME] if minatar.NAME in names else []
    classic = [offline_choice.NAME, reruns.NAME] if wanted in (None, *environments.ENVIRONMENTS) else []
    classic += [schedule.NAME] if wanted in (None, schedule.ENVIRONMENT) else []
    return [name for name in names if name != minatar.NAME] + classic + own


def run_experiments(options):
    shared = dict(environment=options.env, quick=options.quick, engine=options.engine)
    for name in everything(options.env) if options.experiment == "all" else [options.experiment]:
        if name in STUDIES:
            STUDIES[name](options.out, **shared)
        else:
            pipeline.reproduce(name, options.out, **shared)


def show_ledger(options):
    found = ledger.compare(options.results)
    print(found[ledger.COLUMNS].to_csv(index=False).strip() if options.csv else ledger.summary(found))


def time_engines(options):
    for module in (atari_bench,) if options.atari else (bench_lab,) if options.lab else (bench, bench_screens):
        module.main()


RUN = {
    "list": show_list,
    "reproduce": run_experiments,
    "ledger": show_ledger,
    "seaquest": seaquest.run,
    "table5": table5.run,
    "check-gpu": check_gpu.run,
    "bench": time_engines,
}
RESUMED = ("reproduce", "seaquest", "table5")  # these save as they go


def console():
    """Entry point of `hanq` and `python -m hanq`."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what ends a job at its time limit: save as for Ctrl-C
    sys.exit(main())


if __name__ == "__main__":
    console()
