"""One comparison by reladiff, run by the Python of its own environment: `reladiff_peer.py joindiff|hashdiff FILE`."""

import json
import resource
import sys
import time

import duckdb
import reladiff  # type: ignore[import-not-found]  # it lives in an environment of its own

way, file = sys.argv[1:]
with duckdb.connect(file, read_only=True) as connection:
    described = connection.execute("describe legacy.trips").fetchall()
names = tuple(row[0] for row in described if row[0] != "id")
began = time.perf_counter()
algorithm = {"joindiff": reladiff.Algorithm.JOINDIFF, "hashdiff": reladiff.Algorithm.HASHDIFF}[way]
database = reladiff.connect(f"duckdb://{file}")
legacy, candidate = (
    reladiff.TableSegment(database, (side, "trips"), ("id",), extra_columns=names)
    for side in ("legacy", "candidate")
)
lines = list(reladiff.diff_tables(legacy, candidate, algorithm=algorithm))
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
sys.stdout.write(json.dumps({"seconds": seconds, "peak_gb": peak, "found": f"{len(lines)} lines"}) + "\n")
