import json, pyarrow as pa
from plaintally.describe import describe


class Extension(pa.ExtensionType):
    def __init__(self):
        super().__init__(pa.int64(), "SECRET")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        print("CALLED")
        return cls()


column = pa.ExtensionArray.from_storage(Extension(), pa.array([1]))
table = pa.table({"a": column})
print(json.dumps(describe(column)))
del column
print(json.dumps(describe(table)))
