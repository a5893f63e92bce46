"""What is recommended where signal is scarce?"""
from __future__ import annotations
import json, sys, time, hashlib
from pathlib import Path
import numpy as np, torch
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import optuna

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import RunConfig, FIRST_RATIOS
from ama_ray.evaluation.terms import objectives_of
from ama_ray.miniature import ROOT
from ama_ray.space.search_space import SearchSpace
from ama_ray.pareto.hypervolume import hypervolume, non_dominated
from benchmarks.front.modelled import merges, SPACE
from testing.landscape import Landscape

FOLDER = Path("/tmp/w/samp/bench")

class Net(torch.nn.Module):
    def __init__(self, size, items, prompts, width=32):
        super().__init__()
        self.trunk = torch.nn.Sequential(torch.nn.Linear(size, width), torch.nn.SiLU(), torch.nn.Linear(width, width), torch.nn.SiLU())
        self.items = torch.nn.Linear(width, items)
        self.reward = torch.nn.Linear(width, prompts)
        self.spread = torch.nn.Linear(width, 1)
    def forward(self, x):
        h = self.trunk(x)
        return self.items(h), self.reward(h), self.spread(h)

def load(aligned, count):
    land = Landscape(aligned, SPACE, FOLDER / "cache")
    xs, ys, rs = [], [], []
    names = [t.name for t in land.objectives.probes]
    first = {g: land._pair.names.index(next(t for t in land._pair.names if land._resolved.of[t] == g)) for g in land.groups}
    for key in sorted(k for k in land._cache if k[0] == "search"):
        it = land._cache[key]
        xs.append([key[1 + first[g]] for g in land.groups])
        ys.append(np.concatenate([it[n][:, 0] for n in names])); rs.append(it["reward"][:, 0])
    order = np.random.default_rng(0).permutation(len(xs))
    xs, ys, rs = ([each[i] for i in order] for each in (xs, ys, rs))
    return np.array(xs), np.array(ys), np.array(rs), names

def fit(aligned, count=400, steps=1500, holdout=0, seed=0):
    torch.set_num_threads(1); torch.manual_seed(seed)
    x, y, r, names = load(aligned, count)
    print(x.shape, y.shape, r.shape)
    x, y, r = (torch.tensor(a, dtype=torch.float32) for a in (x, y, r))
    train = slice(0, len(x) - holdout)
    net = Net(x.shape[1], y.shape[1], r.shape[1])
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    for step in range(steps):
        a, b, c = net(x[train] + 0.03 * torch.randn_like(x[train]))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(a, y[train]) * 3
        loss = loss + ((r[train] - b) ** 2 * torch.exp(-2 * c) / 2 + c).mean()
        opt.zero_grad(); loss.backward(); opt.step(); sched.step()
    with torch.no_grad():
        a, b, c = net(x)
        for part, what in ((train, "train"), (slice(len(x) - holdout, len(x)), "held out")):
            if not len(x[part]): continue
            p = (a[part] > 0).float()
            acc = (p == y[part]).float().mean()
            mean = p.reshape(len(p), 5, -1).mean(-1) - y[part].reshape(len(p), 5, -1).mean(-1)
            print(what, "items right", float(acc), "rmse of probe score", mean.pow(2).mean(0).sqrt().tolist(),
                  "reward rmse", float((b[part].mean(1) - r[part].mean(1)).pow(2).mean().sqrt()), "loss", float(loss))
    return net


