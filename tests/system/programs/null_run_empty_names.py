del ways["decorated now"]
modules = dict(sys.modules)
for module in [modules[name] for name in modules if name.partition(".")[0] == "plaintally"]:
    for name in set(vars(module)) - {"__builtins__"}:
        setattr(module, name, None)
sys.meta_path = None
