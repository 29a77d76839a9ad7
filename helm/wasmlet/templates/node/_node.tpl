{{/* A folder of the executor: lost with its pod, or the machine's own. */}}
{{- define "wasmlet.diskVolume" -}}
- name: {{ .name }}
  {{- if eq .of.kind "hostPath" }}
  hostPath: {path: {{ .of.hostPath }}, type: DirectoryOrCreate}
  {{- else }}
  emptyDir: {sizeLimit: {{ .of.sizeLimit }}}
  {{- end }}
{{- end }}

{{/* What the profile `node` needs, each by name; never `privileged`. */}}
{{- define "wasmlet.mountingSecurity" -}}
runAsNonRoot: false
runAsUser: 0
runAsGroup: 0
readOnlyRootFilesystem: true
allowPrivilegeEscalation: true # the API refuses SYS_ADMIN without it
capabilities:
  drop: [ALL]
  add:
    - SYS_ADMIN # a mount namespace per container
    - SETPCAP # takes the capabilities from each container, for good
# The runtimes' own profiles refuse mounts whatever the capabilities; each guest's process has the
# executor's filter.
seccompProfile:
  type: Unconfined
appArmorProfile:
  type: Unconfined
{{- end }}
