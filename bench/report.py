"""What came of a run: medians and spread, as text, as rows for `docs/spec.md`, and as JSON.

Owns how rounds become one figure. A peer that could not do a scenario has `cannot` in the place of figures.
"""

import statistics

from measure import LOADS

# scenario: (words of docs/spec.md, what is wanted)
WANTED = {
    "keep64": ("HTTP/1.1 kept alive, 64 connections, 128 B", "0.85 × nginx, 0.65 × HAProxy"),
    "keep1000": ("the same, 1,000 connections", "0.85 × nginx"),
    "close": ("a connection per request", "0.85 × nginx"),
    "10k": ("10 KiB bodies", "0.9 × the better"),
    "1m": ("1 MiB bodies", "0.9 × the better"),
    "https": ("HTTPS kept alive, 128 B", "0.85 × nginx"),
    "https1m": ("HTTPS, 1 MiB bodies", "0.85 × nginx"),
    "handshake": ("full TLS handshakes, P-256, with a request each", "0.5 × nginx"),
    "h2": ("HTTP/2, 100 streams on 8 connections, 128 B", "0.85 × nginx"),
    "echo": ("TCP, 128 B echoes", "1.0 × nginx"),
    "echo1m": ("TCP, 1 MiB echoes", "1.0 × nginx"),
    "idle": ("resident memory of an idle kept-alive connection", "0.6 KiB"),
    "idle-tls": ("of an idle TLS connection", "7 KiB"),
    "idle-ws": ("of a WebSocket pair", "2.5 KiB"),
    "idle-tcp": ("of a TCP pair", "2.5 KiB"),
    "syscalls": ("system calls per sequential kept-alive request", "6"),
}


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
    if "one" in rounds and "two" in rounds:
        ratios = {peer: over(rounds["two"][peer], rounds["one"][peer]) for peer in peers}
        out["two"]["over_one"] = {peer: ratio for peer, ratio in ratios.items() if ratio}
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
        for peer, ratio in result.get("over_one", {}).items():
            print(f"  {peer}: a request costs {ratio['median']:.3f} ({ratio['least']:.3f}–{ratio['most']:.3f}) of what it costs with one thread")


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


def rows(found, peers):
    """The rows of the table in docs/spec.md, "Speed"."""
    others = [peer for peer in peers if peer != "evenkeel"]
    print("\nFor docs/spec.md:\n")
    print("| scenario | wanted | " + " | ".join(f"over {peer}" for peer in others) + " |")
    print("| --- | --- |" + " --- |" * len(others))
    for scenario, (words, wanted) in WANTED.items():
        if scenario in found:
            print(f"| {words} | {wanted} | " + " | ".join(cell(scenario, found[scenario], p) for p in others) + " |")
    if "rate" in found:
        def latencies(peer):
            r = found["rate"]["peers"][peer]
            if "cannot" in r:
                return "cannot"
            return "; ".join(f"{r[key]['median'] / 1000:.2f}" for key in ("p50_us", "p99_us", "p999_us"))

        cells = " | ".join(f"{latencies('evenkeel')} against {latencies(peer)}" for peer in others)
        print(f"| p50; p99; p99.9 at 60 % of nginx's rate, ms | not above nginx's | {cells} |")
    if "two" in found and "evenkeel" in found["two"].get("over_one", {}):
        def threads(peer):
            ratio = found["two"]["over_one"].get(peer)
            return f"{ratio['median']:.2f}" if ratio else "cannot"

        cells = " | ".join(f"{threads('evenkeel')} against {threads(peer)}" for peer in others)
        print(f"| CPU time per request with two threads over one | under 1.08 | {cells} |")
