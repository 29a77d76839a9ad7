{{- define "wasmlet.natsConfig" -}}
{{- $nats := .root.Values.nats }}
{{- $config := dict
  "port" (int $nats.port)
  "http_port" (int $nats.monitorPort)
  "max_payload" 1048576
  "authorization" (dict "users" .users)
}}
{{- with $nats.callout.issuer }}
{{- $listed := list }}
{{- range $.users }}{{ $listed = append $listed .user }}{{ end }}
{{- $callout := dict "issuer" . "auth_users" $listed }}
{{- /* After 2 s the server sends its first PING, which clients expect after the verdict only. */}}
{{- $_ := set $config "authorization" (dict "users" $.users "timeout" 1.5 "auth_callout" $callout) }}
{{- end }}
{{- $tls := dict "cert_file" "/etc/nats-tls/tls.crt" "key_file" "/etc/nats-tls/tls.key" }}
{{- if ne $nats.tls "off" }}
{{- $_ := set $config "tls" $tls }}
{{- end }}
{{- if gt (int $nats.replicas) 1 }}
{{- $host := include "wasmlet.natsHost" .root }}
{{- $routes := list }}
{{- range $number := until (int $nats.replicas) }}
{{- $route := printf "nats-route://route:%s@nats-%d.%s:%d" $.route $number $host (int $nats.routePort) }}
{{- $routes = append $routes $route }}
{{- end }}
{{- $cluster := dict
  "name" "wasmlet"
  "port" (int $nats.routePort)
  "authorization" (dict "user" "route" "password" .route)
  "routes" $routes
  "no_advertise" true
}}
{{- if ne $nats.tls "off" }}
{{- $ca := dict "ca_file" "/etc/nats-tls/ca.crt" "verify" true }}
{{- $_ := set $cluster "tls" (merge $ca $tls) }}
{{- end }}
{{- $_ := set $config "cluster" $cluster }}
{{- end }}
{{- toRawJson $config }} {{- /* toJson would write ">" as an escape that nats-server does not read */}}
{{- end }}
