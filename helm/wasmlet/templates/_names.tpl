{{/*
Names and labels. Objects are named after their service, because an installation has its namespace
to itself and a cluster has one installation: roles, RuntimeClasses and Nodes are the cluster's.
*/}}

{{- define "wasmlet.selector" -}}
app.kubernetes.io/name: {{ .service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "wasmlet.labels" -}}
{{ include "wasmlet.selector" . }}
app.kubernetes.io/part-of: wasmlet
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* A value as text: Helm reads whole numbers as floats and would write 1e+06. */}}
{{- define "wasmlet.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* Two listeners of one pod on one port: the second would never start. */}}
{{- define "wasmlet.onePod" -}}
{{- $ports := values . }}
{{- if ne (len ($ports | uniq)) (len $ports) }}
{{- fail (printf "%s are ports of one pod: give each another" (keys . | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}

{{- define "wasmlet.image" -}}
{{- $image := .root.Values.image }}
{{- if .of.digest -}}
{{ $image.registry }}/{{ .of.image }}@{{ .of.digest }}
{{- else -}}
{{ $image.registry }}/{{ .of.image }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* Whether the registrar approves certificates of nodes; nothing where it does not. */}}
{{- define "wasmlet.approves" -}}
{{- if or (eq .Values.logServer.certificates "csr") .Values.nodePool.machinesOutside }}yes{{ end }}
{{- end }}
