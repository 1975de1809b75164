"""Mapping at scale: partition, placement and routes against layer order, networkx, METIS and
mt-KaHyPar, on graph families and on the examples, in one run.

    python tests/bench/bench_scale.py [--family sheet ...] [--full] [--seed 0] [--out rows.json]

Each method has a process of its own, so peak memory is its own; the graph comes mapped from a file.
`seconds` are those of the partition, `cpu` of the processors meanwhile (of ours: of the whole way),
`all` those of partition, traffic, placement and routes; km1 is the mean number of other cores that
an event must reach, `links` the links of an event's tree, `traffic` events times links of a step.
Baselines are placed and routed as ours is, layer order stays on a raster. `--full`: the sheet of
1e6 neurons and 1e8 synapses too, ours alone, and placement on 4,096 cores.
At the end the targets T1 to T5, met or not; T5 on capacities about what the mean core needs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

#: (family, neurons, synapses, cores)
FAMILIES = (
    ("sheet", 10_000, 1_000_000, 16),
    ("sheet", 100_000, 5_000_000, 256),
    ("conv_like", 10_000, 1_000_000, 16),
    ("random_layers", 10_000, 1_000_000, 16),
    ("experts", 10_000, 1_000_000, 16),
)
FULL = ("sheet", 1_000_000, 100_000_000, 1024)
EXAMPLES = {
    "digits": "digits.nir",
    "vowels": "vowels.nir",
    "recurrent": "recurrent.nir",
    "attention": "model.pt",
    "seqdigits": "model.pt",
}
#: Meshes of T4: a sheet whose partition by METIS is placed.
MESHES = ((1024, 3.9, 1.0), (4096, 5.5, 4.0))
FORMS = {"km1": "8.3f", "links": "8.2f", "traffic": "12.0f", "seconds": "9.2f", "cpu": "9.2f",
         "all": "9.2f", "gib": "7.2f"}  # fmt: skip
METHODS = ("layer order", "networkx", "pymetis", "mtkahypar", "nervure")


def make(family: str, neurons: int, synapses: int, seed: int, path: Path) -> None:
    """Writes a graph's file."""
    from mapping.graph_file import write_graph
    from tests.bench import families

    if family not in EXAMPLES:
        write_graph(path, getattr(families, family)(neurons, synapses, seed))
        return
    from codesign.map import read_source
    from codesign.settings import load_settings

    model = ROOT / "examples" / family / EXAMPLES[family]
    settings = load_settings(model.parent / "nervure.toml")
    write_graph(path, read_source(model, lambda: settings, {}).graph)


def run(method: str, path: Path, cores: int, seed: int) -> dict:
    """One method on one graph, in this process."""
    from codesign.baselines import BASELINES, missing
    from codesign.dryrun import map_graph, peak_memory, scored
    from mapping.connectivity import Capacity
    from mapping.graph_file import read_graph
    from mapping.partition import in_layer_order
    from mapping.place import mesh_size
    from tests.bench.families import sheet

    warm = sheet(64, 256)  # compiled loops come from the cache
    map_graph(warm, Capacity(cores=4))
    graph, capacity = read_graph(path), Capacity(cores=cores)
    begin, used = time.perf_counter(), time.process_time()
    if method == "nervure":
        report = map_graph(graph, capacity, seed=seed)
        spent = {k: report.seconds[k] for k in ("partition", "traffic", "placement", "routes")}
        row = {
            "km1": report.km1, "links": report.hops["event"], "hops": report.hops["delivery"],
            "traffic": report.traffic["multicast"], "seconds": spent["partition"],
            "all": sum(spent.values()), "stages": report.seconds, "start": report.start,
            "parts": report.partition_seconds, "cpu": time.process_time() - used,
            "gib": report.memory_bytes / 2**30,
        }  # fmt: skip
        return row
    if method in BASELINES and (why := missing(method, graph)):
        return {"skipped": why}
    if method == "layer order":
        core = in_layer_order(graph, capacity)
    else:
        core = BASELINES[method](graph, cores, seed)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    width, height = mesh_size(cores)
    raster = np.arange(cores) if method == "layer order" else None
    row = scored(graph, core, cores, width, height, seed, raster)
    return {
        **row, "seconds": seconds, "cpu": used, "all": time.perf_counter() - begin,
        "gib": peak_memory() / 2**30,
    }  # fmt: skip


