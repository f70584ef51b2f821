"""What came of a run: medians and spread, as text, as rows for `docs/spec.md`, and as JSON.

Owns how rounds become one figure. A peer that could not do a scenario has `cannot` in the place of figures.
"""

import statistics

from measure import LOADS, PAIRS

# scenario: (words of docs/spec.md, what is wanted of CPU time: so much of whose). `better` is the cheaper of nginx and HAProxy.
RATIOS = {
    "keep64": ("HTTP/1.1 kept alive, 64 connections, 128 B", {"nginx": 0.85, "haproxy": 0.65}),
    "keep1000": ("the same, 1,000 connections", {"nginx": 0.85}),
    "close": ("a connection per request", {"nginx": 0.85}),
    "10k": ("10 KiB bodies", {"better": 0.9}),
    "1m": ("1 MiB bodies", {"better": 0.9}),
    "https": ("HTTPS kept alive, 128 B", {"nginx": 0.85}),
    "https1m": ("HTTPS, 1 MiB bodies", {"nginx": 0.85}),
    "handshake": ("full TLS handshakes, P-256, with a request each", {"nginx": 0.5}),
    "h2": ("HTTP/2, 100 streams on 8 connections, 128 B", {"nginx": 0.85}),
    "echo": ("TCP, 128 B echoes", {"nginx": 1.0}),
    "echo1m": ("TCP, 1 MiB echoes", {"nginx": 1.0}),
}
# scenario: (words of docs/spec.md, the figure, what it may be at most, in what)
MOST = {
    "idle": ("resident memory of an idle kept-alive connection", "idle_bytes", 0.6, "KiB"),
    "idle-tls": ("of an idle TLS connection", "idle_bytes", 7, "KiB"),
    "idle-ws": ("of a WebSocket pair", "idle_bytes", 2.5, "KiB"),
    "idle-tcp": ("of a TCP pair", "idle_bytes", 2.5, "KiB"),
    "syscalls": ("system calls per sequential kept-alive request", "syscalls", 6, ""),
}
# scenario: (words of docs/spec.md, what it may cost at most over the first of its pair)
GROWTH = {
    "two": ("CPU time per request with two threads over one", 1.08),
    "many": ("the same with a hundred targets over two", 1.05),
}
CALLED = {"nginx": "nginx", "haproxy": "HAProxy", "better": "the better"}


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def summarise(rounds):
    """Median, least and most over the rounds of everything that is a number."""
    good = [r for r in rounds if "cannot" not in r]
    if not good:
        return rounds[-1] if rounds else {"cannot": "not measured"}
    out = {}
    for key, value in good[0].items():
        out[key] = spread([r[key] for r in good]) if isinstance(value, (int, float)) else good[-1][key]
    return out


def over(numerators, denominators):
    """Ratios of CPU time round by round: what disturbs a round disturbs both."""
    pairs = zip(numerators, denominators)
    each = [a["cpu_us"] / b["cpu_us"] for a, b in pairs if a.get("cpu_us") and b.get("cpu_us")]
    return spread(each) if each else None


def summary(rounds, peers):
    out = {}
    for scenario, by_peer in rounds.items():
        out[scenario] = {"peers": {peer: summarise(by_peer[peer]) for peer in peers}}
        if scenario in LOADS:
            ratios = {peer: over(by_peer["evenkeel"], by_peer[peer]) for peer in peers if peer != "evenkeel"}
            out[scenario]["ratios"] = {peer: ratio for peer, ratio in ratios.items() if ratio}
    for first, other in PAIRS.values():
        if first in rounds and other in rounds:
            ratios = {peer: over(rounds[other][peer], rounds[first][peer]) for peer in peers}
            out[other]["over_first"] = {peer: ratio for peer, ratio in ratios.items() if ratio}
    return out


def show(found, peers):
    for scenario, result in found.items():
        print(f"\n{scenario}")
        for peer in peers:
            r = result["peers"][peer]
            if "cannot" in r:
                print(f"  {peer:9} cannot: {r['cannot']}")
            elif scenario in LOADS:
                c = r["cpu_us"]
                print(
                    f"  {peer:9} {r['requests_per_s']['median']:9.0f} req/s  {c['median']:8.2f} µs CPU "
                    f"({c['least']:.2f}–{c['most']:.2f})  p50 {r['p50_us']['median']:.0f}  p99 {r['p99_us']['median']:.0f}  "
                    f"p99.9 {r['p999_us']['median']:.0f} µs  errors {r['errors']['most']:.0f}"
                )
            elif "idle_bytes" in r:
                print(f"  {peer:9} {r['idle_bytes']['median'] / 1024:6.2f} KiB each")
            else:
                print(f"  {peer:9} {r['syscalls']['median']:6.2f} a request  {r['which']}")
        for peer, ratio in result.get("ratios", {}).items():
            print(f"  evenkeel / {peer}: {ratio['median']:.3f} ({ratio['least']:.3f}–{ratio['most']:.3f}) of its CPU time")
        first = next((first for first, other in PAIRS.values() if other == scenario), None)
        for peer, ratio in result.get("over_first", {}).items():
            print(f"  {peer}: a request costs {ratio['median']:.3f} ({ratio['least']:.3f}–{ratio['most']:.3f}) of what it costs in `{first}`")


