"""What the database costs when very many conversions are queued, on both databases."""
import subprocess
from pathlib import Path

from measure import options, row
from servers import MariaDB


def measure_claims(folder: Path) -> None:
    """What a claim costs the database when many conversions are queued, and when few are."""
    program = "bench/claim-bench"
    subprocess.run(["ninja", "-C", options.build, program], check=True, stdout=subprocess.DEVNULL)
    many, rounds = (1000, 50) if options.quick else (100_000, 300)
    few = rounds + 100  # each round takes one

    def times(url: str, queued: int) -> dict:
        output = subprocess.run([options.build / program, url, str(queued), str(rounds)], check=True,
                                capture_output=True, text=True).stdout
        return {line.split()[0]: [float(cell) for cell in line.split()[1:]]
                for line in output.splitlines()}

    with MariaDB(folder / "mariadb") as server:
        for name in ("many", "few"):
            server.execute(f"CREATE DATABASE {name}")
        for database, urls in (
                ("SQLite", [f"sqlite:{folder / 'many.db'}", f"sqlite:{folder / 'few.db'}"]),
                ("MariaDB", [server.url("many"), server.url("few")])):
            ours, theirs = times(urls[0], many), times(urls[1], few)
            for what, goal in (("due", ""), ("claim", "< 1 ms"), ("renew", ""), ("finish", ""),
                               ("list", ""), ("short-list", "")):
                median, most, commit, _ = ours[what]
                row(f"{database}, {many} queued: {what}, median",
                    f"{median:.3f} ms + {commit:.3f} COMMIT (99th {most:.1f})",
                    f"{theirs[what][0]:.3f} ms with {few} queued",
                    f"{median / theirs[what][0]:.2f}", goal)
