{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "kube-ipvs.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}{{ $name = .Values.fullnameOverride }}
{{- else if not (contains $name .Release.Name) }}{{ $name = printf "%s-%s" .Release.Name $name }}
{{- else }}{{ $name = .Release.Name }}
{{- end }}
{{- $name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* One map of labels or annotations out of several, each key once; argument: their list, in which the last one wins. */}}
{{- define "kube-ipvs.merged" -}}
{{- $all := dict }}
{{- range $map := . }}
{{- range $key, $value := $map }}
{{- $_ := set $all $key $value }}
{{- end }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{- define "kube-ipvs.selectorLabels" -}}
{{- dict "app.kubernetes.io/name" (default .Chart.Name .Values.nameOverride) "app.kubernetes.io/instance" .Release.Name | toYaml }}
{{- end }}

{{/* The labels of an object; arguments: the root, and further maps of labels. The schema refuses the chart's own in those. */}}
{{- define "kube-ipvs.labels" -}}
{{- $root := first . }}
{{- $own := include "kube-ipvs.selectorLabels" $root | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/version" $root.Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") }}
{{- include "kube-ipvs.merged" (concat (list $own $root.Values.commonLabels) (rest .)) }}
{{- end }}

{{- define "kube-ipvs.kubeProxyLabel" -}}
{{- if .Values.kubeProxyLabel }}k8s-app: kube-proxy{{ end }}
{{- end }}

{{- define "kube-ipvs.serviceAccountName" -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
{{- fail "serviceAccount.name: is needed with serviceAccount.create false" }}
{{- end }}
{{- default (include "kube-ipvs.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "kube-ipvs.configMapName" -}}
{{- default (include "kube-ipvs.fullname" .) .Values.existingConfigMap }}
{{- end }}

{{- define "kube-ipvs.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}{{ printf "%s@%s" $image.repository $image.digest }}
{{- else }}{{ printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* What the agent reads at /etc/kube-ipvs/kube-ipvs.yaml. */}}
{{- define "kube-ipvs.configFile" -}}
apiVersion: kube-ipvs.io/v1alpha1
kind: KubeIpvsConfiguration
{{- with .Values.config }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The API server: the value, or what kubeadm has written into the cluster. */}}
{{- define "kube-ipvs.apiServer" -}}
{{- $found := .Values.apiServer }}
{{- $from := "apiServer" }}
{{- range $place := list (list "kube-system" "kube-proxy" "kubeconfig.conf") (list "kube-public" "cluster-info" "kubeconfig") }}
{{- if not $found }}
{{- $data := (lookup "v1" "ConfigMap" (index $place 0) (index $place 1)).data | default dict }}
{{- range (get $data (index $place 2) | default "{}" | fromYaml).clusters }}
{{- $found = dig "cluster" "server" "" . }}
{{- $from = printf "apiServer is empty, and the server of the ConfigMap %s/%s" (index $place 0) (index $place 1) }}
{{- end }}
{{- end }}
{{- end }}
{{- if not $found }}
{{- fail "apiServer: the URL of the API server is needed, such as https://192.0.2.10:6443 (not its cluster IP, which kube-ipvs itself is to serve): this cluster has no ConfigMap of kubeadm to find it in, or helm cannot see the cluster" }}
{{- end }}
{{- if not (regexMatch "^https?://[^/?#[:space:]]+(/[^?#[:space:]]*)?$" $found) }}
{{- fail (printf "%s: %q is no URL such as https://192.0.2.10:6443" $from $found) }}
{{- end }}
{{- $found }}
{{- end }}

{{/* The address and the port of "ADDRESS:PORT", as JSON; arguments: the text, the default port. */}}
{{- define "kube-ipvs.bind" -}}
{{- $text := index . 0 }}
{{- $address := $text }}
{{- $port := index . 1 }}
{{- if hasPrefix "[" $text }}
{{- $address = regexReplaceAll "^\\[(.*)\\](:[0-9]+)?$" $text "${1}" }}
{{- if regexMatch "\\]:[0-9]+$" $text }}{{ $port = regexFind "[0-9]+$" $text | int }}{{ end }}
{{- else if regexMatch "^[^:]+:[0-9]+$" $text }}
{{- $address = regexFind "^[^:]+" $text }}
{{- $port = regexFind "[0-9]+$" $text | int }}
{{- end }}
{{- dict "address" $address "port" $port | toJson }}
{{- end }}

{{/* An existing ConfigMap without the setting has the agent's default. */}}
{{- define "kube-ipvs.healthz" -}}
{{- include "kube-ipvs.bind" (list (dig "healthzBindAddress" "0.0.0.0:10256" .Values.config) 10256) }}
{{- end }}

{{- define "kube-ipvs.metrics" -}}
{{- include "kube-ipvs.bind" (list (dig "metricsBindAddress" "127.0.0.1:10249" .Values.config) 10249) }}
{{- end }}

{{/* Fails if metrics cannot be scraped from outside; arguments: the root, the value that wants them. */}}
{{- define "kube-ipvs.needMetrics" -}}
{{- $metrics := include "kube-ipvs.metrics" (index . 0) | fromJson }}
{{- if and (not (index . 0).Values.existingConfigMap) (or (not $metrics.address) (regexMatch "^(127\\.|::1$|localhost$)" $metrics.address)) }}
{{- fail (printf "%s: config.metricsBindAddress is %q, which Prometheus cannot reach: give an address such as [::]:10249" (index . 1) (dig "metricsBindAddress" "127.0.0.1:10249" (index . 0).Values.config)) }}
{{- end }}
{{- end }}

{{- define "kube-ipvs.probe" -}}
httpGet:
  path: {{ index . 1 }}
  port: healthz
  {{- $address := (include "kube-ipvs.healthz" (index . 0) | fromJson).address }}
  {{- if not (has $address (list "0.0.0.0" "::")) }}
  host: {{ $address | quote }}
  {{- end }}
{{- end }}
