import sys
from plaintally.cli import main

sys.argv[1:] = ARGUMENTS
try:
    main.main()
except SystemExit:
    pass
loaded = [name for name in sys.modules if name.startswith("plaintally_author")]
print("loaded", *sorted(loaded))
