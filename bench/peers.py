"""Runs mqc and its peers in turn and merges the rounds; see peers.sh.

    peers.py train gemm                      run, then merge
    peers.py --merge bin/bench/runs.jsonl    merge only
"""
import csv
import datetime
import glob
import json
import math
import os
import subprocess
import sys
import time
from statistics import median

ROUNDS = int(os.environ.get("ROUNDS", 5))
WORKERS = int(os.environ.get("WORKERS", len(os.sched_getaffinity(0))))
OUT = os.environ.get("OUT", "results/bench.csv")
QUIET = float(os.environ.get("QUIET", 600))
RUNS = "bin/bench/runs.jsonl"

MQC = ["bin/bench/mqc", "bench"]
TORCH = ["/usr/bin/python3", "bench/peers/torch_gpt.py"]
ONEDNN = ["bin/bench/onednn_gemm"]

# A user who tunes PyTorch keeps freed memory in the process, where it would
# otherwise go back to the system after every step, and takes the build of
# OpenBLAS that shares its threads with PyTorch.
TUNED = {
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "500000000",
    "LD_LIBRARY_PATH": ":".join(glob.glob("/usr/lib/*/openblas-openmp")),
}

# Share of the machine's time that others may take before, or during, a run.
FOREIGN = 0.05


def pairs(works):
    """What is measured: a name, and the command lines of mqc and of the peer with its environment."""
    steps = ["--steps", "5", "--warmup", "2"]
    generations = ["--steps", "3", "--warmup", "1"]

    def pair(name, work, precision, args, env=TUNED, ours=None):
        mqc = MQC + [work, "--json", "--workers", str(WORKERS), "--precision", ours or precision] + args
        torch = TORCH + [work, "--workers", str(WORKERS), "--precision", precision] + args
        return dict(name=name, precision=ours or precision, mqc=[mqc], peer=[torch], env=env)

    for work in works:
        if work in ("train", "eval"):
            for precision in ("f32", "bf16"):
                yield pair(work, work, precision, steps)
        elif work == "installed":
            yield pair("train, PyTorch as installed", "train", "f32", steps, env={}, ours="auto")
        elif work == "decode":
            for precision in ("f32", "bf16"):
                for paths in ("1", "16", "64"):
                    yield pair(f"decode {paths}", work, precision, ["--paths", paths] + generations)
        elif work == "gemm":
            for precision in ("f32", "bf16"):
                yield dict(
                    name="gemm",
                    precision=precision,
                    mqc=[MQC + ["gemm", "--json", "--workers", str(WORKERS), "--precision", precision, "--steps", "5"]],
                    peer=[ONEDNN + [precision, str(n), "100"] for n in sorted({1, WORKERS})],
                    env={},
                    input=shapes(),
                )


def shapes():
    """The shapes of mqc bench gemm as lines for the peer."""
    line = subprocess.run(MQC + ["gemm", "--json", "--workers", "1", "--precision", "f32", "--steps", "1", "--warmup", "0"], check=True, capture_output=True, text=True).stdout
    products = json.loads(line)["products"]
    return "".join("{kind} {m} {n} {k} {use} {count}\n".format(**p) for p in products)


def busy():
    """Seconds of all cores in which anything ran, and that another guest took."""
    with open("/proc/stat") as f:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet():
    deadline, told = time.time() + QUIET, False
    while time.time() < deadline:
        before = busy()
        time.sleep(1)
        if busy() - before < FOREIGN * os.cpu_count():
            return
        if not told:
            print("  waiting for others on this machine", file=sys.stderr)
            told = True


def warm():
    """Touches more memory than either side needs. A virtual machine may have given idle memory back, and the first to ask for it again would pay seconds for both."""
    subprocess.run([sys.executable, "-c", "bytearray(b'.') * (2 << 30)"], check=True)


