{{/* Before anything of the release is deleted: the account first, then its roles, then the job. */}}
{{- define "wasmlet.beforeDelete" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