class Modelled:
    """A landscape of the fitted model: what a search sees, and the truth."""
    def __init__(self, aligned, space, items, strength, seed, fine=1):
        # space: a search space of the miniature; `deep` is attention-mlp with three groups for each of a layer.
        self.aligned, self.space = aligned, space
        pair = Pair.open(str(ROOT / "base"), str(ROOT / aligned))
        finest = SearchSpace.load(SPACE).resolve(pair.names)
        self.net = _net(aligned)
        self.objectives = objectives_of(RunConfig.load(ROOT / "run.yaml"))
        self.names = [t.name for t in self.objectives.probes]
        moved = finest.moved(pair.moved)
        if space in ("deep", "profile") or space.startswith("deep-profile"):
            parts = 3 if space.startswith("deep") else 1
            rows, self.moved = [], {}
            layers = 6 * parts
            columns = {("embed", 0): {"embed": 1.0}, ("head", 0): {"head": 1.0}}
            for layer in range(layers):
                for kind in ("attention", "mlp"):
                    columns[kind, layer] = {f"layer-{layer // parts}-{kind}": 1 / parts}
            if space == "deep":
                groups = {f"{kind}-{layer}": {(kind, layer): 1.0} for kind, layer in columns}
            else:
                knots = int(space[-1]) if space[-1].isdigit() else 3
                groups = {"embed": {("embed", 0): 1.0}}
                for kind in ("attention", "mlp"):
                    for k in range(knots):
                        at = np.arange(layers) / (layers - 1) * (knots - 1)
                        w = np.maximum(0, 1 - np.abs(at - k))
                        groups[f"{kind}@{k}"] = {(kind, l): float(w[l]) for l in range(layers) if w[l] > 0}
                groups["head"] = {("head", 0): 1.0}
            for group, members in groups.items():
                row = np.zeros(len(finest.names)); far = 0.0
                for member, weight in members.items():
                    for of, share in columns[member].items():
                        row[finest.names.index(of)] += weight * share
                        far += weight**2 * moved[of] ** 2 * share
                rows.append(row); self.moved[group] = far**0.5
            self.groups = tuple(groups)
            self.matrix = np.array(rows)
        else:
            own = SearchSpace.load(space).resolve(pair.names)
            self.groups, self.moved = own.names, own.moved(pair.moved)
            self.matrix = np.zeros((len(own.names), len(finest.names)))
            for t in pair.names:
                self.matrix[own.names.index(own.of[t]), finest.names.index(finest.of[t])] = 1
        self.strength, self.seed = strength, seed
        draw = np.random.default_rng((seed, 7))
        self.chosen = {n: np.sort(draw.permutation(100)[: items or 100]) for n in self.names}
        self.chosen["reward"] = np.sort(draw.permutation(128)[: items or 128])
        self._base = self._whole(np.zeros((1, len(self.groups))))
        self.base_seen = self._seen(dict.fromkeys(self.groups, 0.0))
        self.line = np.linspace(0, 1, 201)
        self.uniform = self.truths([dict.fromkeys(self.groups, float(r)) for r in self.line])
        self.ends = self.uniform[0].tolist(), self.uniform[-1].tolist()

    def _whole(self, ratios):
        x = torch.tensor(ratios @ self.matrix * self.strength, dtype=torch.float32)
        with torch.no_grad():
            a, b, c = self.net(x)
        return (a > 0).double().numpy(), b.double().numpy(), c.exp().double().numpy()

    def truths(self, points):
        """Shape (points, 2): reward and tax."""
        a, b, _ = self._whole(np.array([[p[g] for g in self.groups] for p in points]))
        right = a.reshape(len(a), 5, 100).mean(-1)
        base = self._base[0].reshape(5, 100).mean(-1)
        weights = self.objectives.weights()
        tax = sum(weights[n] * (base[i] - right[:, i]) for i, n in enumerate(self.names))
        return np.stack([b.mean(1), tax], 1)

    def _seen(self, ratios):
        row = np.array([[ratios[g] for g in self.groups]])
        a, b, c = self._whole(row)
        a = a.reshape(5, 100)
        draw = np.random.default_rng([self.seed, *(int(round(v * 1e6)) for v in row[0])])
        reward = b[0] + c[0, 0] * draw.standard_normal(128)
        return {"reward": reward[self.chosen["reward"], None]} | {n: a[i][self.chosen[n]][:, None] for i, n in enumerate(self.names)}

    def scores(self, ratios, split="search"):
        return self.items_scores(ratios)[1]

    def items_scores(self, ratios):
        items = self._seen(ratios)
        return items, self.objectives.scores(items, self.base_seen)

    def volume(self, truths):
        return hypervolume(truths, *self.ends)

    def uniform_at(self, tax):
        """The most reward of a uniform point of at most this true tax."""
        fits = self.uniform[:, 1] <= tax + 1e-12
        return self.uniform[fits, 0].max() if fits.any() else self.uniform[0, 0]

