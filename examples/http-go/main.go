// An HTTP service for wasmlet in Go: says hello, and sends back what is posted to /echo.
//
// Stock Go makes no component, but a WASI 0.1 module: the runtime `wagi` runs it for each request,
// and Go's own CGI server takes it from there.
package main

import (
	"io"
	"log"
	"net/http"
	"net/http/cgi"
)

func main() {
	http.HandleFunc("GET /{$}", func(answer http.ResponseWriter, _ *http.Request) {
		io.WriteString(answer, "hello from Go\n")
	})
	http.HandleFunc("POST /echo", func(answer http.ResponseWriter, request *http.Request) {
		answer.Header().Set("content-type", "application/octet-stream")
		io.Copy(answer, request.Body)
	})
	if err := cgi.Serve(nil); err != nil {
		log.Fatal(err)
	}
}
