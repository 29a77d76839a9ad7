{{/*
The bus. Each service is a NATS user of its own; an executor is one user per node, who can name
nothing but its node. With a callout, the registrar lets in the services of nodes. Who may say what is made from the code: files/bus-permissions.json.
*/}}

{{- define "wasmlet.natsHost" -}}
nats.{{ .Release.Namespace }}.svc
{{- end }}

{{/* What the certificate of the bus is for. */}}
{{- define "wasmlet.natsNames" -}}
{{- $host := include "wasmlet.natsHost" . }}
{{- toJson (concat (list $host (printf "*.%s" $host) "localhost") .Values.nats.names) }}
{{- end }}

{{- define "wasmlet.natsUrl" -}}
{{- if .Values.nats.enabled -}}
{{ ternary "nats" "tls" (eq .Values.nats.tls "off") }}://{{ include "wasmlet.natsHost" . }}:{{ int .Values.nats.port }}
{{- else -}}
{{ required "nats.external.url is needed where nats.enabled is false" .Values.nats.external.url }}
{{- end }}
{{- end }}

{{- define "wasmlet.passwordSecret" -}}
{{- if .Values.nats.enabled -}}
nats-passwords
{{- else -}}
{{ required "nats.external.existingSecret is needed where nats.enabled is false" .Values.nats.external.existingSecret }}
{{- end }}
{{- end }}

{{/* The Secret whose ca.crt the services trust; nothing where the bus speaks no TLS. */}}
{{- define "wasmlet.caSecret" -}}
{{- if .Values.nats.enabled }}
{{- if ne .Values.nats.tls "off" }}nats-tls{{ end }}
{{- else }}
{{- .Values.nats.external.caSecret }}
{{- end }}
{{- end }}

{{/* The users of the bus without their passwords: key in the Secret, name, permissions. */}}
{{- define "wasmlet.busUsers" -}}
{{- $table := .Files.Get "files/bus-permissions.json" | fromJson }}
{{- $users := list }}
{{- range $table.services }}
{{- if not (and $.Values.nats.callout.issuer (eq .user "log-server")) }}
{{- $users = append $users (set . "key" .user) }}
{{- end }}
{{- end }}
{{- if not .Values.nats.callout.issuer }}
{{- range $host := include "wasmlet.hosts" . | fromJsonArray }}
{{- $token := printf "%s%s" $.Values.nodePool.nodeNamePrefix $host | replace "." "_" }}
{{- $user := $table.executor | toJson | replace "{node}" $token | fromJson }}
{{- $users = append $users (set $user "key" (printf "executor.%s" $host)) }}
{{- end }}
{{- end }}
{{- toJson $users }}
{{- end }}
