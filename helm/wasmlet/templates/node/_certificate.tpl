{{/* The Secret with the kubelet ports' certificate; nothing where a log-server makes its own key. */}}
{{- define "wasmlet.kubeletSecret" -}}
{{- $of := .Values.logServer }}
{{- if eq $of.certificates "certManager" }}kubelet-tls{{ end }}
{{- if eq $of.certificates "existingSecret" }}
{{- required "logServer.existingSecret is needed where logServer.certificates is existingSecret" $of.existingSecret }}
{{- end }}
{{- end }}

{{/* What cert-manager's certificate is for: every node's name, and addresses as far as they are known. */}}
{{- define "wasmlet.kubeletNames" -}}
{{- $names := list (printf "kubelet.%s.svc" .Release.Namespace) }}
{{- range $host := include "wasmlet.hosts" . | fromJsonArray }}
{{- $names = append $names (printf "%s%s" $.Values.nodePool.nodeNamePrefix $host) }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{- define "wasmlet.kubeletAddresses" -}}
{{- $found := list }}
{{- range .Values.logServer.certManager.addresses }}{{ $found = append $found . }}{{ end }}
{{- if eq .Values.nodePool.kubeletPort.mode "hostPort" }}
{{- $hosts := include "wasmlet.hosts" . | fromJsonArray }}
{{- range $machine := include "wasmlet.machines" . | fromJsonArray }}
{{- range $machine.status.addresses }}
{{- if and (has $machine.metadata.name $hosts) (eq .type "InternalIP") }}{{ $found = append $found .address }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson ($found | uniq | sortAlpha) }}
{{- end }}
