"""OpenTelemetry with OTLP over HTTP: one span through the batch processor."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("bench")
with tracer.start_as_current_span("bench_import"):
    pass
watch = tracer.start_as_current_span("fit")
flush = provider.force_flush


def handle(error):
    """Record an exception that was handled on a span."""
    with tracer.start_as_current_span("recovered") as span:
        span.record_exception(error)


def calls():
    """A span, and a counter with a histogram."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    meter = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]).get_meter("bench")
    total = meter.create_counter("fits")
    seconds = meter.create_histogram("seconds")

    def measure():
        total.add(1, {"solver": "exact"})
        seconds.record(0.5)

    def span():
        with tracer.start_as_current_span("fit") as current:
            current.set_attribute("steps", 3)

    return {"counter and histogram": measure, "span, in batches": span}
