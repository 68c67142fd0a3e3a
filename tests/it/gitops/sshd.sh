#!/bin/sh
# Starts an sshd in the foreground: sshd.sh PROGRAM CONFIGURATION FOLDER. For root it needs a user and a folder that only its
# package makes: where they are not, it gets them in a mount namespace of its own, and the machine stays as it is.
set -eu
program=$1 configuration=$2 folder=$3
if [ "$(id -u)" != 0 ] || { getent passwd sshd >/dev/null && [ -d /run/sshd ]; }; then
    exec "$program" -D -e -f "$configuration"
fi
if [ -z "${LIMINAL_INSIDE:-}" ]; then
    LIMINAL_INSIDE=1 exec unshare -m -- "$0" "$@"
fi
cp /etc/passwd "$folder/passwd"
echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin' >>"$folder/passwd"
mount --bind "$folder/passwd" /etc/passwd
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
exec "$program" -D -e -f "$configuration"
