#!/bin/sh
# Prepares the composition: folders, random credentials, first configuration. Changes nothing that
# is there, so it can be run again at any time.
#
#   deploy/setup.sh             everything that is missing
#   deploy/setup.sh user NAME   one more account at the broker; its password is shown once
#
# Passwords are hashed by the broker's own tool: mosquitto_passwd of this machine, or else that of
# the broker's image through docker.
set -eu
umask 077
cd "$(dirname "$0")"

IMAGE=$(sed -n 's/^ *image: *\(eclipse-mosquitto:.*\)$/\1/p' docker-compose.yml)
PASSWD=mosquitto/passwd

random_password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# Arguments: NAME; reads the password from standard input, adds the account.
add_account() {
    fresh=mosquitto/.passwd.$$
    trap 'rm -f "$fresh"' EXIT
    printf '%s:%s\n' "$1" "$(cat)" >"$fresh"
    if command -v mosquitto_passwd >/dev/null 2>&1; then
        mosquitto_passwd -U "$fresh"
    else
        docker run --rm --network none --user "$(id -u):$(id -g)" -v "$PWD/mosquitto:/work" \
            --entrypoint mosquitto_passwd "$IMAGE" -U "/work/${fresh#mosquitto/}"
    fi
    # A password that was not hashed would stand there in plain text.
    grep -q "^$1:\\\$[67]\\\$" "$fresh" || { echo "The password could not be hashed." >&2; exit 1; }
    cat "$fresh" >>"$PASSWD"
    rm -f "$fresh"
    trap - EXIT
    own "$PASSWD"
}

# Containers run as the user of this script, or as 10001 when that is root.
own() { [ "$(id -u)" -ne 0 ] || chown -R 10001:10001 "$@"; }

setup() {
    mkdir -p config data log mosquitto/data
    if [ ! -e .env ]; then
        if [ "$(id -u)" -eq 0 ]; then ids="10001 10001"; else ids="$(id -u) $(id -g)"; fi
        cat >.env.new <<ENV
# Credentials and machine settings of docker-compose.yml; mode 0600, never to be committed.
EMS_UID=${ids% *}
EMS_GID=${ids#* }
# Password of the first login (user admin), to be changed there.
EMS_ADMIN_PASSWORD=$(random_password)
EMS_MQTT_PASSWORD=$(random_password)
# Reachable from this machine only; 0.0.0.0 for every network, best behind deploy/reverse-proxy.
EMS_BIND=127.0.0.1
MQTT_BIND=127.0.0.1
ENV
        mv .env.new .env
        echo "Made deploy/.env; the password of the first login is EMS_ADMIN_PASSWORD in it."
    fi
    touch "$PASSWD"
    if ! grep -q '^ems:' "$PASSWD"; then
        sed -n 's/^EMS_MQTT_PASSWORD=//p' .env | tr -d '\n' | add_account ems
        echo "Made deploy/$PASSWD with the account ems."
    fi
    if [ ! -e config/ems.yaml ]; then
        cp config/ems.yaml.example config/ems.yaml
        echo "Made deploy/config/ems.yaml."
    fi
    own config data log mosquitto/data "$PASSWD"
    echo "Ready: docker compose -f deploy/docker-compose.yml up -d --build"
}

case ${1:-} in
    '') setup ;;
    user)
        name=${2:-}
        case $name in
            '' | *[!a-z0-9_-]*) echo "A name of a-z, 0-9, - and _ is needed: deploy/setup.sh user NAME" >&2; exit 2 ;;
        esac
        [ -e "$PASSWD" ] || { echo "Run deploy/setup.sh first." >&2; exit 1; }
        if grep -q "^$name:" "$PASSWD"; then echo "There is an account $name already." >&2; exit 1; fi
        password=$(random_password)
        printf '%s' "$password" | add_account "$name"
        echo "Account $name, password $password (shown once). What it may do: deploy/mosquitto/acl"
        echo "The broker reads it after: docker compose -f deploy/docker-compose.yml kill -s HUP mosquitto"
        ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
