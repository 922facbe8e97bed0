import sys
import plaintally

before = set(sys.modules)
import plaintally.describe as d

new = set(sys.modules) - before
print(*sorted(name for name in new if not name.startswith("plaintally.describe")))
import numpy, pandas, polars, xarray, pyarrow, scipy.sparse, networkx, PIL.Image


class Lie:
    __module__ = "torch.nn"


values = [1, [Lie()], Lie(), numpy.zeros(1)]
values += [pandas.DataFrame({"a": [1]}), polars.DataFrame({"a": [1]})]
values += [xarray.DataArray([1]), pyarrow.table({"a": [1]})]
values += [scipy.sparse.csr_array((1, 1)), networkx.Graph()]
values += [PIL.Image.new("L", (1, 1))]
before = set(sys.modules)
for value in values:
    d.is_description(d.keep_names(d.describe_data({"a": value}), frozenset()))
    d.plain(value)
print(*sorted(set(sys.modules) - before))
