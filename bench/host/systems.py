"""The measured systems: pinned requirements, module in `peers/`, and loopback settings."""

from typing import NamedTuple


class System(NamedTuple):
    """One telemetry system.

    Attributes:
        name: as on the registry.
        requirements: what is installed into its environment, pinned; nothing for what the
            environment has anyway.
        module: the module in `peers/` that sends one event when it is imported, or "" for a host
            without telemetry.
        pointed: how it was told to send to loopback.
        variables: environment variables of its hosts; `{url}` and `{certificates}` are filled in.
        environment: whose environment it runs in, where that is not its own.
        no_tls: why it cannot be measured over TLS, or "".
    """

    name: str
    requirements: tuple[str, ...] = ()
    module: str = ""
    pointed: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    environment: str = ""
    no_tls: str = ""


OURS = System("plaintally", (), "with_plaintally", "`endpoint` of the handle")
BARE = System("nothing", (), "with_nothing", environment="plaintally")
LOG = System(
    "plaintally, session shared",
    (),
    "with_plaintally_log",
    "`endpoint` of the handle",
    (),
    "libraries",
)
STANDARD = System(
    "standard library", (), "with_standard_library", "address in the code", (), "plaintally"
)
LIBRARIES = System("libraries", ("numpy==2.4.0", "pandas==2.3.3"))

PEERS = (
    System("migas", ("migas==0.4.0",), "with_migas", "`endpoint` of `setup`"),
    System(
        "prometheus_client",
        ("prometheus_client==0.26.0",),
        "with_prometheus",
        "address of the gateway",
    ),
    System("scarf-sdk", ("scarf-sdk==0.2.1",), "with_scarf", "`endpoint_url`"),
    System(
        "popylar",
        ("popylar==0.2",),
        "with_popylar",
        "address is fixed: through `HTTP_PROXY`",
        (("HTTP_PROXY", "{url}"),),
        no_tls="speaks plain http only",
    ),
    System(
        "etelemetry",
        ("etelemetry==0.3.1",),
        "with_etelemetry",
        "address is fixed: constant replaced",
    ),
    System(
        "iterative-telemetry",
        ("iterative-telemetry==0.0.10",),
        "with_iterative",
        "`url` of the logger",
    ),
    System(
        "access-py-telemetry",
        ("access-py-telemetry==0.3.0",),
        "with_access",
        "`server_url` of its handler",
    ),
    System("glean-sdk", ("glean-sdk==71.0.0",), "with_glean", "`server_endpoint`"),
    System("sentry-sdk", ("sentry-sdk==2.75.0",), "with_sentry", "`dsn`"),
    System("posthog", ("posthog==7.91.1",), "with_posthog", "`host`"),
    System(
        "opentelemetry-sdk",
        ("opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2"),
        "with_opentelemetry",
        "`OTEL_EXPORTER_OTLP_ENDPOINT`",
        (
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "{url}"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "{certificates}"),
        ),
    ),
    System(
        "segment-analytics-python", ("segment-analytics-python==2.4.0",), "with_segment", "`host`"
    ),
    System("mixpanel", ("mixpanel==5.4.1",), "with_mixpanel", "`events_url` of its consumer"),
    System(
        "huggingface_hub",
        ("huggingface_hub==2.4.0",),
        "with_huggingface",
        "`HF_ENDPOINT`",
        (("HF_ENDPOINT", "{url}"),),
    ),
)
