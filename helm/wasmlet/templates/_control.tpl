{{/* The two control services differ in names alone: several replicas, of which one leads. */}}

{{- define "wasmlet.deployment" -}}
{{- $of := get .root.Values .key -}}
{{- $gate := and .root.Values.nats.callout.issuer (eq .key "nodeRegistrar") -}}
{{- $approves := and (include "wasmlet.approves" .root) (eq .key "nodeRegistrar") -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .service }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "wasmlet.labels" . | nindent 4 }}
spec:
  replicas: {{ int $of.replicas }}
  selector:
    matchLabels:
      {{- include "wasmlet.selector" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  template:
    metadata:
      labels:
        {{- include "wasmlet.labels" . | nindent 8 }}
      {{- with $of.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "wasmlet.podStart" .root | nindent 6 }}
      serviceAccountName: {{ .service }}
      automountServiceAccountToken: true
      securityContext:
        {{- include "wasmlet.podSecurity" . | nindent 8 }}
      terminationGracePeriodSeconds: 30
      topologySpreadConstraints:
        {{- include "wasmlet.spread" . | nindent 8 }}
      {{- include "wasmlet.placement" $of | nindent 6 }}
      containers:
        - name: {{ .service }}
          image: {{ include "wasmlet.image" (dict "root" .root "of" $of) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          env:
            - name: POD_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            {{- include "wasmlet.env" (dict "root" .root "service" .key) | nindent 12 }}
            - name: WASMLET_KUBECONFIG
              value: in-cluster
            - name: WASMLET_ELECTION
              value: "on"
            - name: WASMLET_ELECTION_NAMESPACE
              value: {{ .root.Release.Namespace }}
            - name: WASMLET_ELECTION_IDENTITY
              value: $(POD_NAME)
            {{- if eq .key "nodeRegistrar" }}
            - name: WASMLET_HOST_PREFIX
              value: {{ .root.Values.nodePool.nodeNamePrefix | quote }}
            - name: WASMLET_ADDRESS_TYPE
              value: {{ .root.Values.nodePool.kubeletPort.addressType }}
            - name: WASMLET_INSTALLATION
              value: {{ .root.Release.Namespace }}/wasmlet-installation
            {{- if $gate }}
            - name: WASMLET_BUS_ISSUER_FILE
              value: /etc/wasmlet/issuer/seed
            - name: WASMLET_ENROLMENT_DIR
              value: /etc/wasmlet/enrolments
            {{- end }}
            {{- if $approves }}
            - name: WASMLET_APPROVE_CERTIFICATES
              value: "true"
            {{- end }}
            {{- if or $gate $approves }}
            - name: WASMLET_BUS_SERVICE_ACCOUNT
              value: {{ .root.Release.Namespace }}:log-server
            {{- end }}
            {{- end }}
            {{- if and (eq .key "podReconciler") .root.Values.namespaces }}
            - name: WASMLET_NAMESPACES
              value: {{ join "," .root.Values.namespaces | quote }}
            {{- end }}
          ports:
            - name: admin
              containerPort: {{ get .root.Values.adminPorts .key | int }}
          {{- include "wasmlet.probes" (dict "port" "admin") | nindent 10 }}
          resources:
            {{- toYaml $of.resources | nindent 12 }}
          securityContext:
            {{- include "wasmlet.containerSecurity" . | nindent 12 }}
          volumeMounts:
            {{- include "wasmlet.busMounts" .root | nindent 12 }}
            {{- if $gate }}
            - name: issuer
              mountPath: /etc/wasmlet/issuer
              readOnly: true
            - name: enrolments
              mountPath: /etc/wasmlet/enrolments
              readOnly: true
            {{- end }}
      volumes:
        {{- if $gate }}
        - name: issuer
          secret:
            secretName: {{ required "nats.callout.existingSecret is needed with nats.callout.issuer" .root.Values.nats.callout.existingSecret }}
            defaultMode: 0440
            items: [{key: seed, path: seed}]
        # Of machines outside the cluster: `wasmlet node enrol` writes it.
        - name: enrolments
          secret:
            secretName: wasmlet-enrolments
            defaultMode: 0440
            optional: true
        {{- end }}
        {{- include "wasmlet.passwordVolume" (dict "root" .root "user" .service) | nindent 8 }}
        {{- include "wasmlet.caVolume" .root | nindent 8 }}
{{- end }}

{{- define "wasmlet.disruptionBudget" -}}
{{- $of := get .root.Values .key -}}
{{- if gt (int $of.replicas) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .service }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "wasmlet.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "wasmlet.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* Nobody has business with a control service but who reads its metrics; nodes may probe always. */}}
{{- define "wasmlet.controlPolicy" -}}
{{- if .root.Values.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .service }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "wasmlet.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "wasmlet.selector" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    {{- include "wasmlet.monitoringIngress" (dict "root" .root "port" (get .root.Values.adminPorts .key)) | nindent 4 }}
{{- end }}
{{- end }}

{{- define "wasmlet.monitoringIngress" -}}
{{- with .root.Values.networkPolicy.monitoringNamespace -}}
- from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ . }}
  ports:
    - port: {{ int $.port }}
{{- else -}}
[]
{{- end }}
{{- end }}
