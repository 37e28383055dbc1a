#!/usr/bin/env python3
"""`plan` against outside judges: HiGHS on the same problem with slices of a size counted together, and CBC (by PuLP) on Mélange's own
formulation, one binary for each slice and type. Needs `pip install highspy pulp`.

    judge.py PROGRAM[,PROGRAM...] [PROBLEMS] [DEADLINE] [FIRST] [KNOWN]

PROGRAM is the binary `aibrix-autoscaler` or the example `solve` of the planner (any name that begins with "solve"); several are
asked the same problem one after the other, and each has its row of the summary. FIRST is the seed of the first problem. KNOWN is a
file that keeps what HiGHS came to, which does not depend on the machine's load, from run to run.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time

import highspy
import pulp


def problem(seed, deadline):
    """Types with prices, sizes log-spaced, capacities as rooflines have them: dearer types are better at long requests."""
    r = random.Random(seed)
    types = r.randint(2, 8)
    sizes = r.choice([6, 12, 30, 60, 120])
    costs = {f"g{j}": round(0.7 * 1.6**j * r.uniform(0.8, 1.2), 3) for j in range(types)}
    load = []
    for _ in range(sizes):
        size = 2 ** r.uniform(0, 8)
        capacity = {}
        for name, cost in costs.items():
            fast = 20 * cost ** r.uniform(0.6, 1.4) / size
            capacity[name] = 0.0 if r.random() < 0.05 else round(fast, 6)
        if not any(capacity.values()):
            capacity["g0"] = 1.0
        load.append({"rate": round(r.uniform(0, 1) * r.choice([2, 20, 200, 1000]) * 10 / size / sizes, 8), "capacity": capacity})
    slices = r.choice([1, 4, 8])
    return {"gpus": {n: {"cost": c} for n, c in costs.items()}, "load": load, "split": {"slices": slices}, "deadlineSeconds": deadline}


def ours(program, given):
    began = time.time()
    arguments = [] if os.path.basename(program).startswith("solve") else ["plan", "-"]
    out = subprocess.run([program, *arguments], input=json.dumps(given), capture_output=True, text=True, check=True)
    answer = json.loads(out.stdout)
    return answer, time.time() - began


def highs(given, limit):
    """The proven optimum, or the best bound at the limit."""
    s = given["split"]["slices"]
    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    h.setOptionValue("time_limit", limit)
    h.setOptionValue("mip_rel_gap", 0.0)
    h.setOptionValue("mip_abs_gap", 1e-7)
    names = list(given["gpus"])
    y = {n: h.addVariable(lb=0, ub=1e6, obj=given["gpus"][n]["cost"], type=highspy.HighsVarType.kInteger) for n in names}
    rows = {n: [] for n in names}
    for size in given["load"]:
        if size["rate"] <= 0:
            continue
        parts = []
        for n, capacity in size["capacity"].items():
            if capacity > 0:
                x = h.addVariable(lb=0, ub=s, type=highspy.HighsVarType.kInteger)
                parts.append(x)
                rows[n].append((x, size["rate"] / capacity / s))
        h.addConstr(sum(parts) == s)
    for n, terms in rows.items():
        if terms:
            h.addConstr(sum(x * c for x, c in terms) <= y[n])
    began = time.time()
    h.minimize()
    info = h.getInfo()
    proven = h.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return info.objective_function_value, info.mip_dual_bound, proven, time.time() - began


def cbc(given, limit):
    s = given["split"]["slices"]
    names = list(given["gpus"])
    p = pulp.LpProblem("melange", pulp.LpMinimize)
    y = {n: pulp.LpVariable(f"y_{n}", lowBound=0, cat="Integer") for n in names}
    p += pulp.lpSum(given["gpus"][n]["cost"] * y[n] for n in names)
    rows = {n: [] for n in names}
    for i, size in enumerate(given["load"]):
        if size["rate"] <= 0:
            continue
        for k in range(s):
            xs = []
            for n, capacity in size["capacity"].items():
                if capacity > 0:
                    x = pulp.LpVariable(f"x_{i}_{k}_{n}", cat="Binary")
                    xs.append(x)
                    rows[n].append(x * (size["rate"] / capacity / s))
            p += pulp.lpSum(xs) == 1
    for n in names:
        if rows[n]:
            p += pulp.lpSum(rows[n]) <= y[n]
    began = time.time()
    p.solve(pulp.PULP_CBC_CMD(msg=False, timeLimit=limit))
    took = time.time() - began
    value = pulp.value(p.objective)
    return value, took


class Tally:
    """What one program came to, in all."""

    def __init__(self):
        self.ratios, self.slow = [], []
        self.proven = self.equal = self.cheaper = self.dearer = self.wrong = 0

    def judge(self, answer, highs_said, cbc_said):
        """Counts an answer; what is to be said of it."""
        (best, bound, proven, _), (other, other_took) = highs_said, cbc_said
        note, cost, own = [], answer["cost"], answer["status"] == "optimal"
        if own and cost > best + 1e-4 or proven and answer["bound"] > best + 1e-4:
            note.append("WRONG BOUND")
        if cost < (best if proven else bound) - 1e-4:
            note.append("BELOW THE JUDGE'S BOUND")
        self.wrong += bool(note)
        self.proven += own
        self.equal += abs(cost - best) <= 1e-4
        if not own:
            note.append(f"gap {100 * answer['gap']:.2f} %")
        if other is None or cost < other - 1e-4:
            self.cheaper += 1
        elif cost > other + 1e-4:
            self.dearer += 1
            note.append("DEARER THAN CBC")
        self.ratios.append(answer["seconds"] / max(other_took, 1e-3))
        self.slow.append(answer["seconds"])
        return ", ".join(note)

    def row(self, name):
        return (
            f"| {name} | {len(self.slow)} | {self.proven} | {self.equal} | {self.cheaper} | {self.dearer} | {self.wrong} |"
            f" {statistics.median(self.slow):.3f} | {max(self.slow):.2f} |"
            f" {statistics.median(self.ratios):.3f} | {max(self.ratios):.2f} |"
        )


def known_highs(path, seed, given):
    known = {}
    if path and os.path.exists(path):
        with open(path) as file:
            known = json.load(file)
    if str(seed) not in known:
        known[str(seed)] = highs(given, 60.0)
        if path:
            with open(path, "w") as file:
                json.dump(known, file)
    return known[str(seed)]


def main():
    def argument(at, default):
        return sys.argv[at] if len(sys.argv) > at else default

    programs = argument(1, "").split(",")
    count, deadline, first = int(argument(2, 20)), float(argument(3, 10)), int(argument(4, 0))
    known = argument(5, "")
    tallies = [Tally() for _ in programs]
    print("| problem | " + "ours | s | note | " * len(programs) + "HiGHS | s | CBC | s |")
    print("|---|" + "---|---|---|" * len(programs) + "---|---|---|---|")
    for seed in range(first, first + count):
        given = problem(seed, deadline)
        answers = [ours(program, given)[0] for program in programs]
        judged = known_highs(known, seed, given)
        other = cbc(given, deadline)
        cells = [f"{seed}: {len(given['gpus'])} types x {len(given['load'])} sizes x {given['split']['slices']}"]
        for tally, answer in zip(tallies, answers):
            note = tally.judge(answer, judged, other)
            cells += [f"{answer['cost']:.3f}", f"{answer['seconds']:.3f}", note]
        cells += [f"{judged[0]:.3f}" + ("" if judged[2] else " (not proven)"), f"{judged[3]:.2f}"]
        cells += ["none" if other[0] is None else f"{other[0]:.3f}", f"{other[1]:.2f}"]
        print("| " + " | ".join(cells) + " |", flush=True)
    print(
        "\n| program | problems | proven | equal to HiGHS | cheaper than CBC | dearer than CBC | wrong |"
        " s: median | worst | times CBC's: median | worst |\n|" + "---|" * 11
    )
    for program, tally in zip(programs, tallies):
        print(tally.row(os.path.basename(program)))
    sys.exit(1 if tallies[0].wrong or tallies[0].dearer else 0)


main()
