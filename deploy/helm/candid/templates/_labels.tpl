{{- define "candid.selector" -}}
app.kubernetes.io/name: candid
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "candid.labels" -}}
{{ include "candid.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "candid.cacheClaim" -}}
{{ .Values.cache.existingClaim | default (printf "%s-cache" .Release.Name) }}
{{- end }}
