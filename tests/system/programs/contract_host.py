from plaintally import Contract, Telemetry
from plaintally.contract import Choice, Description, ErrorType, Flag
from plaintally.contract import Integer, Label, Name, Real, Source

telemetry = Telemetry(
    "hostpkg",
    version="2.4.1",
    endpoint="https://telemetry.example.org/v1/projects/hostpkg/databases/(default)/documents",
    privacy_url="https://hostpkg.example.org/privacy",
    issues_url="https://github.com/example/hostpkg/issues",
    contract=Contract(
        counter=["package_version"],
        purpose="to know which releases to support",
        controller="The hostpkg project",
        contact="privacy@hostpkg.example.org",
        labels={
            "inference": Label(
                purpose="to see which models are used, and to help when one fails",
                context={
                    "model_name": Choice(
                        "local_level", "local_linear_trend", purpose="to know what to optimise"
                    ),
                    "iterations": Integer(0, 1_000_000, purpose="to find good defaults"),
                    "tolerance": Real(0.0, 1.0, purpose="to find good defaults"),
                    "solver": Name(
                        r"[a-z]+(-v\d|\|x)", max_length=20, purpose="to know what to support"
                    ),
                    "free_energy": Flag(purpose="to know what to support"),
                    "data": Description(names=["y", "time"], purpose="to see how large data are"),
                    "model": Source(20_000, purpose="to help when a model fails"),
                    "error": ErrorType(purpose="to find what fails"),
                },
            ),
            "plot": Label(purpose="to see whether plots are used", retention_days=30),
        },
    ),
)
telemetry.count_import()
