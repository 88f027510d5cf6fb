{{/* Name of everything of this release. */}}
{{- define "muniment.name" -}}
{{- if contains "muniment" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-muniment" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that choose the pods of a part. Call with (list $ "api"). */}}
{{- define "muniment.selector" -}}
app.kubernetes.io/name: muniment
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of an object. Call with (list $ "api"). */}}
{{- define "muniment.labels" -}}
{{ include "muniment.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{- define "muniment.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* What every pod of ours may do: nothing but run. Fits Pod Security `restricted`. */}}
{{- define "muniment.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
# The master key is for its owner only; changing every file's group at each start would open it.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "muniment.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Whether the database is PostgreSQL. */}}
{{- define "muniment.postgres" -}}
{{- if or .Values.database.url .Values.database.secret.name -}}true{{- end -}}
{{- end -}}

{{/* What can't work is refused here, with the fix. */}}
{{- define "muniment.check" -}}
{{- if and (gt (int .Values.api.replicas) 1) (not (include "muniment.postgres" .)) -}}
{{- fail "api.replicas is more than 1 and the database is SQLite, which one process alone can use; set api.replicas=1, or database.url or database.secret.name to a PostgreSQL database" -}}
{{- end -}}
{{- if and (include "muniment.postgres" .) (not .Values.masterKey.secret) -}}
{{- fail "PostgreSQL needs masterKey.secret: a Secret with 32 random bytes under `master.key`; make it with: head -c 32 /dev/urandom >master.key && kubectl create secret generic muniment-master-key --from-file=master.key, keep a copy in a safe place, and set masterKey.secret=muniment-master-key" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.from) -}}
{{- fail "metrics.serviceMonitor.enabled is set and metrics.from is empty, so a network policy keeps everybody from the operator's metrics; set metrics.from to a list of NetworkPolicy peers, e.g. [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" -}}
{{- end -}}
{{- end -}}
