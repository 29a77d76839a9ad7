{{/* What all pods and containers of this chart have alike. */}}

{{- define "wasmlet.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "wasmlet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Links to Services would appear as variables named WASMLET_..., which every service refuses. */}}
{{- define "wasmlet.podStart" -}}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What every service is told; `.service` as in the values, `.settings` are the user's own. */}}
{{- define "wasmlet.env" -}}
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: WASMLET_NATS_URL
  value: {{ include "wasmlet.natsUrl" .root | quote }}
{{- if and .root.Values.nats.callout.issuer (has .service (list "wasmExecutor" "logServer")) }}
- name: WASMLET_NATS_TOKEN_FILE
  value: /etc/wasmlet/bus/token
{{- else }}
- name: WASMLET_NATS_PASSWORD_FILE
  value: /etc/wasmlet/bus/password
{{- end }}
{{- if include "wasmlet.caSecret" .root }}
- name: WASMLET_NATS_CA_FILE
  value: /etc/wasmlet/bus-ca/ca.crt
{{- end }}
- name: WASMLET_LOG_LEVEL
  value: {{ .root.Values.log.level | quote }}
- name: WASMLET_LOG_FORMAT
  value: {{ .root.Values.log.format | quote }}
{{- if and .root.Values.traces.endpoint (has .service (list "podReconciler" "wasmExecutor")) }}
- name: WASMLET_TRACES_ENDPOINT
  value: {{ .root.Values.traces.endpoint | quote }}
{{- if eq .service "podReconciler" }}
- name: WASMLET_TRACES_SAMPLING_RATIO
  value: {{ .root.Values.traces.samplingRatio | quote }}
{{- end }}
{{- end }}
- name: WASMLET_ADMIN_HOST
  value: $(POD_IP)
- name: WASMLET_ADMIN_PORT
  value: {{ get .root.Values.adminPorts .service | int | quote }}
{{- range $name, $value := (get .root.Values .service).settings }}
- name: WASMLET_{{ $name }}
  value: {{ include "wasmlet.text" $value | quote }}
{{- end }}
{{- end }}

{{- define "wasmlet.busMounts" -}}
- name: bus
  mountPath: /etc/wasmlet/bus
  readOnly: true
{{- include "wasmlet.caMount" . }}
{{- end }}

{{- define "wasmlet.caMount" }}
{{- if include "wasmlet.caSecret" . }}
- name: bus-ca
  mountPath: /etc/wasmlet/bus-ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "wasmlet.passwordVolume" -}}
- name: bus
  secret:
    secretName: {{ include "wasmlet.passwordSecret" .root }}
    items:
      - key: {{ .user }}
        path: password
        mode: 0440
{{- end }}

{{/* What a node's service shows to the registrar. It is for nobody else: the API refuses it. */}}
{{- define "wasmlet.tokenVolume" -}}
- name: {{ .name }}
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607, audience: {{ .audience }}}
{{- end }}

{{- define "wasmlet.caVolume" }}
{{- with include "wasmlet.caSecret" . }}
- name: bus-ca
  secret:
    secretName: {{ . }}
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- end }}

{{/* One replica is enough to serve; the other is warm and leads when the first is gone. */}}
{{- define "wasmlet.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "wasmlet.selector" . | nindent 6 }}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "wasmlet.selector" . | nindent 6 }}
{{- end }}

{{- define "wasmlet.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* `/healthz` says that the service turns; `/readyz` that bus and API server answer it. */}}
{{- define "wasmlet.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end }}
