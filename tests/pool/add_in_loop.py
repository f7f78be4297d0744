"""Run as a program: add the submissions of some folders to a pool, one after the other."""

import sys

from pool_data import Verdict

from bipstudy.loaders import load_submission
from bipstudy.pool import Pool

if __name__ == "__main__":
    pool = Pool(sys.argv[1])
    loaded = [load_submission(folder) for folder in sys.argv[2:]]
    print("ready", flush=True)
    for each in loaded:
        pool.add(each, Verdict())
    print("done", flush=True)
