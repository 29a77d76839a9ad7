// cert-manager's definition of Certificate, for the chart's tests.
// Nothing of it is built: its module holds it as YAML.
module wasmlet.test/cert-manager

go 1.26.0

require github.com/cert-manager/cert-manager v1.21.2
