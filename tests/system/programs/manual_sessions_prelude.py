import json, os, sys, threading, time, warnings
import rxinfer_py as rx

model = rx.local_level(level_var=1000.0, obs_var=10_000.0)


def infer(**more):
    return rx.infer(**{"model": model, "data": {"y": rx.nile()}, **more})


def tell(*values):
    print(json.dumps(values, default=str))