def execute(command, env, text):
    """Runs a command, again where others disturbed it; returns its lines of JSON, or None where it failed."""
    for attempt in range(3):
        if QUIET > 0:
            wait_for_quiet()
        warm()
        start, before, own = time.time(), busy(), os.times()
        done = subprocess.run(command, input=text, capture_output=True, text=True, env={**os.environ, **env})
        now = os.times()
        own = now.children_user + now.children_system - own.children_user - own.children_system
        foreign = max(0.0, busy() - before - own) / ((time.time() - start) * os.cpu_count())
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no message"])[0]
            print(f"  {os.path.basename(command[0])}: exit {done.returncode}: {reason}", file=sys.stderr)
            return None
        if QUIET == 0 or foreign < FOREIGN or attempt == 2:
            break
        print(f"  others took {100 * foreign:.0f}% of the machine: once more", file=sys.stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        line["foreign_percent"] = round(100 * foreign, 1)
    return lines


def run(works):
    """Measures and returns what every run printed, with the names of round, side and pair."""
    records, every = [], list(pairs(works))
    with open(RUNS, "w") as log:
        for n in range(ROUNDS):
            for p in every:
                print(f"round {n + 1} of {ROUNDS}: {p['name']} {p['precision']}", file=sys.stderr)
                # Who begins changes, so that nobody always has the cooler machine.
                for side in ("mqc", "peer")[:: 1 if n % 2 == 0 else -1]:
                    for command in p[side]:
                        for line in execute(command, p["env"] if side == "peer" else {}, p.get("input") if side == "peer" else None) or []:
                            record = dict(round=n, side=side, name=p["name"], precision_asked=p["precision"], result=line)
                            records.append(record)
                            log.write(json.dumps(record) + "\n")
                            log.flush()
    return records


def flatten(records):
    """One value for each (row, round, side); a run of mqc bench gemm holds all shapes."""
    values = {}
    for r in records:
        result = r["result"]
        for product in result.get("products", [result]):
            work = r["name"]
            if "kind" in product:
                work = "gemm {use} {kind} {m}x{n}x{k}".format(**product)
            row = (work, r["precision_asked"], product["workers"])
            side = values.setdefault(row, {}).setdefault(r["round"], {})
            side[r["side"]] = dict(
                value=product["gflops"] if "kind" in product else result["tokens_per_second"],
                precision=result["precision"],
                peer=result.get("peer", ""),
                memory=None if "kind" in product else result.get("peak_memory_mib"),
                first=None if "kind" in product else result.get("time_to_first_step_s"),
            )
    return values


def means(values):
    """Adds the geometric means of the shapes, round by round."""
    groups = {}
    for (work, precision, workers), rounds in values.items():
        if work.startswith("gemm "):
            use = work.split()[1]
            for n, sides in rounds.items():
                for side, v in sides.items():
                    groups.setdefault((f"gemm {use}, geometric mean", precision, workers), {}).setdefault(n, {}).setdefault(side, []).append(v)
    for row, rounds in groups.items():
        values[row] = {
            n: {side: dict(v[0], value=math.exp(sum(math.log(x["value"]) for x in v) / len(v))) for side, v in sides.items()}
            for n, sides in rounds.items()
        }
    return values


COLUMNS = [
    "work", "precision", "mqc_precision", "workers", "peer", "unit", "peer_median", "mqc_median", "ratio", "ratio_min", "ratio_max", "rounds",
    "peer_memory_mib", "mqc_memory_mib", "peer_first_step_s", "mqc_first_step_s",
]  # fmt: skip


def rows(values):
    for (work, precision, workers), rounds in values.items():
        both = [s for s in rounds.values() if len(s) == 2]
        of = {side: [s[side] for s in rounds.values() if side in s] for side in ("peer", "mqc")}

        def middle(side, key, digits=1):
            found = [v[key] for v in of[side] if v[key] is not None]
            return round(median(found), digits) if found else ""

        ratios = [s["mqc"]["value"] / s["peer"]["value"] for s in both]
        first = lambda side, key: of[side][0][key] if of[side] else ""
        yield dict(
            work=work, precision=precision, mqc_precision=first("mqc", "precision"), workers=workers, peer=first("peer", "peer"),
            unit="GFLOP/s" if work.startswith("gemm") else "tokens/s",
            peer_median=middle("peer", "value"), mqc_median=middle("mqc", "value"),
            ratio=round(median(ratios), 3) if ratios else "", ratio_min=round(min(ratios), 3) if ratios else "",
            ratio_max=round(max(ratios), 3) if ratios else "", rounds=len(both),
            peer_memory_mib=middle("peer", "memory", 0), mqc_memory_mib=middle("mqc", "memory", 0),
            peer_first_step_s=middle("peer", "first", 2), mqc_first_step_s=middle("mqc", "first", 2),
        )  # fmt: skip


def worst(table):
    """The shape with the smallest ratio, for each use, precision and number of workers."""
    groups = {}
    for row in table:
        if row["work"].startswith("gemm ") and "mean" not in row["work"] and row["ratio"] != "":
            groups.setdefault((row["work"].split()[1], row["precision"], row["workers"]), []).append(row)
    for (use, _, _), group in groups.items():
        row = min(group, key=lambda r: r["ratio"])
        yield dict(row, work=f"gemm {use}, worst: " + " ".join(row["work"].split()[2:]))


def git(*args):
    return subprocess.run(["git", *args], capture_output=True, text=True).stdout.strip()


def cpu():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    return os.uname().machine


def write(records, command):
    table = list(rows(means(flatten(records))))
    table += list(worst(table))
    disturbed = max((r["result"].get("foreign_percent", 0) for r in records), default=0)
    with open(OUT, "w", newline="") as f:
        f.write(f"# {datetime.date.today()}, commit {git('describe', '--always', '--dirty')}, {command}\n")
        f.write(f"# {cpu()}, {WORKERS} of {os.cpu_count()} cores; others took at most {disturbed}% of the machine during a run\n")
        f.write("# ratio: mqc over peer in the same round, median over the rounds; above 1 mqc is faster\n")
        w = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        w.writeheader()
        w.writerows(table)
    for row in table:
        if "gemm" not in row["work"] or "," in row["work"]:
            print("{work:38} {precision:5} {workers:2} {peer_median:>9} {mqc_median:>9} {ratio:>7}".format(**row))
    print(OUT)


def main(args):
    if args[:1] == ["--merge"]:
        with open(args[1]) as f:
            write([json.loads(line) for line in f], f"merged from {os.path.basename(args[1])}")
    else:
        write(run(args), f"ROUNDS={ROUNDS} bench/peers.sh " + " ".join(args))


main(sys.argv[1:])
