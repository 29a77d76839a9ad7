{{/* A folder of the executor: lost with its pod, or the machine's own. */}}
{{- define "wasmlet.diskVolume" -}}
- name: {{ .name }}
  {{- if eq .of.kind "hostPath" }}
  hostPath: {path: {{ .of.hostPath }}, type: DirectoryOrCreate}
  {{- else }}
  emptyDir: {sizeLimit: {{ .of.sizeLimit }}}
  {{- end }}
{{- end }}

{{/* A kubelet makes a machine's folder for root, and fsGroup does not reach it: it is given to the
executor's user. The profile `node` runs as root. */}}
{{- define "wasmlet.folders" -}}
{{- $mounts := list }}
{{- range $name, $of := dict "data" .Values.wasmExecutor.storage "logs" .Values.wasmExecutor.logs }}
{{- if eq $of.kind "hostPath" }}
{{- $mounts = append $mounts (dict "name" $name "mountPath" $of.hostPath) }}
{{- end }}
{{- end }}
{{- if and $mounts (ne .Values.privilegeProfile "node") -}}
initContainers:
  - name: folders
    image: {{ include "wasmlet.image" (dict "root" . "of" .Values.wasmExecutor) }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [chown, "65532:65532"]
    args:
      {{- range $mounts }}
      - {{ .mountPath | quote }}
      {{- end }}
    resources:
      requests: {cpu: 50m, memory: 32Mi}
      limits: {cpu: 50m, memory: 32Mi}
    securityContext:
      runAsNonRoot: false
      runAsUser: 0
      runAsGroup: 0
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
        add: [CHOWN]
    volumeMounts:
      {{- toYaml $mounts | nindent 6 }}
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
