module wasmlet.example/http-go

go 1.22