_nets = {}
def _net(aligned):
    if aligned not in _nets:
        file = FOLDER / f"model-{aligned}.pt"
        if not file.exists():
            torch.save(fit(aligned), file)
        _nets[aligned] = torch.load(file, weights_only=False)
    return _nets[aligned]

from benchmarks.front.contestants import CONTESTANTS, Studied, ColdNehvi
from ama_ray.tuning.samplers.nehvi import NehviSampler

class Ours(Studied):
    def __init__(self, land, seed, noise, kernel):
        self.land = land
        super().__init__(land.groups, NehviSampler(land.objectives, seed, moved=land.moved, noise=noise, kernel=kernel), FIRST_RATIOS if not land.__dict__.get("bare") else ())
    def tell(self, ratios, scores):
        trial = self._running[tuple(ratios.values())]
        self._sampler._items[trial.number] = self.land._seen(ratios)
        super().tell(ratios, scores)
    def expected(self, extra=()):
        return self._sampler.expected(self._study, extra)

OURS = {f"{n}+{k}": (n, k) for n in ("fitted", "diagonal", "paired") for k in ("matern", "level")}
OTHERS = ["random", "TPE", "Optuna GP", "qNEHVI", "NSGA-II", "CMA-ES", "uniform"]

def run(space, items, strength, seed, name, trials=40, aligned="rsf"):
    file = FOLDER / "signal" / f"{aligned}_{space}_{items}_{strength}_{name.replace(' ', '-')}_{seed}.json"
    if file.exists() and len(json.loads(file.read_text())['rows']) >= trials: return
    torch.set_num_threads(1)
    land = Modelled(aligned, space, items, strength, seed)
    ours = name in OURS
    c = Ours(land, seed, *OURS[name]) if ours else CONTESTANTS[name](land, seed)
    rows, recommended = [], {}
    start = time.time()
    for number in range(trials):
        ratios = c.ask()
        _, scores = land.items_scores(ratios)
        c.tell(ratios, scores)
        rows.append({"ratios": list(ratios.values()), "seen": [e.value for e in scores.objectives.values()], "se": [e.se for e in scores.objectives.values()]})
        if ours and number + 1 in (20, 40):
            grid = [dict.fromkeys(land.groups, i / 10) for i in range(11)]
            recommended[number + 1] = c.expected(grid)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"rows": rows, "expected": recommended, "seconds": time.time() - start}))

def judge(space, items, strength, seed, name, at, how, aligned="rsf", lands={}):
    file = FOLDER / "signal" / f"{aligned}_{space}_{items}_{strength}_{name.replace(' ', '-')}_{seed}.json"
    if not file.exists(): return None
    got = json.loads(file.read_text())
    if len(got["rows"]) < at: return None
    key = (space, items, strength, seed)
    if key not in lands: lands[key] = Modelled(aligned, space, items, strength, seed)
    land = lands[key]
    rows = got["rows"][:at]
    points = [dict(zip(land.groups, r["ratios"])) for r in rows]
    values = [r["seen"] for r in rows]
    if how != "seen":
        if str(at) not in got["expected"]: return None
        tried, grid = got["expected"][str(at)]
        values = tried
        if how == "expected+uniform":
            values = tried + grid
            points = points + [dict.fromkeys(land.groups, i / 10) for i in range(11)]
    keep = non_dominated(values)
    chosen = [i for i, k in enumerate(keep) if k]
    truth = land.truths(points)
    volume, uniform = land.volume(truth[chosen]), land.volume(land.uniform)
    base, aligned_ = np.array(values[0]), np.array(values[1])
    if name == "qNEHVI" or name == "random" or name in ("TPE", "Optuna GP", "NSGA-II"):
        base, aligned_ = np.array(land.ends[0]), np.array(land.ends[1])
    span = aligned_ - base
    above = [(values[i][0] - base[0]) / span[0] - (values[i][1] - base[1]) / span[1] for i in chosen] if (span > 0).all() else [values[i][0] for i in chosen]
    knee = chosen[int(np.argmax(above))]
    gain = truth[knee, 0] - land.uniform_at(truth[knee, 1])
    return volume, uniform, gain / (land.ends[1][0] - land.ends[0][0]), len(chosen)

