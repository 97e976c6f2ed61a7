#!/usr/bin/env bash
#
# Makes what a krustlet-wasi node needs to join the cluster of the current
# kubectl context: a bootstrap token, and a kubeconfig with that token.
#
# You can run it again at any time. It keeps a token that is still valid, and
# replaces one that is not.
#
# Environment:
#   KUBECONFIG   as for kubectl
#   KUBECTL      the kubectl command, arguments are allowed       (kubectl)
#   CONFIG_DIR   the folder for the file                          ($HOME/.krustlet/config)
#   FILE_NAME    the file's name                                  (bootstrap.conf)
#   TOKEN_TTL    how long a new token is valid: a number and      (1 hour)
#                seconds, minutes, hours or days
#
# Needs bash, coreutils and kubectl.

set -euo pipefail
umask 077

readonly namespace=kube-system
readonly group=system:bootstrappers:kubeadm:default-node-token
# A token that expires in fewer seconds is useless for a node that starts now.
readonly margin=60

die() {
  printf 'bootstrap.sh: %s\n' "$*" >&2
  exit 1
}

# last prints the last line of kubectl's output. It has the reason.
last() {
  tail -n 1 <<<"$1"
}

kube() {
  "${kubectl[@]}" --request-timeout=15s "$@"
}

# setting prints a field of the current context's cluster. Instead of a file's
# name it prints the content.
setting() {
  "${kubectl[@]}" config view --raw --minify --flatten -o "jsonpath={.clusters[0].cluster.$1}"
}

