{{/* The Nodes of the machines that the pool's selector finds now. */}}
{{- define "wasmlet.machines" -}}
{{- $machines := list }}
{{- range $node := (lookup "v1" "Node" "" "").items }}
{{- $fits := true }}
{{- range $key, $value := $.Values.nodePool.nodeSelector }}
{{- if ne (get $node.metadata.labels $key) $value }}{{ $fits = false }}{{ end }}
{{- end }}
{{- if $fits }}{{ $machines = append $machines $node }}{{ end }}
{{- end }}
{{- toJson $machines }}
{{- end }}

{{/* The machines that may be nodes: those that are listed, else those that the selector finds now. */}}
{{- define "wasmlet.hosts" -}}
{{- $hosts := .Values.nodePool.hosts | default list }}
{{- if not $hosts }}
{{- range include "wasmlet.machines" . | fromJsonArray }}
{{- $hosts = append $hosts .metadata.name }}
{{- end }}
{{- end }}
{{- toJson (sortAlpha $hosts) }}
{{- end }}
