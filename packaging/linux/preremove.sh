#!/bin/sh
# Runs before the files of the Debian or RPM package go. An upgrade says upgrade
# (Debian) or 1 (RPM), and leaves the daemon to postinstall.sh.
set -eu

case "${1:-}" in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --now cavra-runtime.socket cavra-runtime.service ||
		echo "cavra-runtime: the daemon did not stop; see systemctl status cavra-runtime.service" >&2
fi