def tight(family: str, seed: int) -> dict:
    """Capacities about what the mean core needs, on a graph of 2,000 neurons: how many were kept,
    refused with a reason, broken."""
    from codesign.dryrun import map_graph, over
    from hdl.params.errors import UserError
    from mapping.connectivity import Capacity
    from tests.bench import families

    graph = getattr(families, family)(2000, 40_000, seed)
    rng = np.random.default_rng(seed)
    sources = int(np.count_nonzero(np.diff(graph.indptr)))
    count = {"kept": 0, "refused": 0, "broken": 0}
    for _ in range(10):
        cores = int(rng.integers(4, 20))
        mean = {"slots": graph.neurons, "synapse_bits": int(graph.synapse_bits.sum()),
                "fan_in": 3 * sources, "load": graph.synapses}  # fmt: skip
        limits = {
            name: int(value / cores * rng.uniform(0.98, 1.6)) + 1
            for name, value in mean.items()
            if rng.random() < 0.6
        }
        capacity = Capacity(cores=cores, lanes=int(rng.choice([1, 4, 8])), **limits)
        try:
            report = map_graph(graph, capacity, seed=seed)
        except UserError:
            count["refused"] += 1
        else:
            count["broken" if over(graph, report.core, capacity) else "kept"] += 1
    return count


def place_sheet(cores: int, seed: int) -> dict:
    """A sheet of 98 neurons a core, 50 synapses each, that METIS cut; traffic is one event a
    synapse. Hops of an event that leaves its core; how many of them are those of synapses that go
    anywhere, which no placement shortens; seconds (wall, processors)."""
    from scipy.sparse import coo_array

    from codesign.baselines import BASELINES
    from mapping.place import mean_hops, mesh_size, place
    from tests.bench.families import FAR, sheet

    place(np.ones((5, 5)), 2, 2)
    graph = sheet(98 * cores, 98 * 50 * cores, seed)
    core = BASELINES["pymetis"](graph, cores, seed).astype(np.int32)
    pairs = np.repeat(core, np.diff(graph.indptr)), core[graph.indices]
    flow = coo_array((np.ones(graph.synapses), pairs), shape=(cores + 1, cores + 1)).tocsr()
    width, height = mesh_size(cores)
    begin, used = time.perf_counter(), time.process_time()
    tile = place(flow, width, height, seed)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    raster = mean_hops(flow, np.arange(cores), width)
    hops = mean_hops(flow, tile, width)
    away = 1 - flow.diagonal().sum() / flow.sum()
    far = FAR / away * (width + height) / 3
    return {"hops": hops, "raster": raster, "far": far, "seconds": seconds, "cpu": used}


