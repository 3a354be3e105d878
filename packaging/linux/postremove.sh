#!/bin/sh
# Runs when the files of the Debian or RPM package are gone. The evidence below
# /var/lib/cavra and the user who owns it stay, also when the package is purged: no
# package manager decides that a record is no longer needed.
set -eu

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
fi
