from plaintally import Choice, Contract, Description, ErrorType, Flag, Integer
from plaintally import Label, Name, Real, Source, Telemetry

CONTRACT = Contract(
    counter=["package_version", "python_version"],
    purpose="to know which releases are in use",
    labels={
        "fit": Label(
            {
                "solver": Choice("newton", "bfgs"),
                "steps": Integer(0, 100),
                "verbose": Flag(),
                "tolerance": Real(0.0, 1.0),
                "plugin": Name("[a-z]+"),
                "data": Description(names=["y"]),
                "formula": Source(),
                "error": ErrorType(),
            },
            purpose="to see which solvers are used",
            columns={"Solver": "solver"},
        )
    },
)
