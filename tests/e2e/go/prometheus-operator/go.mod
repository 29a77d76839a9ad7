// The Prometheus operator's definitions of PodMonitor and PrometheusRule, for the chart's tests.
// Nothing of it is built: its module holds them as YAML.
module wasmlet.test/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.92.0