def cell(scenario, result, peer):
    """How Evenkeel stands to a peer, as docs/spec.md says it."""
    r, own = result["peers"].get(peer), result["peers"]["evenkeel"]
    if r is None:
        return ""
    if "cannot" in own:
        return f"cannot: {own['cannot']}"
    if "cannot" in r:
        return "it cannot"
    if scenario in LOADS:
        ratio = result["ratios"].get(peer)
        return f"{ratio['median']:.2f} ({ratio['least']:.2f}–{ratio['most']:.2f})" if ratio else ""
    if "idle_bytes" in r:
        return f"{own['idle_bytes']['median'] / 1024:.2f} KiB against {r['idle_bytes']['median'] / 1024:.2f}"
    return f"{own['syscalls']['median']:.2f} against {r['syscalls']['median']:.2f}"


def verdict(judged):
    """What is shown: nothing where it cannot be said of a part of what is wanted."""
    return "" if None in judged or not judged else "yes" if all(judged) else "MISSED"


def within(result, wanted):
    """Whether each ratio that is wanted is there; `None` for what was not measured."""
    if "cannot" in result["peers"]["evenkeel"]:
        return [False]
    medians = {peer: ratio["median"] for peer, ratio in result["ratios"].items()}
    if {"nginx", "haproxy"} <= medians.keys():
        # Of the cheaper one it is the greater part.
        medians["better"] = max(medians["nginx"], medians["haproxy"])
    return [medians[who] <= most if who in medians else None for who, most in wanted.items()]


def rows(found, peers):
    """The rows of the table in docs/spec.md, "Speed", and whether each shows what is wanted, by its median."""
    others = [peer for peer in peers if peer != "evenkeel"]
    out = []
    for scenario, (words, wanted) in RATIOS.items():
        if scenario in found:
            told = ", ".join(f"{most} × {CALLED[who]}" for who, most in wanted.items())
            cells = [cell(scenario, found[scenario], peer) for peer in others]
            out.append([words, told, *cells, verdict(within(found[scenario], wanted))])
    if "rate" in found:
        r = found["rate"]["peers"]
        keys = ("p50_us", "p99_us", "p999_us")

        def latencies(peer):
            return "cannot" if "cannot" in r[peer] else "; ".join(f"{r[peer][key]['median'] / 1000:.2f}" for key in keys)

        cells = [f"{latencies('evenkeel')} against {latencies(peer)}" for peer in others]
        known = "nginx" in r and not any("cannot" in r[peer] for peer in ("evenkeel", "nginx"))
        judged = [r["evenkeel"][key]["median"] <= r["nginx"][key]["median"] for key in keys[1:]] if known else []
        out.append(["p50; p99; p99.9 at 60 % of nginx's rate, ms", "p99 and p99.9 not above nginx's", *cells, verdict(judged)])
    for scenario, (words, most) in GROWTH.items():
        if "evenkeel" in found.get(scenario, {}).get("over_first", {}):
            ratios = {peer: ratio["median"] for peer, ratio in found[scenario]["over_first"].items()}
            cells = [f"{ratios['evenkeel']:.2f} against " + (f"{ratios[p]:.2f}" if p in ratios else "cannot") for p in others]
            out.append([words, f"under {most}", *cells, verdict([ratios["evenkeel"] < most])])
    for scenario, (words, key, most, unit) in MOST.items():
        if scenario in found:
            own = found[scenario]["peers"]["evenkeel"]
            # Counting takes in a few calls beyond those of the requests.
            scale, slack = (1024, 0) if unit else (1, 0.05)
            judged = [key in own and own[key]["median"] / scale <= most + slack]
            cells = [cell(scenario, found[scenario], peer) for peer in others]
            out.append([words, f"{most} {unit}".strip(), *cells, verdict(judged)])
    print("\nFor docs/spec.md:\n")
    print("| " + " | ".join(["scenario", "wanted", *(f"over {peer}" for peer in others), "shown"]) + " |")
    print("|" + " --- |" * (len(others) + 3))
    for row in out:
        print("| " + " | ".join(row) + " |")
    missed = [row[0] for row in out if row[-1] == "MISSED"]
    print(f"\nmissed: {'; '.join(missed) if missed else 'nothing'}")
