"""The `wagi` runtime: WASI 0.1 modules as CGI handlers."""