# check_environment finds kubectl and decides where to write the file.
check_environment() {
  read -r -a kubectl <<<"${KUBECTL:-kubectl}"
  if [[ ${#kubectl[@]} -eq 0 ]] || ! command -v "${kubectl[0]}" >/dev/null; then
    die "kubectl is not found as '${KUBECTL:-kubectl}': install it, or say in KUBECTL how to call it"
  fi
  if [[ -z ${CONFIG_DIR:-} && -z ${HOME:-} ]]; then
    die "neither CONFIG_DIR nor HOME is set: say in CONFIG_DIR where the file goes"
  fi
  dir=${CONFIG_DIR:-$HOME/.krustlet/config}
  local name=${FILE_NAME:-bootstrap.conf}
  if [[ $name == */* || $name == . || $name == .. ]]; then
    die "FILE_NAME '$name' is not a file's name: give the folder in CONFIG_DIR"
  fi
  file=$dir/$name
  if [[ -d $file ]]; then
    die "$file is a folder: choose another FILE_NAME"
  fi
  local ttl=${TOKEN_TTL:-1 hour}
  if [[ ! $ttl =~ ^([1-9][0-9]{0,6})\ *(s|seconds?|m|minutes?|h|hours?|d|days?)$ ]]; then
    die "TOKEN_TTL '$ttl' is not understood: write a number and seconds, minutes, hours or days, as in '1 hour'"
  fi
  case ${BASH_REMATCH[2]} in
    s*) lifetime="${BASH_REMATCH[1]} seconds" ;;
    m*) lifetime="${BASH_REMATCH[1]} minutes" ;;
    h*) lifetime="${BASH_REMATCH[1]} hours" ;;
    d*) lifetime="${BASH_REMATCH[1]} days" ;;
  esac
}

# check_cluster reads the current context and checks that it works.
check_cluster() {
  local said
  if ! said=$("${kubectl[@]}" config current-context 2>&1); then
    die "kubectl has no current context: set KUBECONFIG, or run 'kubectl config use-context' ($(last "$said"))"
  fi
  if ! said=$(setting server 2>&1); then
    die "the current context cannot be used: $(last "$said")"
  fi
  server=$said
  if [[ -z $server ]]; then
    die "the current context names no server"
  fi
  ca=$(setting certificate-authority-data)
  tls_server_name=$(setting tls-server-name)
  if [[ -z $ca ]]; then
    die "the current context has no certificate authority for $server: a node could not tell whom it gives its token to; set certificate-authority or certificate-authority-data"
  fi
  if ! said=$(kube get --raw /version 2>&1); then
    die "the API server $server cannot be used: $(last "$said")"
  fi
  # If the answer is "no", the exit status is not 0 either.
  said=$(kube auth can-i create secrets --namespace "$namespace" 2>&1) || true
  if [[ $(last "$said") != yes* ]]; then
    die "the current context may not create secrets in $namespace, where bootstrap tokens are kept: use an administrator's ($(last "$said"))"
  fi
}

# prepare_file makes the folder, and in it a temporary file.
prepare_file() {
  local said
  if ! said=$(mkdir -p -- "$dir" 2>&1) || ! said=$(mktemp "$file.XXXXXX" 2>&1); then
    die "cannot write to the folder $dir: $(last "$said"); say in CONFIG_DIR where the file goes"
  fi
  next=$said
  trap 'rm -f -- "$next"' EXIT
}

# secret_field prints a decoded field of the secret that has the token with this id.
secret_field() {
  kube get secret "bootstrap-token-$1" --namespace "$namespace" --ignore-not-found \
    -o "go-template={{with index .data \"$2\"}}{{. | base64decode}}{{end}}" 2>/dev/null
}

# find_token takes the token from the existing file, if the token is still
# valid. It sets token and expiration. Otherwise they are empty.
find_token() {
  local id found expires
  token='' expiration='' old_id=''
  [[ -f $file ]] || return 0
  found=$("${kubectl[@]}" --kubeconfig "$file" config view --raw -o 'jsonpath={.users[0].user.token}' 2>/dev/null) || return 0
  [[ $found =~ ^[a-z0-9]{6}\.[a-z0-9]{16}$ ]] || return 0
  id=${found%%.*}
  [[ $(secret_field "$id" token-secret) == "${found#*.}" ]] || return 0
  old_id=$id
  [[ $(secret_field "$id" usage-bootstrap-authentication) == true ]] || return 0
  expiration=$(secret_field "$id" expiration) || return 0
  if [[ -n $expiration ]]; then
    expires=$(date -d "$expiration" +%s 2>/dev/null) || return 0
    if ((expires < $(date +%s) + margin)); then
      return 0
    fi
  fi
  token=$found
}

# random prints that many characters from a-z and 0-9.
random() {
  local characters
  characters=$(head -c 4096 /dev/urandom | LC_ALL=C tr -dc a-z0-9)
  printf '%s' "${characters:0:$1}"
}

# new_token makes a random token. The API server does not know it yet.
new_token() {
  token=$(random 6).$(random 16)
  expiration=$(date -u -d "+$lifetime" +%Y-%m-%dT%H:%M:%SZ)
}

write_kubeconfig() {
  cat <<EOF
apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    server: "$server"
    certificate-authority-data: $ca
${tls_server_name:+    tls-server-name: "$tls_server_name"
}users:
- name: tls-bootstrap-token-user
  user:
    token: "$token"
contexts:
- name: tls-bootstrap-token-user@kubernetes
  context:
    cluster: kubernetes
    user: tls-bootstrap-token-user
current-context: tls-bootstrap-token-user@kubernetes
EOF
}

# create_secret writes the token to the API server. kubectl reads it from
# standard input, because all users of the machine can see arguments.
create_secret() {
  local said
  if ! said=$(kube create -f - 2>&1 <<EOF
apiVersion: v1
kind: Secret
metadata:
  name: bootstrap-token-${token%%.*}
  namespace: $namespace
type: bootstrap.kubernetes.io/token
stringData:
  description: For krustlet-wasi nodes to join; made by hack/bootstrap.sh.
  token-id: "${token%%.*}"
  token-secret: "${token#*.}"
  expiration: $expiration
  usage-bootstrap-authentication: "true"
  usage-bootstrap-signing: "true"
  auth-extra-groups: $group
EOF
  ); then
    die "the API server refused the bootstrap token: $(last "$said")"
  fi
}

# allowed asks whether a node with the token may create the resource in the
# arguments. It is also true if this question is forbidden.
allowed() {
  local answer
  answer=$(kube auth can-i create "$@" --as="system:bootstrap:${token%%.*}" --as-group=system:authenticated \
    --as-group=system:bootstrappers --as-group="$group" 2>/dev/null) || true
  [[ $answer != no* ]]
}

# hint names the bindings that kubeadm makes, if the cluster does not have them.
hint() {
  local requests=certificatesigningrequests.certificates.k8s.io
  if ! allowed "$requests"; then
    cat >&2 <<EOF
bootstrap.sh: hint: bootstrap tokens may not ask for certificates on this cluster; a ClusterRoleBinding is missing:
  kubectl create clusterrolebinding krustlet:node-bootstrapper --clusterrole=system:node-bootstrapper --group=system:bootstrappers
EOF
  fi
  if ! allowed "$requests" --subresource=nodeclient; then
    cat >&2 <<EOF
bootstrap.sh: hint: the certificate of a node that joins waits for 'kubectl certificate approve'; to have it approved, make a ClusterRoleBinding:
  kubectl create clusterrolebinding krustlet:approve-node-client --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers
EOF
  fi
}

main() {
  check_environment
  check_cluster
  prepare_file
  find_token
  local verb=kept
  if [[ -z $token ]]; then
    verb=made
    new_token
  fi
  write_kubeconfig >"$next"
  if [[ $verb == made ]]; then
    create_secret
  fi
  if [[ ! -f $file || $(<"$next") != "$(<"$file")" ]]; then
    mv -f -- "$next" "$file"
  fi
  chmod 0600 -- "$file"
  if [[ $verb == made && -n $old_id ]]; then
    verb="replaced $old_id by"
    # If this fails, the cluster's token cleaner does it later.
    kube delete secret "bootstrap-token-$old_id" --namespace "$namespace" --ignore-not-found >/dev/null 2>&1 || true
  fi
  printf 'bootstrap.sh: %s token %s, valid %s, in %s\n' "$verb" "${token%%.*}" "${expiration:+until }${expiration:-for ever}" "$file"
  hint
}

main "$@"