def table(space, levels, names, seeds):
    for items, strength in levels:
        land = Modelled("rsf", space, items, strength, 0)
        print(f"\n{space} items {items or 'all'} strength {strength}: true uniform {land.volume(land.uniform):.3f}, box", np.round(np.array(land.ends[1]) - np.array(land.ends[0]), 3).tolist())
        for name in names:
            for how in (("seen", "expected", "expected+uniform") if name in OURS else ("seen",)):
                out = f"{name:18s} {how:17s}"
                for at in (20, 40):
                    got = [g for s in seeds if (g := judge(space, items, strength, s, name, at, how))]
                    if not got: continue
                    ratio = np.array([g[0] / g[1] for g in got]); gain = np.array([g[2] for g in got])
                    out += f" | {at}: n={len(got)} vol/unif med {np.median(ratio):.3f} min {ratio.min():.3f} >=1 {np.mean(ratio >= 1):.0%} knee>unif {np.mean(gain > 0):.0%} med {np.median(gain):+.3f} size {np.mean([g[3] for g in got]):.0f}"
                if "|" in out: print(out)

LEVELS = [(25, 1.0), (25, 0.2), (0, 1.0), (0, 0.2)]

if __name__ == "__main__":
    import argparse
    p = argparse.ArgumentParser()
    p.add_argument("--fit", type=int, default=-1)
    p.add_argument("--space", nargs="*", default=["per-layer"])
    p.add_argument("--levels", nargs="*", default=None)
    p.add_argument("--names", nargs="*", default=list(OURS))
    p.add_argument("--seeds", nargs=2, type=int, default=[0, 3])
    p.add_argument("--minutes", type=float, default=7)
    p.add_argument("--trials", type=int, default=40)
    p.add_argument("--table", action="store_true")
    o = p.parse_args()
    levels = [(int(a.split(":")[0]), float(a.split(":")[1])) for a in o.levels] if o.levels else LEVELS
    seeds = range(*o.seeds)
    if o.fit >= 0:
        fit("rsf", holdout=o.fit)
    elif o.table:
        for space in o.space: table(space, levels, o.names, seeds)
    else:
        end = time.time() + o.minutes * 60
        jobs = [(sp, i, st, s, n) for s in seeds for sp in o.space for i, st in levels for n in o.names]
        jobs = [j for j in jobs if not (FOLDER / "signal" / f"rsf_{j[0]}_{j[1]}_{j[2]}_{j[4].replace(' ', '-')}_{j[3]}.json").exists() or len(json.loads((FOLDER / "signal" / f"rsf_{j[0]}_{j[1]}_{j[2]}_{j[4].replace(' ', '-')}_{j[3]}.json").read_text())["rows"]) < o.trials]
        print(len(jobs), "to do", flush=True)
        def more(pool, running, left):
            while left and len(running) < 2 and time.time() < end:
                j = left.pop(0); running[pool.submit(run, *j, o.trials)] = j
        import concurrent.futures as cf
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            running, left = {}, list(jobs)
            more(pool, running, left)
            while running:
                done, _ = cf.wait(running, return_when=cf.FIRST_COMPLETED)
                for d in done:
                    j = running.pop(d); 
                    try: d.result(); print("done", j, flush=True)
                    except Exception as e: print("FAILED", j, repr(e)[:300], flush=True)
                more(pool, running, left)
        print("left", len(left), flush=True)
        sys.exit(1 if left else 0)
