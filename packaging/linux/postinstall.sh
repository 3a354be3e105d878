#!/bin/sh
# Runs when the files of the Debian or RPM package are in place, after the first
# installation and after every upgrade; twice is as good as once. It starts nothing:
# who may ask, and by which policy, is to be configured first.
set -eu

getent group cavra >/dev/null || groupadd --system cavra
getent passwd cavra >/dev/null ||
	useradd --system --gid cavra --home-dir /var/lib/cavra --no-create-home --shell /usr/sbin/nologin cavra

# The evidence. What is in it stays as it is.
install -d -m 0700 -o cavra -g cavra /var/lib/cavra

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || echo "cavra-runtime: systemd did not read its units again; run systemctl daemon-reload" >&2
	# Only a daemon that runs is restarted, with the new program.
	systemctl try-restart cavra-runtime.service || echo "cavra-runtime: the daemon did not restart; see systemctl status cavra-runtime.service" >&2
fi
