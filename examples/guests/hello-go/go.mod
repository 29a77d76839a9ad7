module wasmlet.dev/examples/hello-go

go 1.22
