{{/* A folder of the executor: lost with its pod, or the machine's own. */}}
{{- define "wasmlet.diskVolume" -}}
- name: {{ .name }}
  {{- if eq .of.kind "hostPath" }}
  hostPath: {path: {{ .of.hostPath }}, type: DirectoryOrCreate}
  {{- else }}
  emptyDir: {sizeLimit: {{ .of.sizeLimit }}}
  {{- end }}
{{- end }}
