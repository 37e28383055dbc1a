#!/usr/bin/env python3
"""`plan` against outside judges: HiGHS on the same problem with slices of a size counted together, and CBC (by PuLP) on Mélange's own
formulation, one binary for each slice and type. Needs `pip install highspy pulp`.

    judge.py PROGRAM [PROBLEMS] [DEADLINE]
"""

import json
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
    out = subprocess.run([program, "plan", "-"], input=json.dumps(given), capture_output=True, text=True, check=True)
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


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    deadline = float(sys.argv[3]) if len(sys.argv) > 3 else 10.0
    ratios, slow, proven_ours, equal, dearer, cheaper, wrong = [], [], 0, 0, 0, 0, 0
    print("| problem | ours | s | HiGHS | s | CBC | s | note |\n|---|---|---|---|---|---|---|---|")
    for seed in range(count):
        given = problem(seed, deadline)
        answer, took = ours(program, given)
        best, bound, proven, judged = highs(given, 60.0)
        other, other_took = cbc(given, deadline)
        shape = f"{seed}: {len(given['gpus'])} types x {len(given['load'])} sizes x {given['split']['slices']}"
        note, cost, own = [], answer["cost"], answer["status"] == "optimal"
        proven_ours += own
        lowest = best if proven else bound
        if own and cost > best + 1e-4 or proven and answer["bound"] > best + 1e-4:
            note.append("WRONG BOUND")
        if cost < lowest - 1e-4:
            note.append("BELOW THE JUDGE'S BOUND")
        wrong += bool(note)
        equal += abs(cost - best) <= 1e-4
        if not own:
            note.append(f"gap {100 * answer['gap']:.2f} %")
        if other is None or cost < other - 1e-4:
            cheaper += 1
        elif cost > other + 1e-4:
            dearer += 1
            note.append("DEARER THAN CBC")
        ratios.append(answer["seconds"] / max(other_took, 1e-3))
        slow.append(answer["seconds"])
        print(
            f"| {shape} | {cost:.3f} | {answer['seconds']:.3f} | {best:.3f}{'' if proven else ' (not proven)'} | {judged:.2f} |"
            f" {'none' if other is None else f'{other:.3f}'} | {other_took:.2f} | {', '.join(note)} |",
            flush=True,
        )
    print(
        f"\n| problems | proven | equal to HiGHS | cheaper than CBC | dearer than CBC | wrong | s: median | worst | times CBC's: median | worst |\n"
        f"|---|---|---|---|---|---|---|---|---|---|\n"
        f"| {count} | {proven_ours} | {equal} | {cheaper} | {dearer} | {wrong} | {statistics.median(slow):.3f} | {max(slow):.2f} |"
        f" {statistics.median(ratios):.3f} | {max(ratios):.2f} |"
    )
    sys.exit(1 if wrong or dearer else 0)


main()