def apart(*job: object) -> dict:
    """A job in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--job", json.dumps(job)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1][:200]}
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", nargs="+", help="only these families or examples")
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument(
        "--full", action="store_true", help="1e6 neurons, 1e8 synapses, and 4,096 cores, too"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="rows as JSON")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        kind, *rest = json.loads(options.job)
        if kind == "make":
            make(*rest[:-1], Path(rest[-1]))
            answer: dict = {}
        elif kind == "run":
            answer = run(rest[0], Path(rest[1]), *rest[2:])
        else:
            answer = {"place": place_sheet, "tight": tight}[kind](*rest)
        print(json.dumps(answer))
        return
    cases = [*FAMILIES, *((name, 0, 0, cores) for name in EXAMPLES for cores in (4, 9, 16))]
    cases += [FULL] if options.full else []
    if options.family:
        cases = [case for case in cases if case[0] in options.family]
    rows = []
    heads = (f"{key:>{form.split('.')[0].rstrip(',')}}" for key, form in FORMS.items())
    print(f"{'graph':<34}{'method':<13}{''.join(heads)}")
    with tempfile.TemporaryDirectory() as folder:
        made: dict[tuple, Path] = {}
        for case in cases:
            family, neurons, synapses, cores = case
            if case[:3] not in made:
                made[case[:3]] = Path(folder) / f"{len(made)}.npz"
                apart("make", family, neurons, synapses, options.seed, str(made[case[:3]]))
            size = f" {neurons:g} / {synapses:g}" if neurons else ""
            methods = METHODS if case != FULL else ("layer order", "nervure")
            for method in (m for m in methods if m in options.method):
                found = apart("run", method, str(made[case[:3]]), cores, options.seed)
                rows.append({"case": case, "method": method, **found})
                shown(f"{family}{size} on {cores}", method, found)
    if not options.family or "sheet" in options.family:
        for cores, hops, seconds in MESHES[: 1 + options.full]:
            found = apart("place", cores, options.seed)
            rows.append({"case": ("placement", cores), "method": "nervure", **found,
                         "target": [hops, seconds]})  # fmt: skip
    for family in dict.fromkeys(case[0] for case in cases if case[0] not in EXAMPLES):
        found = apart("tight", family, options.seed)
        rows.append({"case": ("capacities", family), "method": "nervure", **found})
    targets(rows)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


def shown(name: str, method: str, found: dict) -> None:
    if "km1" not in found:
        print(f"{name:<34}{method:<13}{found.get('skipped') or found.get('failed')}", flush=True)
        return
    numbers = (f"{found[key]:{form}}" for key, form in FORMS.items())
    print(f"{name:<34}{method:<13}{''.join(numbers)}", flush=True)


def targets(rows: list[dict]) -> None:
    """T1 to T5 (see MAPPING in docs), as far as they were run."""
    ours = {tuple(r["case"]): r for r in rows if r["method"] == "nervure"}
    best = {tuple(r["case"]): r for r in rows if r["method"] == "mtkahypar"}

    def line(name: str, met: bool, text: str) -> None:
        print(f"{name}  {'met   ' if met else 'MISSED'}  {text}")

    print()
    r = ours.get(FULL, {})
    if "km1" in r:
        met = r["all"] <= 120 and r["gib"] <= 12 and r["km1"] <= 11.7
        text = (
            f"{r['all']:.0f} s (<= 120), {r['gib']:.1f} GiB (<= 12), km1 {r['km1']:.3f} (<= 11.7)"
        )
        line("T1", met, text)
    r = ours.get(FAMILIES[1], {})
    if "km1" in r:
        met = r["seconds"] <= 10 and r["km1"] <= 6.667
        line("T2", met, f"partition {r['seconds']:.1f} s (<= 10), km1 {r['km1']:.3f} (<= 6.667)")
    r, other = ours.get(FAMILIES[2], {}), best.get(FAMILIES[2], {})
    if "km1" in r and "km1" in other:
        ratio = r["km1"] / other["km1"]
        text = f"km1 {r['km1']:.3f}, {ratio:.3f} of mt-KaHyPar's (<= 1.05)"
        met = r["seconds"] <= 4.3 and ratio <= 1.05
        line("T3", met, f"partition {r['seconds']:.1f} s (<= 4.3), {text}")
    for r in (r for r in rows if r["case"][0] == "placement" and "hops" in r):
        hops, seconds = r["target"]
        text = f"{r['hops']:.2f} hops (<= {hops}; raster {r['raster']:.2f}, far {r['far']:.2f})"
        met = r["hops"] <= hops and r["seconds"] <= seconds
        took = f"{r['seconds']:.2f} s (<= {seconds:g}; {r['cpu']:.2f} of processors)"
        line("T4", met, f"{r['case'][1]} cores: {text} in {took}")
    found = [r for r in rows if r["case"][0] == "capacities" and "kept" in r]
    if found:
        kept, refused, broken = (sum(r[k] for r in found) for k in ("kept", "refused", "broken"))
        line(
            "T5", not broken, f"capacities: {kept} kept, {refused} refused by name, {broken} broken"
        )
    failed = [(r["case"], r["method"], r["failed"]) for r in rows if "failed" in r]
    for case, method, why in failed:
        print(f"FAILED {case} {method}: {why}")


if __name__ == "__main__":
    main()
