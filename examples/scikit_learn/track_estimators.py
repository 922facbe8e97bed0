"""Logs what scikit-learn's estimators do, without a line changed in scikit-learn.

Run it with `pip install plaintally scikit-learn`. Nothing leaves: there is no endpoint.
"""

from collections.abc import Mapping

from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import train_test_split

from plaintally import Choice, Contract, Description, ErrorType, Integer, Label, Telemetry

ESTIMATORS = (LinearRegression, Ridge, RandomForestRegressor)
NAMES = [estimator.__name__ for estimator in ESTIMATORS]

CONTRACT = Contract(
    labels={
        "fit": Label(
            {
                "estimator": Choice(*NAMES, purpose="which estimator"),
                "data": Description(names=["X", "y"], purpose="types and shapes"),
                "trees": Integer(1, 100_000, purpose="how many trees a forest has"),
                "error": ErrorType(purpose="what went wrong"),
            },
            purpose="to see which estimators are slow, and with which data",
        ),
        "predict": Label(
            {"estimator": Choice(*NAMES), "data": Description(names=["X"]), "error": ErrorType()}
        ),
    }
)

telemetry = Telemetry("scikit_learn_study", contract=CONTRACT)


def describe_fit(estimator: object, X: object, y: object) -> Mapping[str, object]:  # noqa: N803  # their names
    """What is logged of a fit."""
    forest = (
        {"trees": estimator.n_estimators} if isinstance(estimator, RandomForestRegressor) else {}
    )
    return {"estimator": type(estimator).__name__, "data": {"X": X, "y": y}, **forest}


def describe_predict(estimator: object, X: object) -> Mapping[str, object]:  # noqa: N803
    """What is logged of a prediction."""
    return {"estimator": type(estimator).__name__, "data": {"X": X}}


def main() -> None:
    """Track the estimators, use them, and show what was logged."""
    for estimator in ESTIMATORS:
        estimator.fit = telemetry.track("fit", context=describe_fit)(estimator.fit)
        estimator.predict = telemetry.track("predict", context=describe_predict)(estimator.predict)
    X, y = load_diabetes(return_X_y=True, as_frame=True)  # noqa: N806
    train, test, train_y, _ = train_test_split(X, y, random_state=0)
    for model in (
        LinearRegression(),
        Ridge(),
        RandomForestRegressor(n_estimators=50, random_state=0),
    ):
        model.fit(train, train_y).predict(test)
    try:
        Ridge().fit(train, train_y[:-1])
    except ValueError as error:
        print(f"One fit fails, as it should: {error}\n")
    if telemetry.session is not None:
        print(telemetry.session.summarize())
        print("\nWhat would leave, if there were an endpoint and you asked for it:\n")
        print(telemetry.preview())


if __name__ == "__main__":
    main()
